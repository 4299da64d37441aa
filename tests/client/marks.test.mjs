// marks.test.mjs: how far threads have been read is told at most once a second, and again after a failure.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Marks } from '/static/marks.js';
import { pass, releaseTime, stopTime } from './world.mjs';

beforeEach(stopTime);
afterEach(releaseTime);

function set() {
  const told = [], failures = [];
  const hailgate = Object.assign(new EventTarget(), {
    async markRead(thread_id, sequence) {
      const failure = failures.shift();
      if (failure) throw failure;
      told.push([thread_id, sequence, Date.now() - 1_000_000]);
    },
  });
  return { hailgate, told, failures, marks: new Marks(hailgate, () => Date.now()) };
}

test('the first is told at once, the rest once a second, each thread up to its last', async () => {
  const { told, marks } = set();
  marks.read('a', 1);
  await pass(1, 1);
  for (let sequence = 2; sequence <= 9; sequence += 1) { await pass(250); marks.read('a', sequence); }
  marks.read('b', 5);
  await pass(2_000);
  const ofA = told.filter(([id]) => id === 'a').map(([, sequence]) => sequence);
  assert.deepEqual([ofA[0], ofA.at(-1)], [1, 9]);
  assert.deepEqual(told.find(([id]) => id === 'b').slice(0, 2), ['b', 5]);
  const times = [...new Set(told.map(([, , at]) => at))];
  for (let i = 1; i < times.length; i += 1) assert.ok(times[i] - times[i - 1] >= 1_000, `${times}`);
});

test('what could not be told is told when the network is back', async () => {
  const { hailgate, told, failures, marks } = set();
  failures.push(Object.assign(new Error('no network'), { status: 0 }));
  marks.read('a', 7);
  await pass(10_000);
  assert.deepEqual(told, []);
  hailgate.dispatchEvent(new CustomEvent('state', { detail: { state: 'live' } }));
  await pass(1, 1);
  assert.deepEqual(told.map(([id, sequence]) => [id, sequence]), [['a', 7]]);
});

test('a refusal that passes is tried again, one that stays is not', async () => {
  const { told, failures, marks } = set();
  failures.push({ status: 429, retryable: true, retryAfterMs: 7_000 });
  marks.read('a', 7);
  await pass(6_000);
  assert.deepEqual(told, []);
  await pass(2_000);
  assert.equal(told.length, 1);
  failures.push({ status: 404, retryable: false });
  marks.read('b', 1);
  await pass(60_000);
  assert.equal(told.length, 1);
});
