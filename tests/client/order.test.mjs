// order.test.mjs: events once and in order, and what fills a hole.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { LIMITS } from '/static/rules.js';
import { Order, Sequences } from '/static/order.js';
import { chance, pass, releaseTime, Server, settle, stopTime } from './world.mjs';
import { Rest } from '/static/rest.js';

beforeEach(stopTime);
afterEach(releaseTime);

function set(threads) {
  const server = new Server(threads), rest = new Rest({ base: 'http://server', fetch: server.fetch });
  rest.user = { user_id: 'alice' };
  const handed = [], reloads = [];
  const order = new Order({ rest, random: () => 0.5, hand: (event) => handed.push(event), reload: (what) => reloads.push(what) });
  return { server, order, handed, reloads, sequences: () => handed.map(({ sequence }) => sequence) };
}

test('a repeated event is dropped and a first one is taken wherever it stands', async () => {
  const { server, order, sequences, reloads } = set();
  const events = ['a', 'b', 'c'].map((content) => { server.message('t1', content); return server.log.at(-1); });
  for (const event of [events[1], events[1], events[0], events[2], events[1]]) order.take(event);
  await settle();
  assert.deepEqual(sequences(), [2, 3]);
  assert.deepEqual(reloads, []);
});

test('messages missed in a hole are read by REST and handed on first, once, with what came meanwhile behind them', async () => {
  const { server, order, handed, sequences, reloads } = set(['t1', 't2']);
  for (let i = 1; i <= 250; i += 1) server.message('t1', `m${i}`);
  order.take(server.log[0]);
  order.take(server.log[230]);
  order.take(server.log[231]);
  server.message('t2', 'elsewhere');
  order.take(server.log.at(-1));
  assert.deepEqual(handed.map(({ thread_id }) => thread_id), ['t1', 't2'], 'another thread does not wait');
  await settle();
  assert.deepEqual(sequences().filter((_, i) => i !== 1), Array.from({ length: 232 }, (_, i) => i + 1));
  assert.deepEqual(handed[2].data, server.log[1].data);
  assert.equal(handed[2].by, 'bob');
  assert.deepEqual(reloads, []);
  order.take(server.log[229]);
  assert.equal(handed.length, 233, 'what was read by REST is not told again');
});

test('a hole with an edit in it hands on the messages and asks for the thread to be read anew', async () => {
  const { server, order, sequences, reloads } = set();
  server.message('t1', 'first');
  server.message('t1', 'second');
  server.edit('t1');
  server.message('t1', 'third');
  order.take(server.log[0]);
  order.take(server.log[3]);
  await settle();
  assert.deepEqual(sequences(), [1, 2, 4]);
  assert.deepEqual(reloads, [{ thread_id: 't1', reason: 'gap' }]);
});

test('a hole in a thread one is no longer in, or one too large, asks for a reload and goes on', async () => {
  const { server, order, sequences, reloads } = set(['t1', 't2']);
  for (let i = 0; i < LIMITS.repair_events + 2; i += 1) server.message('t1', 'x');
  order.take(server.log[0]);
  order.take({ ...server.log[1], sequence: LIMITS.repair_events + 3 });
  await settle();
  assert.deepEqual(reloads, [{ thread_id: 't1', reason: 'too many events were missed' }]);
  assert.equal(server.asked.length, 0, 'nothing is read that would be thrown away');
  assert.deepEqual(sequences(), [1, LIMITS.repair_events + 3]);
  for (let i = 0; i < 3; i += 1) server.message('t2', 'y');
  server.threads.get('t2').members.delete('alice');
  order.take(server.log.at(-3));
  order.take(server.log.at(-1));
  await settle();
  assert.deepEqual(reloads[1], { thread_id: 't2', reason: 'refused: not_found' });
});

test('a repair that fails for a while is tried again, and given up after its tries', async () => {
  for (const [failures, repaired] of [[LIMITS.repair_tries - 1, true], [LIMITS.repair_tries, false]]) {
    const { server, order, sequences, reloads } = set();
    for (let i = 0; i < 3; i += 1) server.message('t1', 'x');
    let left = failures;
    server.answer = () => { left -= 1; if (left >= 0) throw new TypeError('fetch failed'); };
    order.take(server.log[0]);
    order.take(server.log[2]);
    await pass(20_000);
    assert.deepEqual(sequences(), repaired ? [1, 2, 3] : [1, 3]);
    assert.equal(reloads.length, repaired ? 0 : 1);
  }
});

test('what waits behind a hole is bounded', async () => {
  const { server, order, handed, reloads } = set();
  for (let i = 0; i < LIMITS.repair_held + 20; i += 1) server.message('t1', 'x');
  server.answer = () => new Promise(() => {});
  order.take(server.log[0]);
  for (const event of server.log.slice(5)) order.take(event);
  await settle();
  assert.equal(reloads.length, 1);
  assert.equal(handed.length, LIMITS.repair_held + 16, 'all but those in the hole');
});

test('nothing of an order that was cleared is handed on by a repair from before', async () => {
  const { server, order, sequences } = set();
  for (let i = 0; i < 3; i += 1) server.message('t1', 'x');
  order.take(server.log[0]);
  order.take(server.log[2]);
  order.clear();
  await settle();
  assert.deepEqual(sequences(), [1]);
});

test('joining again starts the count, leaving and the end of a thread end it', () => {
  const sequences = new Sequences(), me = 'alice', take = (type, sequence, user_id) => sequences.take({ type, thread_id: 't1', sequence, data: { user_id } }, me);
  assert.equal(take('message.created', 4), 'next');
  assert.equal(take('thread.member_removed', 5, 'bob'), 'next');
  assert.equal(take('thread.member_removed', 9, me), 'next');
  assert.equal(take('thread.member_added', 20, me), 'next');
  assert.equal(take('message.created', 22), 'gap');
  assert.equal(take('message.created', 21), 'next');
  assert.equal(take('thread.deleted', 40), 'next');
});

test('whatever is lost, repeated and shuffled a little on its way, each message is handed on once and in order', async () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = chance(seed), { server, order, handed, reloads } = set(['t1', 't2', 't3']);
    order.seed([['t1', 0], ['t2', 0], ['t3', 0]]);
    for (let i = 0; i < 60; i += 1) {
      server.message(random.one(['t1', 't2', 't3']), `m${i}`);
      if (random.odds(0.3)) continue;
      order.take(server.log[Math.max(0, server.log.length - 1 - random.below(3))]);
      if (random.odds(0.2)) await settle();
    }
    for (const thread of ['t1', 't2', 't3']) { server.message(thread, 'last'); order.take(server.log.at(-1)); }
    await settle();
    for (const [id, { sequence }] of server.threads) {
      const told = handed.filter(({ thread_id }) => thread_id === id).map((event) => event.sequence);
      assert.deepEqual(told, Array.from({ length: sequence }, (_, i) => i + 1), `seed ${seed}`);
    }
    assert.deepEqual(reloads, [], `seed ${seed}`);
  }
});
