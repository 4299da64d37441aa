// drafts.test.mjs: drafts are bounded, written one at a time, and what could not be kept is known. The browser's own store is tested in a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Drafts } from '/static/drafts.js';
import { settle } from './world.mjs';

/** What static/kept.js promises of drafts, in memory. */
class Store {
  records = new Map();
  refuses = false;
  written = [];

  async #turn() { if (this.refuses) throw new Error('QuotaExceededError'); }
  async drafts(user) { await this.#turn(); return [...this.records.values()].filter((record) => record.user === user).sort((a, b) => a.at - b.at); }
  async putDraft(record) { this.written.push(record.text); await this.#turn(); this.records.set(`${record.user} ${record.thread_id}`, record); }
  async deleteDraft(user, thread_id, at) { await this.#turn(); if (this.records.get(`${user} ${thread_id}`)?.at === at) this.records.delete(`${user} ${thread_id}`); }
}

async function opened(store, user = 'alice') {
  const drafts = new Drafts(store, user);
  await drafts.restored;
  return drafts;
}

test('a draft is kept for its user alone until it is empty', async () => {
  const store = new Store(), before = await opened(store);
  before.put('t1', ' half a sentence');
  before.put('t2', 'another');
  await settle();
  const after = await opened(store);
  assert.deepEqual([after.of('t1'), after.of('t2'), after.of('t3')], [' half a sentence', 'another', '']);
  assert.deepEqual((await opened(store, 'bob')).threads, []);
  after.put('t1', ' \n ');
  await settle();
  assert.deepEqual((await opened(store)).threads, ['t2']);
});

test('while one is being kept the keys that come make one more', async () => {
  const store = new Store(), drafts = await opened(store);
  for (const text of ['a', 'ab', 'abc', 'abcd']) drafts.put('t1', text);
  await settle();
  assert.deepEqual(store.written, ['a', 'abcd']);
});

test('of more than 100 drafts the one changed longest ago goes, in the store too', async () => {
  const store = new Store(), drafts = await opened(store);
  for (let i = 0; i < 100; i += 1) drafts.put(`t${i}`, `draft ${i}`);
  drafts.put('t0', 'changed');
  drafts.put('t100', 'one more');
  for (let turn = 0; turn < 40; turn += 1) await settle();
  assert.equal(drafts.of('t1'), '');
  const { threads } = await opened(store);
  assert.deepEqual([threads.length, threads.includes('t0'), threads.includes('t1'), threads.at(-1)], [100, true, false, 't100']);
});

test('what cannot be kept is at risk until it can be or is gone', async () => {
  const store = new Store(), drafts = await opened(store);
  store.refuses = true;
  drafts.put('t1', 'refused');
  await settle();
  assert.equal(drafts.atRisk, true);
  store.refuses = false;
  drafts.put('t1', 'refused no more');
  await settle();
  assert.equal(drafts.atRisk, false);
  drafts.put('t2', 'x'.repeat(100_001));
  await settle();
  assert.deepEqual([drafts.atRisk, drafts.of('t2').length, store.records.size], [true, 100_001, 1]);
  drafts.put('t2', '');
  await settle();
  assert.equal(drafts.atRisk, false);
});

test('a window deletes no draft that another one has written since', async () => {
  const store = new Store(), first = await opened(store);
  first.put('t1', 'first');
  await settle();
  const second = await opened(store);
  second.put('t1', 'second');
  await settle();
  first.put('t1', '');
  await settle();
  assert.equal((await opened(store)).of('t1'), 'second');
  assert.equal(second.of('t1'), 'second');
});

test('what is typed before the kept drafts are here counts', async () => {
  const store = new Store(), before = await opened(store);
  before.put('t1', 'kept');
  await settle();
  const drafts = new Drafts(store, 'alice');
  drafts.put('t1', 'typed');
  await drafts.restored;
  await settle();
  assert.equal(drafts.of('t1'), 'typed');
  assert.equal((await opened(store)).of('t1'), 'typed');
});
