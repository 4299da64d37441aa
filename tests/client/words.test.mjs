// words.test.mjs: every failure is told to people in a sentence: no code names, no header names, no stop too many.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HailgateError } from '/hailgate.js';
import { CLOSES, refusalOf, ruleOf, troubleOf, WORDS } from '/static/rules.js';
import { bare, joined, SENTENCES, span, wordsOf } from '/static/words.js';

const root = new URL('../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
/** The server's table: variant, name, status, close code, whether to try again, what a client does, title. */
const ROWS = [...read('src/error.rs').matchAll(/^ {4}[A-Z]\w+ +"([a-z_0-9]+)" +(\d+) +(\d+) (true|false) +\w+ +"(.*)"$/gm)].map(([, code, status, close, , title]) => ({ code, status: Number(status), close: Number(close), detail: `${title}.` }));

/** What a server may write for programmers. */
const DETAILS = ['', 'Wait for as long as Retry-After says, then try again.', 'client_message_id: must equal the Idempotency-Key header', 'This needs the permission `publish`.', 'Sign in, or send a bearer token.'];

function isForPeople(words, of) {
  assert.match(words, /^[A-Z]/, `${of}: ${words}`);
  assert.doesNotMatch(words, /[`{}]|[a-z]_[a-z]|\b[A-Z][a-z]+-[A-Z]|HTTP|JSON|undefined|null|\d{3}\b/, `${of}: ${words}`);
  assert.doesNotMatch(`${words}.`, /[.!?;:,]\s*[.!?;:,]/, `${of}: ${words}`);
  assert.ok(words.length <= 120, `${of}: ${words}`);
}

test('every code of the server has a sentence for people, whatever it adds', () => {
  assert.ok(ROWS.length >= 50, `${ROWS.length} rows`);
  for (const { code, status, close, detail } of ROWS) {
    assert.ok(Object.hasOwn(SENTENCES, code), code);
    for (const text of [detail, ...DETAILS]) {
      for (const retryAfterMs of [0, 50, 7_000]) {
        const error = new HailgateError({ code, status, detail: text, retryAfterMs });
        isForPeople(error.words, code);
        isForPeople(troubleOf(error), code);
        isForPeople(refusalOf({ code, reason: text, retry_after_ms: retryAfterMs }).words ?? WORDS.signed_out, code);
      }
    }
    if (close) isForPeople(ruleOf(close).words ?? WORDS.stopped, code);
  }
  for (const [close, { words }] of Object.entries(CLOSES)) if (words) isForPeople(words, close);
  for (const code of Object.keys(SENTENCES)) assert.equal(bare(SENTENCES[code]), SENTENCES[code], code);
});

test('an answer of something else than the server is told without its number', () => {
  for (const [code, status] of [['http_502', 502], ['http_403', 403], ['unheard_of', 409], [undefined, 0]]) isForPeople(wordsOf({ code, status, detail: `The server answered ${status} to GET_THREADS` }), code);
});

test('a field is named as the page names it, and one that people do not fill in is not', () => {
  const told = (field, reason) => wordsOf({ code: 'invalid', detail: `${field}: ${reason}`, errors: [{ field, reason }] });
  assert.equal(told('content', 'must be at most 8000 characters'), 'The message must be at most 8000 characters');
  assert.equal(told('title', 'must not hold control characters'), 'The title must not hold control characters');
  assert.equal(told('client_message_id', 'must be 1..128 printable ASCII characters'), SENTENCES.invalid);
});

test('what is not allowed is told by the server, unless it was written for programmers', () => {
  const told = (detail) => wordsOf({ code: 'forbidden', status: 403, detail });
  assert.equal(told("Only the thread's owner may add members."), "Only the thread's owner may add members");
  assert.equal(told('This needs the permission `publish`.'), SENTENCES.forbidden);
});

test('sentences are joined with one stop each, and none at the end', () => {
  assert.equal(joined('One.', 'Two. ', null, '', 'Three'), 'One. Two. Three');
  assert.equal(joined('Really?', 'Yes..'), 'Really? Yes');
  assert.equal(joined(), '');
});

test('a time to wait is never told too short', () => {
  assert.deepEqual([1, 1_000, 1_001, 90_000, 90_001, 121_000].map(span), ['1 second', '1 second', '2 seconds', '90 seconds', '2 minutes', '3 minutes']);
});

test('no view shows what the server wrote for programmers', () => {
  const LIBRARY = ['hailgate.js', 'rest.js', 'link.js', 'standin.js', 'order.js', 'words.js', 'rules.js'];
  for (const file of readdirSync(new URL('static/', root)).filter((name) => name.endsWith('.js') && !LIBRARY.includes(name))) {
    assert.doesNotMatch(read(`static/${file}`), /\b(error|refused)\.(detail|code\}|message)|\.errors\b/, file);
  }
});
