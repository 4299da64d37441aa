// standin.test.mjs: receiving without a socket: a stream where it flows, long poll where it does not, and the way back.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Hailgate, LIMITS } from '/hailgate.js';
import { EventStream } from '/static/standin.js';
import { chance, pass, record, releaseTime, Server, settle, stopTime } from './world.mjs';

beforeEach(stopTime);
afterEach(releaseTime);

const SLOWER = 'Connected without WebSocket (slower)';

/** A client that cannot have a socket, once it knows. */
async function blocked({ streaming = true, since = true, network = 'blocked' } = {}) {
  const server = new Server(['t1', 't2']), page = new EventTarget();
  Object.assign(server, { network, streaming });
  const hailgate = new Hailgate({ base: 'http://server', fetch: server.fetch, WebSocket: server.WebSocket, random: () => 0.5, locks: null, BroadcastChannel: null, page });
  const told = record(hailgate);
  await hailgate.me();
  const { cursor } = await hailgate.threads();
  server.asked.length = 0;
  hailgate.start({ since: since ? cursor : null });
  await pass(5_000);
  const events = () => server.asked.filter(({ path }) => path === '/api/events');
  return { server, hailgate, told, events, page };
}

test('the third refusal that nothing explains brings a stream of events, in words, and REST sends', async () => {
  const { server, hailgate, told, events } = await blocked();
  assert.deepEqual([hailgate.state, hailgate.words], ['fallback', SLOWER]);
  assert.equal(server.dialled.length, LIMITS.refusals);
  assert.deepEqual([hailgate.epoch, hailgate.limits.heartbeat_ms], ['epoch-1', 25_000]);
  assert.deepEqual(events().map(({ accept }) => accept), ['text/event-stream']);
  server.message('t1', 'one');
  server.message('t2', 'two\nlines: of "it"');
  await settle();
  assert.deepEqual(told.places(), ['t1:1', 't2:1']);
  assert.equal((await hailgate.send({ thread_id: 't1', content: 'mine' })).message.sequence, 2);
  await settle();
  assert.deepEqual(told.places(), ['t1:1', 't2:1', 't1:2']);
  assert.equal(events().length, 1, 'one stream brought all');
});

test('a stream that is cut goes on from its last id', async () => {
  const { server, told, events } = await blocked();
  for (let i = 0; i < 5; i += 1) {
    await pass(LIMITS.stable_ms);
    server.message('t1', `before ${i}`);
    await settle();
    server.cut();
    server.message('t1', `after ${i}`);
    await pass(2_000);
  }
  assert.deepEqual(told.places(), Array.from({ length: 10 }, (_, i) => `t1:${i + 1}`));
  assert.ok(events().every(({ accept }) => accept === 'text/event-stream'), 'a stream that lived is worth another');
  assert.equal(new Set(events().map(({ query }) => query.get('since'))).size, events().length, 'each from another place');
  assert.deepEqual(told.reloads, []);
});

test('behind a proxy that keeps the stream to itself it polls instead, and misses nothing', async () => {
  const { server, told, hailgate, events } = await blocked({ streaming: false });
  server.message('t1', 'into the buffer');
  await pass(LIMITS.stream_first_ms + 1_000);
  assert.equal(hailgate.state, 'fallback');
  for (let i = 0; i < 3; i += 1) { server.message('t1', `poll ${i}`); await pass(500); }
  assert.deepEqual(told.places(), ['t1:1', 't1:2', 't1:3', 't1:4']);
  assert.equal(events().filter(({ accept }) => accept === 'text/event-stream').length, 1);
  assert.ok(events().filter(({ accept }) => accept === 'application/json').length >= 4);
});

test('streams that never live long give way to polls', async () => {
  const { server, events, told } = await blocked();
  for (let i = 0; i < 8; i += 1) { for (const stream of server.streams) if (stream.say) stream.cut(); server.message('t1', `${i}`); await pass(2_500); }
  assert.equal(events().filter(({ accept }) => accept === 'text/event-stream').length, LIMITS.stream_losses);
  assert.deepEqual(told.places(), Array.from({ length: 8 }, (_, i) => `t1:${i + 1}`));
});

test('a server that answers a stream with something else is polled', async () => {
  const server = { status: 0 };
  for (const answer of [() => new Response('{"events":[],"cursor":"epoch-1/0/0"}', { headers: { 'Content-Type': 'application/json' } }), () => new Response('{"code":"not_acceptable"}', { status: 406 })]) {
    const all = await blocked({ network: 'open' });
    Object.assign(server, all);
    all.server.answer = (method, path) => (path === '/api/events' && all.server.asked.at(-1).accept === 'text/event-stream' ? answer() : undefined);
    all.server.network = 'blocked';
    all.server.close(1006);
    await pass(8_000);
    all.server.message('t1', 'by poll');
    await pass(1_000);
    assert.deepEqual(all.told.places(), ['t1:1']);
    all.hailgate.stop();
  }
});

/** A way here on which polls succeed and streams end like this. */
async function withoutStreams(fail) {
  const all = await blocked({ network: 'open' }), { server } = all;
  const streams = [];
  server.answer = (method, path) => {
    if (path !== '/api/events' || server.asked.at(-1).accept !== 'text/event-stream') return undefined;
    streams.push(Date.now());
    return fail();
  };
  all.told.words.length = 0;
  server.network = 'blocked';
  server.close(1006);
  return { ...all, streams };
}

const STREAM_FAILURES = {
  'as a network error': () => { throw new TypeError('connection reset'); },
  'with 502': () => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'Content-Type': 'text/html' } }),
  'with 503 and a code': () => new Response('{"code":"busy","detail":"Too much.","retry_after_ms":500}', { status: 503 }),
};

for (const [how, fail] of Object.entries(STREAM_FAILURES)) {
  test(`where a stream fails ${how} it polls, with one steady line`, async () => {
    const { server, hailgate, told, streams } = await withoutStreams(fail);
    for (let i = 0; i < 20; i += 1) { server.message('t1', `${i}`); await pass(2_500); }
    assert.deepEqual([hailgate.state, hailgate.words], ['fallback', SLOWER]);
    assert.deepEqual(told.places(), Array.from({ length: 20 }, (_, i) => `t1:${i + 1}`));
    assert.equal(streams.length, 1, 'no other stream within a minute');
    await pass(15 * 60_000, 5_000);
    const pauses = streams.slice(1).map((at, i) => at - streams[i]);
    assert.ok(pauses.length >= 3 && pauses.every((ms, i) => ms >= LIMITS.stream_again_ms * 2 ** i - 1), `${pauses}`);
    assert.deepEqual(told.words, ['Connecting', SLOWER], 'the line does not change');
    hailgate.stop();
  });
}

test('a stream that flows again is taken again', async () => {
  const { server, hailgate, told } = await withoutStreams(STREAM_FAILURES['with 502']);
  await pass(30_000);
  server.answer = () => undefined;
  await pass(90_000, 1_000);
  const polls = server.asked.filter(({ accept, path }) => path === '/api/events' && accept === 'application/json').length;
  for (let i = 0; i < 5; i += 1) { server.message('t1', `${i}`); await pass(1_000); }
  assert.equal(told.events.length, 5);
  assert.equal(server.asked.filter(({ accept, path }) => path === '/api/events' && accept === 'application/json').length, polls);
  hailgate.stop();
});

test('the offline event is believed at once without a socket too', async () => {
  const { server, hailgate, page, told } = await blocked();
  page.dispatchEvent(new Event('offline'));
  assert.equal(hailgate.state, 'offline');
  await pass(5_000);
  assert.equal(hailgate.state, 'fallback', 'the server could be asked');
  server.message('t1', 'meanwhile');
  await settle();
  assert.deepEqual(told.places(), ['t1:1']);
});

test('the socket is looked for in the background with long pauses, and taken when it is there', async () => {
  const { server, hailgate, told } = await blocked();
  const before = server.dialled.length;
  await pass(10 * 60_000, 2_000);
  const probes = server.dialled.slice(before).map(({ at }) => at), pauses = probes.slice(1).map((at, i) => at - probes[i]);
  assert.ok(probes.length >= 3 && probes.length <= 20, `${probes.length} probes in ten minutes`);
  assert.ok(Math.min(...pauses) >= LIMITS.probe_min_ms, `${pauses}`);
  assert.ok(told.words.slice(told.words.indexOf(SLOWER)).every((words) => words === SLOWER), 'a probe is not seen');
  server.message('t1', 'by stream');
  server.network = 'open';
  await pass(5 * 60_000, 2_000);
  assert.equal(hailgate.state, 'live');
  assert.equal(server.streams.size, 0, 'nothing stands in any more');
  server.message('t1', 'by socket');
  await settle();
  assert.deepEqual(told.places(), ['t1:1', 't1:2']);
});

test('a bye in a stream is obeyed as one of a socket', async () => {
  for (const [code, state] of [[4401, 'signed_out'], [4403, 'stopped'], [4200, 'connecting']]) {
    const { server, hailgate } = await blocked();
    const [stream] = server.streams, from = Date.now();
    stream.bye({ code, reconnect: code < 4400, retry_after_ms: 9_000 });
    await settle();
    assert.equal(hailgate.state, state);
    const before = server.dialled.length;
    await pass(60_000);
    if (state === 'connecting') assert.ok(server.dialled[before].at - from >= 9_000 && hailgate.state === 'fallback');
    else assert.equal(server.dialled.length, before);
    hailgate.stop();
  }
});

test('a reset in a stream, and a poll that is gone, mean reading anew and going on from the head', async () => {
  for (const streaming of [true, false]) {
    const { server, told, hailgate } = await blocked({ streaming });
    await pass(LIMITS.stream_first_ms);
    server.epoch = 'epoch-2';
    server.cut();
    await pass(10_000);
    assert.deepEqual(told.reloads, [{ thread_id: null, reason: 'epoch_changed' }]);
    server.message('t2', 'after');
    await pass(1_000);
    assert.deepEqual(told.places(), ['t2:1']);
    hailgate.stop();
  }
});

test('a stream for another user ends it', async () => {
  const { server, hailgate, told } = await blocked();
  server.user = 'bob';
  server.cut();
  server.message('t1', 'for bob');
  await pass(3_000);
  assert.deepEqual([hailgate.state, told.places()], ['signed_out', []]);
});

test('without a cursor it asks for one and then streams from it', async () => {
  const { server, told, events } = await blocked({ since: false });
  assert.deepEqual(events().map(({ accept }) => accept), ['application/json', 'text/event-stream']);
  server.message('t1', 'one');
  await settle();
  assert.deepEqual(told.places(), ['t1:1']);
});

test('an error answer is told in words and waited out; no answer at all means offline', async () => {
  const { server, hailgate } = await blocked();
  server.answer = (method, path) => (path === '/api/events' ? new Response('{"code":"store_unavailable","detail":"The store does not answer.","retry_after_ms":3000}', { status: 503 }) : undefined);
  server.cut();
  await pass(4_000);
  assert.deepEqual([hailgate.state, hailgate.words], ['connecting', 'The server cannot reach its storage. Trying again']);
  server.answer = () => undefined;
  await pass(10_000);
  assert.deepEqual([hailgate.state, hailgate.words], ['fallback', SLOWER]);
  server.network = 'down';
  server.cut();
  await pass(5_000);
  assert.equal(hailgate.state, 'offline');
  server.network = 'blocked';
  await pass(30_000);
  assert.equal(hailgate.state, 'fallback');
});

test('a stream in which not even comments come any more is left', async () => {
  const { server, told } = await blocked();
  server.streaming = false;
  server.message('t1', 'lost on its way');
  await pass(40_000, 1_000);
  server.streaming = true;
  await pass(10_000);
  assert.deepEqual(told.places(), ['t1:1']);
});

test('a stream of events is read the same however it is cut', () => {
  const text = ': hello\r\n\r\nid: c1\r\ndata: {"a":1}\r\n\r\nevent: bye\ndata: one\ndata: two\n\nid: c2\n\ndata:tight\rdata\r\r: ignored\nid: nul\0\nretry: 5\nunknown: x\ndata:  spaced\n\n';
  const expected = new EventStream().push(text);
  assert.deepEqual(expected.filter(({ name }) => name !== 'place').map(({ name, data, id }) => [name, data, id]),
    [['message', '{"a":1}', 'c1'], ['bye', 'one\ntwo', 'c1'], ['message', 'tight\n', 'c2'], ['message', ' spaced', 'c2']]);
  const bytes = new TextEncoder().encode(text.replace('tight', 'tïght ✓'));
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = chance(seed), events = new EventStream(), decoder = new TextDecoder(), found = [];
    for (let at = 0; at < bytes.length;) {
      const to = Math.min(bytes.length, at + 1 + random.below(7));
      found.push(...events.push(decoder.decode(bytes.subarray(at, to), { stream: true })));
      at = to;
    }
    assert.deepEqual(found.map(({ data }) => data.replace('tïght ✓', 'tight')), expected.map(({ data }) => data), `seed ${seed}`);
  }
  assert.throws(() => { const events = new EventStream(); for (let i = 0; i < 40; i += 1) events.push('x'.repeat(65_536)); }, RangeError);
});
