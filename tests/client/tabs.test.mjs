// tabs.test.mjs: the tabs of one browser share one stream: who holds it, how it is handed over, and that nobody misses or doubles an event.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Hailgate } from '/hailgate.js';
import { Tabs } from '/static/tabs.js';
import { Air, chance, Locks, pass, record, releaseTime, Server, settle, stopTime } from './world.mjs';

beforeEach(stopTime);
afterEach(releaseTime);

/** Tries until it is answered, as the page does. */
async function until(tab, ask) {
  while (!tab.dead) {
    try { return await ask(); } catch (error) { if (!error.retryable) throw error; await settle(); }
  }
  return null;
}

/** One browser: its cookie, its locks and its channels. */
class Browser {
  locks = new Locks();
  air = new Air();
  tabs = [];
  #count = 0;

  constructor(server, random = () => 0.5) { Object.assign(this, { server, random }); }

  /** A new tab, as the page opens one: who, what is, and then what comes. */
  async open({ between = async () => {} } = {}) {
    const tab = await this.prepare();
    await until(tab, () => tab.hailgate.me());
    await this.read(tab);
    if (tab.dead) return tab;
    await between(tab);
    this.start(tab);
    await settle();
    return tab;
  }

  async prepare() {
    const id = this.#count += 1, { server } = this, page = new EventTarget();
    const tab = { id, page, snapshot: null, dead: false };
    const fetch = (...request) => (tab.dead ? new Promise(() => {}) : server.fetch(...request));
    const hailgate = new Hailgate({ base: 'http://server', fetch, WebSocket: this.#sockets(tab), random: this.random, locks: this.locks.of(id), BroadcastChannel: this.air.of(id), page });
    Object.assign(tab, { hailgate, told: record(hailgate) });
    this.tabs.push(tab);
    // What the page does when it is told to: it reads anew, and shows what it read.
    hailgate.addEventListener('reload', ({ detail }) => detail.thread_id === null && !tab.dead && this.read(tab));
    return tab;
  }

  async read(tab) {
    const { threads, cursor } = await until(tab, () => tab.hailgate.threads()) ?? {};
    if (!threads) return;
    tab.snapshot = new Map(threads.map(({ thread_id, sequence }) => [thread_id, sequence]));
    tab.since = cursor;
  }

  start(tab) { tab.hailgate.start({ since: tab.since }); }

  #sockets(tab) {
    return class extends this.server.WebSocket {
      constructor(url) { super(url); this.tab = tab.id; this.closed = tab.dead && 1006; }
    };
  }

  /** As a crash: nothing is said, the system lets go of all it held. */
  kill(tab) {
    tab.dead = true;
    this.tabs = this.tabs.filter((other) => other !== tab);
    for (const socket of this.server.sockets) if (socket.tab === tab.id) { this.server.sockets.delete(socket); socket.onmessage = socket.onclose = null; }
    this.air.die(tab.id);
    this.locks.die(tab.id);
  }

  get leaders() { return this.tabs.filter(({ hailgate }) => hailgate.leads); }
}

/** Each thread from what was read up to its end, each event once and in order. */
function isWhole({ told, snapshot }, server, label) {
  for (const [thread_id, from] of snapshot) {
    const sequences = told.events.filter((event) => event.thread_id === thread_id).map(({ sequence }) => sequence);
    const { sequence: last } = server.threads.get(thread_id);
    const unique = [...new Set(sequences)];
    assert.deepEqual(unique, sequences, `${label}: ${thread_id} has no event twice`);
    assert.deepEqual([...sequences].sort((a, b) => a - b), sequences, `${label}: ${thread_id} is in order`);
    const after = sequences.filter((sequence) => sequence > from);
    assert.deepEqual(after, Array.from({ length: last - from }, (_, i) => from + 1 + i), `${label}: ${thread_id} from ${from} to ${last}`);
  }
}

test('three tabs have one connection, and each is told everything once', async () => {
  const server = new Server(['t1', 't2']), browser = new Browser(server);
  const tabs = [await browser.open(), await browser.open(), await browser.open()];
  assert.equal(server.sockets.size, 1);
  assert.equal(browser.leaders.length, 1);
  for (let i = 0; i < 5; i += 1) server.message('t1', `m${i}`);
  const [socket] = server.sockets;
  socket.say({ type: 'typing', data: { thread_id: 't1', user_id: 'bob', active: true } });
  await settle();
  for (const { hailgate, told } of tabs) {
    assert.deepEqual(told.places(), ['t1:1', 't1:2', 't1:3', 't1:4', 't1:5']);
    assert.equal(told.notices.length, 1);
    assert.deepEqual(told.reloads, []);
    assert.equal(hailgate.state, 'live');
    assert.equal(hailgate.epoch, 'epoch-1');
    assert.equal(hailgate.limits.heartbeat_ms, 25_000);
  }
  assert.equal(server.dialled.length, 1);
});

test('when the tab with the stream goes, the next goes on from the last cursor, whatever happened in between', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  const [first, second, third] = [await browser.open(), await browser.open(), await browser.open()];
  server.message('t1', 'one');
  await settle();
  browser.kill(first);
  server.message('t1', 'while nobody listened');
  await settle();
  assert.deepEqual(browser.leaders, [second]);
  const { position } = server.opened(server.dialled.at(-1).url.searchParams.get('since'));
  assert.equal(position, 1, 'not from where it began, nor from now');
  server.message('t1', 'three');
  await settle();
  second.hailgate.stop();
  server.message('t1', 'four');
  await settle();
  assert.deepEqual(browser.leaders, [third]);
  assert.deepEqual(third.told.places(), ['t1:1', 't1:2', 't1:3', 't1:4']);
  assert.deepEqual(second.told.places(), ['t1:1', 't1:2', 't1:3'], 'a tab that stopped is told nothing more');
  assert.equal(second.hailgate.state, 'stopped');
  second.hailgate.start();
  await settle();
  server.message('t1', 'five');
  await settle();
  assert.deepEqual(second.told.places(), ['t1:1', 't1:2', 't1:3', 't1:4', 't1:5'], 'and goes on where it was');
  assert.deepEqual(browser.leaders, [third]);
  assert.deepEqual([second, third].flatMap(({ told }) => told.reloads), []);
});

test('what is stored between the reading of a new tab and its start is told to it once', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  await browser.open();
  server.message('t1', 'before');
  const late = await browser.open({ between: async () => { server.message('t1', 'between'); await settle(); } });
  server.message('t1', 'after');
  await settle();
  assert.deepEqual(late.told.places(), ['t1:2', 't1:3']);
  assert.deepEqual(late.told.reloads, []);
});

test('what a new tab has read already is not told to it again, even if the stream is late', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  await browser.open();
  for (const socket of server.sockets) socket.mute = true;
  server.message('t1', 'read by REST');
  const late = await browser.open();
  server.close(1006);
  await pass(2_000);
  server.message('t1', 'after');
  await settle();
  assert.deepEqual(late.told.places(), ['t1:2']);
  assert.deepEqual(browser.tabs[0].told.places(), ['t1:1', 't1:2']);
});

test('a tab whose cursor is from elsewhere reads anew', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  await browser.open();
  const late = await browser.prepare();
  late.snapshot = new Map([['t1', 0]]);
  const cursor = server.cursor();
  server.message('t1', 'missed');
  await late.hailgate.me();
  await settle();
  late.hailgate.start({ since: cursor });
  await settle();
  assert.deepEqual(late.told.reloads.map(({ reason }) => reason), ['joined']);
  server.message('t1', 'after');
  await settle();
  isWhole(late, server, 'late');
});

test('a tab that reads while another, which read later, takes the stream reads anew', async () => {
  for (const waits of [false, true]) {
    const server = new Server(['t1']), browser = new Browser(server), [slow, quick] = [await browser.prepare(), await browser.prepare()];
    for (const tab of [slow, quick]) { await tab.hailgate.me(); await browser.read(tab); server.message('t1', 'read by the second alone'); }
    browser.start(quick);
    if (waits) await settle();
    browser.start(slow);
    server.message('t1', 'after');
    await settle();
    assert.deepEqual(browser.leaders, [quick]);
    for (const tab of [slow, quick]) isWhole(tab, server, `tab ${tab.id}`);
    assert.equal(slow.told.reloads.length, 1);
    assert.equal(quick.told.reloads.length, 0);
  }
});

test('the last words of a leader that come after those of the next bring events, but change no state and no cursor', async () => {
  const air = new Air(), heard = [], post = new (air.of('others'))('hailgate stream alice');
  const tabs = new Tabs({ user_id: 'alice', locks: new Locks().of('us'), BroadcastChannel: air.of('us'), lead: () => {}, hear: (what, detail) => heard.push([what, detail]), asked: () => {} });
  const told = (leader, count, what, detail) => post.postMessage({ kind: 'told', leader, count, what, detail });
  told('old', 7, 'cursor', 'c7');
  post.postMessage({ kind: 'here', leader: 'new', count: 0, fresh: false, snapshot: {} });
  told('new', 1, 'state', 'connecting');
  told('old', 8, 'event', 'e8');
  told('old', 9, 'cursor', 'c9');
  told('old', 10, 'state', 'live');
  told('new', 2, 'cursor', 'c2');
  await settle();
  assert.deepEqual(heard, [['leader', { fresh: false }], ['cursor', 'c7'], ['leader', { fresh: false }], ['state', 'connecting'], ['event', 'e8'], ['cursor', 'c2']]);
  tabs.close();
});

test('a tab that was put away for a while and missed what was told reads anew', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  const [, away] = [await browser.open(), await browser.open()];
  server.message('t1', 'one');
  await settle();
  browser.air.deaf = away.id;
  server.message('t1', 'missed');
  await settle();
  browser.air.deaf = null;
  server.message('t1', 'three');
  await settle();
  assert.deepEqual(away.told.reloads.map(({ reason }) => reason), ['missed']);
  isWhole(away, server, 'away');
});

test('a tab without the stream sends by REST, and its typing and its impatience go through the one that has it', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  const [, follower] = [await browser.open(), await browser.open()];
  const { duplicate } = await follower.hailgate.send({ thread_id: 't1', content: 'mine', client_message_id: 'k' });
  assert.equal(duplicate, false);
  follower.hailgate.typing('t1', true);
  await settle();
  assert.deepEqual([...server.sockets][0].heard, ['typing']);
  for (const { told } of browser.tabs) assert.deepEqual(told.places(), ['t1:1']);
  server.network = 'down';
  server.close(1006);
  await pass(20_000);
  assert.deepEqual(browser.tabs.map(({ hailgate }) => hailgate.state), ['offline', 'offline']);
  server.network = 'open';
  const before = server.dialled.length;
  follower.page.dispatchEvent(new Event('online'));
  await pass(500);
  assert.equal(server.dialled.length, before + 1);
  assert.deepEqual(browser.tabs.map(({ hailgate }) => hailgate.state), ['live', 'live']);
});

test('signing out, or another user signing in, ends every tab', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  const [first, second] = [await browser.open(), await browser.open()];
  await second.hailgate.logout();
  await settle();
  assert.deepEqual(browser.tabs.map(({ hailgate }) => hailgate.state), ['signed_out', 'signed_out']);
  assert.equal(server.sockets.size, 0);
  server.user = 'alice';
  await first.hailgate.me();
  await browser.read(first);
  browser.start(first);
  await settle();
  assert.equal(first.hailgate.state, 'live');
  const third = await browser.open();
  server.user = 'bob';
  const other = await browser.prepare();
  await other.hailgate.me();
  await settle();
  for (const { hailgate } of [first, third]) assert.deepEqual([hailgate.state, hailgate.words], ['signed_out', 'Another user signed in here. Sign in again']);
  await browser.read(other);
  browser.start(other);
  server.message('t1', 'for bob');
  await pass(60_000, 5_000);
  assert.deepEqual(other.told.places(), ['t1:1']);
  assert.deepEqual([first, third].flatMap(({ told }) => told.places()), []);
  assert.equal(server.sockets.size, 1);
});

test('tabs that were ended together come back together when one of them signs in again', async () => {
  const server = new Server(['t1']), browser = new Browser(server);
  const [first, second] = [await browser.open(), await browser.open()];
  server.user = null;
  server.close(4401);
  await settle();
  assert.deepEqual(browser.tabs.map(({ hailgate }) => hailgate.state), ['signed_out', 'signed_out']);
  server.message('t1', 'meanwhile');
  await pass(10_000);
  server.user = 'alice';
  await second.hailgate.me();
  await browser.read(second);
  browser.start(second);
  await settle();
  server.message('t1', 'again');
  await settle();
  assert.deepEqual(browser.tabs.map(({ hailgate }) => hailgate.state), ['live', 'live']);
  assert.equal(server.sockets.size, 1);
  assert.ok(first.told.reloads.length >= 1);
  for (const tab of browser.tabs) isWhole(tab, server, `tab ${tab.id}`);
});

test('where locks are missing or refused each tab has a stream of its own', async () => {
  const server = new Server(['t1']), air = new Air();
  for (const locks of [undefined, { request: () => Promise.reject(new DOMException('no', 'SecurityError')) }]) {
    const tabs = [1, 2].map((id) => new Hailgate({ base: 'http://server', fetch: server.fetch, WebSocket: server.WebSocket, locks: locks ?? null, BroadcastChannel: air.of(`${id}`), page: new EventTarget() }));
    const told = tabs.map(record);
    for (const hailgate of tabs) { await hailgate.me(); hailgate.start({ since: (await hailgate.threads()).cursor }); }
    await settle();
    assert.equal(server.sockets.size, 2);
    server.message('t1', 'x');
    await settle();
    for (const { events } of told) assert.equal(events.length, 1);
    for (const hailgate of tabs) hailgate.stop();
  }
});

test('through any sequence of tabs opened, closed, cut and put away each tab shows each event once and in order', async () => {
  for (let seed = Number(process.env.SEED ?? 1), last = process.env.SEED ? seed : seed + 60; seed <= last; seed += 1) {
    const random = chance(seed), server = new Server(['t1', 't2']), browser = new Browser(server, random);
    server.tellsCursor = () => random.odds(0.4);
    const speak = () => { for (let i = random.below(4); i >= 0; i -= 1) server.message(random.one(['t1', 't2']), 'x'); };
    const opening = [];
    const things = [
      speak, speak, speak,
      async () => { if (browser.tabs.length < 5) opening.push(browser.open({ between: async () => { if (random.odds(0.5)) speak(); if (random.odds(0.5)) await settle(); } })); },
      () => { if (browser.tabs.length > 1) browser.kill(random.one(browser.tabs)); },
      () => server.close(random.one([1006, 4200, 4202])),
      () => { server.network = random.one(['open', 'open', 'blocked', 'down']); if (server.network !== 'open') { server.close(1006); } },
      () => { for (const { page } of browser.tabs) if (random.odds(0.5)) page.dispatchEvent(new Event('online')); },
      () => { for (const tab of browser.tabs) if (random.odds(0.2) && tab.hailgate.state === 'live') { tab.hailgate.stop(); tab.hailgate.start(); } },
    ];
    await browser.open();
    for (let i = 0; i < 50; i += 1) { await random.one(things)(); if (random.odds(0.7)) await pass(random.below(3_000), 1_000); }
    server.network = 'open';
    for (let i = 0; i < 200 && !(browser.tabs.length && browser.tabs.every(({ hailgate }) => hailgate.state === 'live')); i += 1) { await pass(2_000, 2_000); server.close(1006); await pass(3_000, 1_000); }
    await Promise.allSettled(opening);
    speak();
    for (const id of ['t1', 't2']) server.message(id, 'last');
    await settle();
    assert.equal(server.sockets.size, 1, `SEED=${seed}: one stream`);
    assert.equal(browser.leaders.length, 1, `SEED=${seed}: one leader`);
    for (const tab of browser.tabs) isWhole(tab, server, `SEED=${seed}, tab ${tab.id}`);
    for (const tab of [...browser.tabs]) { tab.hailgate.stop(); browser.kill(tab); }
  }
});
