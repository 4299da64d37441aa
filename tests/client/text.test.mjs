// text.test.mjs: what a message is cut into: links and code are found, nothing typed is lost, and no link leads elsewhere than it says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pieces } from '/text.js';
import { hue, initials } from '/face.js';
import { chance } from './world.mjs';

/** Kind and text of what is not plain text. */
const found = (content) => pieces(content).filter(({ kind }) => kind !== 'text').map(({ kind, text, href }) => (href ? `${text} -> ${href}` : `${kind} ${text}`));
const shown = (content) => pieces(content).map(({ text }) => text).join('|');

test('addresses are links without the punctuation around them', () => {
  for (const [content, ...links] of [
    ['See https://example.org/a_(b), please', 'https://example.org/a_(b) -> https://example.org/a_(b)'],
    ['(www.example.com)', 'www.example.com -> https://www.example.com/'],
    ['WWW.Example.COM/Path?q=1!', 'WWW.Example.COM/Path?q=1 -> https://www.example.com/Path?q=1'],
    ['“www.example.com/a”…', 'www.example.com/a -> https://www.example.com/a'],
    ['Write to ada.l+x@mail.example.org.', 'ada.l+x@mail.example.org -> mailto:ada.l+x@mail.example.org'],
    ['<bob@example.com>;carla@example.com', 'bob@example.com -> mailto:bob@example.com', 'carla@example.com -> mailto:carla@example.com'],
    ['مرحبا bob@example.com', 'bob@example.com -> mailto:bob@example.com'],
  ]) assert.deepEqual(found(content), links, content);
});

test('what only looks like an address stays text', () => {
  for (const content of [
    'www.', 'www.example', 'www...', 'www.a..b', 'foo.www.example.com', 'http://', 'https://?', 'javascript://example.org/%0aalert(1)',
    'https://www.bank.example@evil.example/', 'www.bank.example@evil.example', 'https://user:secret@example.org/',
    'a@b', '@bob', 'a@@example.com', 'git@example.com:team/project.git', 'bob@example.c0', 'bob@example.com@evil.example', '@bob@example.social',
  ]) assert.deepEqual(found(content), [], content);
});

test('code is shown without its backticks', () => {
  assert.equal(shown('Run `cargo test` now'), 'Run |cargo test| now');
  assert.equal(shown('``a ` b``'), 'a ` b');
  assert.equal(shown('`` `a` ``'), '`a`');
  assert.equal(shown('```one line```'), 'one line');
  assert.deepEqual(found('`https://example.org/`'), ['code https://example.org/']);
  for (const content of ['`', '``', '` `', '``````', '```\n```', 'a ` b', '`a\nb`']) assert.equal(shown(content), content);
});

test('a block of code brings no empty line and no space with it', () => {
  const [before, block, after] = pieces('Look:\n```rust\nfn main() {\n\n}\n```  \nThat is all');
  assert.deepEqual([before.text, block.text, after.text], ['Look:', 'fn main() {\n\n}', 'That is all']);
  assert.deepEqual([block.block, block.language], [true, 'rust']);
  const [first, second] = pieces('```\n  a\n```\n```two words\nb```');
  assert.deepEqual([first.text, first.language, second.text, second.language], ['  a', undefined, 'two words\nb', undefined]);
});

const PARTS = ['`', '``', '```', '\n', ' ', 'js', 'a', 'é', '😀', '.', ',', ')', '(', '@', 'www.', 'example.org', 'https://', 'http://', '/', ':', '-', '_', '%', '"', '<', 'bob', '\u202e', 'ß', '1'];

test('nothing typed is lost, whatever it is, and links lead where they say', () => {
  for (let seed = Number(process.env.SEED ?? 1), last = process.env.SEED ? seed : 20_000; seed <= last; seed += 1) {
    const random = chance(seed), content = Array.from({ length: random.below(16) + 1 }, () => random.one(PARTS)).join(''), cut = pieces(content), hint = `SEED=${seed}, ${JSON.stringify(content)}`;
    assert.equal(cut.map(({ source }) => source).join(''), content, hint);
    for (const { kind, text, source, href, block } of cut) {
      assert.ok(text && source.includes(text), hint);
      if (kind !== 'code') assert.equal(text, source, hint);
      if (kind === 'code' && !block) assert.ok(!text.includes('\n'), hint);
      if (kind !== 'link') continue;
      assert.ok(!/[\s<>"`]/.test(href), hint);
      if (href.startsWith('mailto:')) { assert.match(href, /^mailto:[^?&%@]+@[^?&%@]+$/, hint); continue; }
      const url = new URL(href);
      assert.ok(['http:', 'https:'].includes(url.protocol) && !url.username && !url.password, hint);
      assert.equal(url.href, new URL(/^https?:/i.test(text) ? text : `https://${text}`).href, hint);
    }
  }
});

test('a message that means ill is cut as fast as any other', () => {
  const steps = (content) => { let looked = 0; for (const { source } of pieces(content)) looked += source.length; return looked; };
  // Each of these takes minutes where a part of it is looked at again for each other part; here the test would not end.
  for (const part of ['.', ')', '`', '`a``', '```\n', '\n```a`\n', 'www.', 'a@', 'a@b.', 'a@b-', '(https://', '```a\n``b', 'https://a)']) {
    const content = `https://a${part.repeat(200_000 / part.length)}`;
    assert.equal(steps(content), content.length);
  }
});

test('initials are of the first and the last word, of any script', () => {
  for (const [name, letters] of [['Ada M. Lovelace', 'AL'], ['bob', 'B'], ['agent-7', 'A7'], ['عائشة حسن', 'عح'], ['  Élodie  ', 'É'], ['(Team) Blue', 'TB'], ['👩‍🚀 Mae', '👩‍🚀M'], ['!?', '!']]) assert.equal(initials(name), letters);
  assert.equal(hue('bob'), hue('bob'));
  assert.ok(new Set(Array.from({ length: 100 }, (_, i) => hue(`user${i}`))).size > 8);
});
