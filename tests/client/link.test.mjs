// link.test.mjs: the table of states in static/link.js, row by row: what each close, refusal and silence leads to.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { backoffMs, Hailgate, LIMITS } from '/hailgate.js';
import { CLOSES, ruleOf } from '/static/rules.js';
import { pass, record, releaseTime, Server, settle, stopTime } from './world.mjs';

beforeEach(stopTime);
afterEach(releaseTime);

/** A client of its own stream; chance gives the middle. */
async function set({ random = () => 0.5, since } = {}) {
  const server = new Server(['t1', 't2']);
  const page = new EventTarget();
  const hailgate = new Hailgate({ base: 'http://server', fetch: server.fetch, WebSocket: server.WebSocket, random, locks: null, BroadcastChannel: null, page });
  const told = record(hailgate);
  await hailgate.me();
  const first = since ?? (await hailgate.threads()).cursor;
  server.asked.length = 0;
  return { server, hailgate, told, page, first };
}

async function live(how) {
  const all = await set(how);
  all.hailgate.start({ since: all.first });
  await settle();
  assert.equal(all.hailgate.state, 'live');
  return all;
}

/** How long until the next dial, at most `ms`. */
async function untilDialled(server, ms) {
  const before = server.dialled.length, from = Date.now();
  for (let passed = 0; passed < ms && server.dialled.length === before; passed += 250) await pass(250);
  return server.dialled.length > before ? Date.now() - from : Infinity;
}

test('backoff lies between its floor and a ceiling that doubles up to its own', () => {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const ceiling = Math.min(LIMITS.backoff_max_ms, LIMITS.backoff_min_ms * 2 ** (attempt + 1));
    assert.equal(backoffMs(attempt, { random: () => 0 }), LIMITS.backoff_min_ms);
    assert.equal(backoffMs(attempt, { random: () => 1 }), ceiling);
    assert.ok(Math.abs(backoffMs(attempt, { random: () => 0.5 }) - (LIMITS.backoff_min_ms + ceiling) / 2) < 1);
  }
});

test('it is live with its user, limits and epoch, and comes back with the last cursor it heard', async () => {
  const { server, hailgate, told, first } = await live();
  assert.deepEqual(told.states, ['connecting', 'live']);
  assert.equal(hailgate.epoch, 'epoch-1');
  assert.equal(hailgate.limits.heartbeat_ms, 25_000);
  assert.equal(server.dialled[0].url.searchParams.get('since'), first);
  server.message('t1', 'one');
  await settle();
  const { cursor } = hailgate;
  assert.notEqual(cursor, first);
  server.close(1006);
  server.message('t1', 'two');
  server.message('t2', 'three');
  await pass(2_000);
  assert.equal(server.dialled[1].url.searchParams.get('since'), cursor);
  assert.deepEqual(told.places(), ['t1:1', 't1:2', 't2:1']);
  assert.deepEqual(told.reloads, []);
});

test('each close does what the table says, and none comes back sooner than it says', async () => {
  const codes = [...Object.keys(CLOSES).map(Number), 1005, 1006, 1011, 4202, 4204, 4205, 4299, 4402, 4499];
  for (const code of codes) {
    releaseTime();
    stopTime();
    const { server, hailgate } = await live({ random: () => 0 }), rule = ruleOf(code);
    server.close(code);
    await settle();
    const expected = { 'sign in': 'signed_out', stop: 'stopped', bug: 'fallback', resume: 'connecting' }[rule.then];
    assert.equal(hailgate.state, expected, `after ${code}`);
    const waited = await untilDialled(server, 120_000);
    if (rule.then === 'resume') assert.ok(waited >= (rule.wait_ms ?? LIMITS.backoff_min_ms) && waited < (rule.wait_ms ?? 0) + 1_000, `${code} came back after ${waited}`);
    else if (rule.then === 'bug') assert.ok(waited >= LIMITS.bug_wait_ms - 250 && waited < LIMITS.bug_wait_ms + 1_000, `${code} came back after ${waited}`);
    else assert.equal(waited, Infinity, `${code} came back after ${waited}`);
    hailgate.stop();
  }
  assert.deepEqual([4401, 4403, 4205, 4499].map((code) => ruleOf(code).then), ['sign in', 'stop', 'resume', 'stop']);
});

test('a bye decides over the close that follows, and its delay is kept even when the network comes back', async () => {
  const { server, hailgate, page } = await live();
  server.close(4200, { retry_after_ms: 12_345 });
  assert.equal(hailgate.words, 'The server is restarting; connecting again');
  await pass(3_000);
  page.dispatchEvent(new Event('online'));
  const waited = 3_000 + await untilDialled(server, 60_000);
  assert.ok(waited >= 12_345 && waited < 13_500, `${waited}`);
  await settle();
  assert.equal(hailgate.state, 'live');
});

test('a bye whose close never comes through is obeyed', async () => {
  const { server, hailgate } = await live();
  for (const socket of server.sockets) socket.say({ type: 'bye', data: { code: 4403, reason: 'This account is disabled.', reconnect: false } });
  server.close(1006);
  await settle();
  assert.deepEqual([hailgate.state, hailgate.words], ['stopped', 'Your account is switched off. Ask whoever runs this server']);
});

test('credentials that expired are looked at again: with a session it resumes, without one it says so', async () => {
  const { server, hailgate } = await live();
  server.close(4205);
  await pass(2_000);
  assert.equal(hailgate.state, 'live');
  server.user = null;
  server.close(4205);
  await pass(5_000);
  assert.equal(hailgate.state, 'signed_out');
  assert.equal(await untilDialled(server, 60_000), Infinity);
});

test('each refusal does what the table says', async () => {
  const rows = [
    [{ accepted: false, code: 'too_many_connections', reason: 'x', retry_after_ms: 4_000 }, 'connecting', 'Too many windows are open; trying again', 4_000],
    [{ accepted: false, code: 'draining', reason: 'The server is going away.', retry_after_ms: 7_000 }, 'connecting', 'The server is restarting; connecting again', 7_000],
    [{ accepted: false, code: 'disabled', reason: 'This account is disabled.' }, 'stopped', 'Your account is switched off. Ask whoever runs this server', null],
    [{ accepted: false, code: 'foreign_origin', reason: 'Not from here.' }, 'stopped', 'The server does not accept this address. Ask whoever runs it to allow it', null],
    [{ accepted: false, code: 'unauthenticated', reason: 'auth' }, 'signed_out', 'Your sign-in ended. Sign in again', null],
  ];
  for (const [verdict, state, words, wait_ms] of rows) {
    releaseTime();
    stopTime();
    const { server, hailgate, first } = await set({ random: () => 0 });
    server.verdict = verdict;
    hailgate.start({ since: first });
    await settle();
    assert.deepEqual([hailgate.state, hailgate.words], [state, words]);
    const waited = await untilDialled(server, 30_000);
    if (wait_ms === null) assert.equal(waited, Infinity);
    else assert.ok(waited >= wait_ms && waited <= wait_ms + 500, `${verdict.code}: ${waited}`);
    hailgate.stop();
  }
});

test('another user on the connection, or behind the cookie, ends it', async () => {
  for (const network of ['open', 'blocked']) {
    releaseTime();
    stopTime();
    const { server, hailgate, told } = await live();
    server.network = network;
    server.close(1006);
    server.user = 'bob';
    server.message('t1', 'not for alice');
    await pass(5_000);
    assert.deepEqual([hailgate.state, hailgate.words], ['signed_out', 'Another user signed in here. Sign in again']);
    assert.deepEqual(told.events, []);
    assert.equal(await untilDialled(server, 60_000), Infinity);
  }
});

test('without a network it is offline, and back with what was missed', async () => {
  const { server, hailgate, told, page } = await live();
  server.network = 'down';
  server.close(1006);
  await pass(3_000);
  assert.equal(hailgate.state, 'offline');
  server.message('t1', 'meanwhile');
  await pass(60_000);
  assert.equal(told.states.filter((state) => state === 'connecting').length, 2, 'it does not flicker');
  server.network = 'open';
  page.dispatchEvent(new Event('online'));
  await pass(500);
  assert.equal(hailgate.state, 'live');
  assert.deepEqual(told.places(), ['t1:1']);
});

test('the offline event is believed at once, and the next frame corrects it', async () => {
  const { server, hailgate, told, page } = await live();
  page.dispatchEvent(new Event('offline'));
  await settle();
  assert.equal(hailgate.state, 'live', 'the server answered the ping');
  assert.deepEqual(told.states, ['connecting', 'live', 'offline', 'live']);
  assert.equal(server.dialled.length, 1);
});

test('after the offline event the line stays steady until there is a network', async () => {
  const { server, hailgate, told, page } = await live();
  const [socket] = server.sockets;
  socket.mute = true;
  server.network = 'down';
  page.dispatchEvent(new Event('offline'));
  await pass(120_000, 1_000);
  assert.deepEqual(told.states, ['connecting', 'live', 'offline']);
  server.network = 'open';
  page.dispatchEvent(new Event('online'));
  await pass(1_000);
  assert.equal(hailgate.state, 'live');
});

test('a socket that outlived the gap is asked when the network is back, and kept', async () => {
  const { server, hailgate, told, page } = await live();
  const [socket] = server.sockets;
  socket.mute = true;
  page.dispatchEvent(new Event('offline'));
  await pass(1_000);
  assert.equal(hailgate.state, 'offline');
  socket.mute = false;
  page.dispatchEvent(new Event('online'));
  await settle();
  assert.equal(server.dialled.length, 1);
  assert.deepEqual(told.states, ['connecting', 'live', 'offline', 'connecting', 'live']);
});

test('a page that has not begun, or has ended, says nothing of the network', async () => {
  const { hailgate, told, page } = await set();
  page.dispatchEvent(new Event('offline'));
  page.dispatchEvent(new Event('online'));
  assert.deepEqual(told.states, []);
  hailgate.stop();
});

test('a server that falls silent is asked, and left if it does not answer', async () => {
  const { server, hailgate } = await live();
  const [socket] = server.sockets;
  socket.mute = true;
  await pass(34_000, 1_000);
  assert.equal(server.dialled.length, 1, 'heartbeat and grace are not over');
  const waited = await untilDialled(server, 60_000);
  assert.ok(waited < 20_000, `it was left after ${waited}`);
  assert.equal(socket.closed, 1005);
  await settle();
  assert.equal(hailgate.state, 'live');
});

test('a server that answers is kept, and beats tell it that we live', async () => {
  const { server, hailgate } = await live();
  const [socket] = server.sockets;
  for (let i = 0; i < 12; i += 1) { socket.say({ type: 'cursor', data: { cursor: server.cursor() } }); await pass(10_000, 1_000); }
  assert.equal(hailgate.state, 'live');
  assert.equal(server.dialled.length, 1);
  assert.ok(socket.heard.filter((type) => type === 'beat').length >= 6, `${socket.heard}`);
  await pass(38_000, 1_000);
  assert.ok(socket.heard.includes('ping'), 'silent for longer than heartbeat and grace: it was asked');
});

test('a cursor of a log that is no more means reading anew, not a refusal', async () => {
  const { server, hailgate, told } = await live();
  server.epoch = 'epoch-2';
  server.close(1006);
  await pass(2_000);
  assert.equal(hailgate.state, 'live');
  assert.deepEqual(told.reloads, [{ thread_id: null, reason: 'epoch_changed' }]);
  assert.equal(hailgate.epoch, 'epoch-2');
});

test('a message goes over the socket, and by REST under the same key if that cannot say it is stored', async () => {
  const { server, hailgate } = await live();
  const sent = await hailgate.send({ thread_id: 't1', content: 'by socket', client_message_id: 'k1' });
  assert.equal(sent.duplicate, false);
  const [socket] = server.sockets;
  socket.mute = true;
  const sending = hailgate.send({ thread_id: 't1', content: 'by both', client_message_id: 'k2' });
  await pass(LIMITS.ack_ms + 250);
  assert.equal((await sending).message.content, 'by both');
  socket.mute = false;
  socket.say({ type: 'ack', id: 99, data: {} });
  await assert.rejects(hailgate.send({ thread_id: 'nowhere', content: 'x' }), { code: 'not_found' });
  assert.deepEqual(server.threads.get('t1').messages.map(({ content }) => content), ['by socket', 'by both']);
});

test('nothing is sent by REST as another user while the connection is away', async () => {
  const { server, hailgate } = await live();
  server.network = 'blocked';
  server.close(1006);
  server.user = 'bob';
  await assert.rejects(hailgate.send({ thread_id: 't1', content: 'mine' }), { code: 'another_user', status: 401 });
  assert.equal(server.log.length, 0);
  assert.equal(hailgate.state, 'signed_out');
});
