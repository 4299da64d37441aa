// random.test.mjs: a client and a network that fails in every way at random: each event once, in order, without a hole.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Hailgate } from '/hailgate.js';
import { chance, pass, record, releaseTime, Server, settle, stopTime } from './world.mjs';

beforeEach(stopTime);
afterEach(releaseTime);

const THREADS = ['t1', 't2', 't3'];
const COMING_BACK = [1001, 1006, 1011, 4200, 4202, 4204, 4205, 4210, 4211, 4400];

/** One thing that may happen. */
function happens(random, server) {
  const things = [
    () => { for (let i = random.below(6); i >= 0; i -= 1) server.message(random.one(THREADS), 'x'); },
    () => { for (let i = random.below(6); i >= 0; i -= 1) server.message(random.one(THREADS), 'x'); },
    () => server.close(random.one(COMING_BACK), random.odds(0.5) ? { retry_after_ms: random.below(3_000) } : undefined),
    () => server.cut(),
    () => { server.network = random.one(['open', 'blocked', 'down', 'open']); if (server.network !== 'open') server.close(1006); if (server.network === 'down') server.cut(); },
    () => { server.streaming = random.odds(0.6); },
    () => { const lossy = random.odds(0.3); server.drops = ({ type }) => lossy && type === 'message.created' && random.odds(0.3); },
    () => { for (const socket of server.sockets) socket.mute = random.odds(0.5); },
  ];
  random.one(things)();
}

test('through any sequence of failures each event is told once and in order', async () => {
  for (let seed = Number(process.env.SEED ?? 1), last = process.env.SEED ? seed : seed + 40; seed <= last; seed += 1) {
    const random = chance(seed), server = new Server(THREADS);
    const hailgate = new Hailgate({ base: 'http://server', fetch: server.fetch, WebSocket: server.WebSocket, random, locks: null, BroadcastChannel: null, page: new EventTarget() });
    const told = record(hailgate);
    server.tellsCursor = () => random.odds(0.3);
    await hailgate.me();
    for (let i = random.below(5); i > 0; i -= 1) server.message(random.one(THREADS), 'before');
    const { threads, cursor } = await hailgate.threads();
    if (random.odds(0.5)) server.message('t1', 'between');
    hailgate.start({ since: cursor });
    for (let i = 0; i < 60; i += 1) { happens(random, server); await pass(random.below(4_000), 1_000); }
    Object.assign(server, { network: 'open', streaming: true, drops: () => false });
    server.close(1006);
    for (let i = 0; i < 500 && hailgate.state !== 'live'; i += 1) await pass(2_000, 2_000);
    for (const thread of THREADS) server.message(thread, 'last');
    await settle();
    assert.equal(hailgate.state, 'live', `SEED=${seed}`);
    for (const { thread_id, sequence } of threads) {
      const sequences = told.events.filter((event) => event.thread_id === thread_id).map((event) => event.sequence);
      assert.deepEqual(sequences, Array.from({ length: server.threads.get(thread_id).sequence - sequence }, (_, i) => sequence + 1 + i), `SEED=${seed}, ${thread_id}`);
    }
    assert.deepEqual(told.reloads, [], `SEED=${seed}`);
    hailgate.stop();
  }
});
