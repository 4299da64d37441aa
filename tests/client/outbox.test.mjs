// outbox.test.mjs: messages on their way survive the page, are sent once and in order, and never as somebody else or to another log.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Hailgate } from '/hailgate.js';
import { Outbox } from '/static/outbox.js';
import { Air, chance, Locks, pass, releaseTime, Server, settle, stopTime } from './world.mjs';

beforeEach(stopTime);
afterEach(releaseTime);

/** What static/kept.js promises, in memory; the real one is tested in a browser. */
class Store {
  records = new Map();
  refuses = false;

  #ask(work) { return this.refuses ? Promise.reject(new Error('QuotaExceededError')) : Promise.resolve().then(work); }
  #of(user) { return [...this.records.values()].filter((record) => record.user === user).sort((a, b) => a.written - b.written).map((record) => structuredClone(record)); }
  all(user) { return this.#ask(() => this.#of(user)); }
  put(record) { return this.#ask(() => { this.records.set(`${record.user} ${record.client_message_id}`, structuredClone(record)); }); }
  delete(user, key) { return this.#ask(() => { this.records.delete(`${user} ${key}`); }); }
  adopt(user, from, to) {
    return this.#ask(() => {
      const found = this.#of(user).filter(({ tab }) => tab === from).map((record) => ({ ...record, tab: to }));
      for (const record of found) this.records.set(`${user} ${record.client_message_id}`, record);
      return found;
    });
  }
}

class Browser {
  store = new Store();
  locks = new Locks();
  air = new Air();
  #count = 0;

  constructor(server) { this.server = server; }

  /** A tab of whoever is signed in; a session of before makes it the same tab loaded again. */
  async open({ session = new Map(), locks = true } = {}) {
    const id = this.#count += 1, { server } = this, tab = { id, session, dead: false };
    const fetch = (...request) => (tab.dead ? new Promise(() => {}) : server.fetch(...request));
    const WebSocket = class extends server.WebSocket { constructor(url) { super(url); this.tab = id; this.closed = tab.dead && 1006; } };
    const seams = { locks: locks ? this.locks.of(id) : null, BroadcastChannel: this.air.of(id) };
    tab.hailgate = new Hailgate({ base: 'http://server', fetch, WebSocket, random: () => 0.5, page: new EventTarget(), ...seams });
    tab.hailgate.user = { user_id: server.user };   // as `me` would have found it, were there a network
    tab.hailgate.known(tab.hailgate.user);
    tab.outbox = new Outbox(tab.hailgate, { kept: this.store, session: { getItem: (name) => session.get(name) ?? null, setItem: (name, value) => session.set(name, value) }, ...seams });
    tab.hailgate.addEventListener('event', ({ detail: { type, data } }) => type === 'message.created' && data.author === tab.hailgate.user.user_id && tab.outbox.confirm(data.client_message_id));
    tab.hailgate.start({ since: server.cursor() });
    await tab.outbox.restored;
    await settle();
    return tab;
  }

  /** The page is gone, by reload or crash. */
  close(tab) {
    tab.hailgate.stop();
    tab.dead = true;
    for (const socket of this.server.sockets) if (socket.tab === tab.id) { this.server.sockets.delete(socket); socket.onmessage = socket.onclose = null; }
    this.air.die(tab.id);
    this.locks.die(tab.id);
  }

  async reload(tab) {
    this.close(tab);
    await settle();
    return this.open({ session: tab.session });
  }
}

function set() {
  const server = new Server(['t1', 't2']);
  return { server, browser: new Browser(server), contents: (thread = 't1') => server.threads.get(thread).messages.map(({ content }) => content) };
}

function away(server) { server.network = 'down'; server.close(1006); }
async function back(server) { server.network = 'open'; await pass(25_000, 1_000); }
const shown = ({ outbox }, thread = 't1') => outbox.of(thread).map(({ content, state }) => `${content} ${state}`);

test('messages of a thread are sent one by one in order, and nothing of them is kept when they are stored', async () => {
  const { server, browser, contents } = set(), tab = await browser.open();
  for (let i = 0; i < 5; i += 1) tab.outbox.add('t1', `m${i}`);
  assert.equal(tab.outbox.size, 5);
  await pass(500);
  assert.deepEqual(contents(), ['m0', 'm1', 'm2', 'm3', 'm4']);
  assert.equal(tab.outbox.size, 0);
  assert.equal(browser.store.records.size, 0);
  assert.equal(server.dialled.length, 1);
});

test('what was written without a network outlives the page and is sent once, in order, after it', async () => {
  const { server, browser, contents } = set();
  let tab = await browser.open();
  away(server);
  await pass(2_000);
  for (const content of ['one', 'two', 'three']) tab.outbox.add('t1', content);
  tab.outbox.add('t2', 'elsewhere');
  await settle();
  assert.deepEqual(shown(tab), ['one waiting', 'two waiting', 'three waiting']);
  assert.equal(tab.outbox.atRisk, false, 'the window may be closed');
  for (let i = 0; i < 3; i += 1) { tab = await browser.reload(tab); await pass(3_000); }
  assert.deepEqual(shown(tab), ['one waiting', 'two waiting', 'three waiting']);
  await back(server);
  assert.deepEqual([contents(), contents('t2')], [['one', 'two', 'three'], ['elsewhere']]);
  assert.deepEqual([tab.outbox.size, browser.store.records.size], [0, 0]);
});

test('a message that was stored although nobody heard so is not stored again after a reload', async () => {
  const { server, browser, contents } = set(), tab = await browser.open();
  const [socket] = server.sockets;
  tab.outbox.add('t1', 'once');
  await settle();
  socket.onmessage = () => {};
  tab.outbox.add('t1', 'twice?');
  await settle();
  assert.deepEqual(contents(), ['once', 'twice?']);
  assert.equal(browser.store.records.size, 1);
  const again = await browser.reload(tab);
  await pass(3_000);
  assert.deepEqual(contents(), ['once', 'twice?']);
  assert.deepEqual([again.outbox.size, browser.store.records.size], [0, 0]);
});

test('what a user left unsent waits for that user alone', async () => {
  const { server, browser, contents } = set();
  const alice = await browser.open();
  away(server);
  await pass(2_000);
  alice.outbox.add('t1', 'by alice');
  await settle();
  browser.close(alice);
  server.user = 'bob';
  server.network = 'open';
  const bob = await browser.open();
  await pass(30_000, 5_000);
  assert.deepEqual([contents(), shown(bob)], [[], []]);
  browser.close(bob);
  server.user = 'alice';
  await browser.open();
  await pass(1_000);
  assert.deepEqual(server.threads.get('t1').messages.map(({ author, content }) => [author, content]), [['alice', 'by alice']]);
});

test('while another user may be signed in, nothing of an earlier page is sent', async () => {
  const { server, browser, contents } = set();
  let tab = await browser.open();
  away(server);
  await pass(2_000);
  tab.outbox.add('t1', 'by alice');
  await settle();
  tab = await browser.reload(tab);
  server.user = 'bob';
  await back(server);
  assert.equal(tab.hailgate.state, 'signed_out');
  assert.deepEqual([contents(), shown(tab)], [[], ['by alice waiting']]);
});

test('what was written for another log is not sent by itself, says why, and can be sent by hand', async () => {
  for (const reloads of [true, false]) {
    const { server, browser, contents } = set();
    let tab = await browser.open();
    away(server);
    await pass(2_000);
    tab.outbox.add('t1', 'for the old log');
    await settle();
    server.epoch = 'epoch-2';
    if (reloads) tab = await browser.reload(tab);
    await back(server);
    assert.deepEqual([contents(), shown(tab)], [[], ['for the old log failed']]);
    assert.match(tab.outbox.of('t1')[0].reason, /lost its latest history/);
    tab = await browser.reload(tab);
    await pass(2_000);
    assert.deepEqual(shown(tab), ['for the old log failed'], 'a reload does not send it either');
    tab.outbox.add('t1', 'later');
    await settle();
    tab.outbox.retry(tab.outbox.of('t1')[0].client_message_id);
    await settle();
    assert.deepEqual(contents(), ['later', 'for the old log']);
    assert.equal(browser.store.records.size, 0);
  }
});

test('without a connection that tells the log the server is asked by the cursor of then', async () => {
  for (const epoch of ['epoch-1', 'epoch-2']) {
    const { server, browser, contents } = set();
    server.streaming = false;
    let tab = await browser.open();
    away(server);
    await pass(2_000);
    tab.outbox.add('t1', 'kept');
    await settle();
    tab = await browser.reload(tab);
    Object.assign(server, { epoch, network: 'blocked' });
    await pass(40_000, 1_000);
    assert.equal(tab.hailgate.state, 'fallback');
    assert.equal(tab.hailgate.epoch, null);
    assert.deepEqual(contents(), epoch === 'epoch-1' ? ['kept'] : []);
    assert.deepEqual(shown(tab), epoch === 'epoch-1' ? [] : ['kept failed']);
    tab.hailgate.stop();
  }
});

test('where storage is refused it is said, the window is at risk, and the message is sent all the same', async () => {
  const { server, browser, contents } = set(), tab = await browser.open();
  browser.store.refuses = true;
  away(server);
  await pass(2_000);
  tab.outbox.add('t1', 'not kept');
  await settle();
  assert.equal(tab.outbox.atRisk, true);
  assert.equal(tab.outbox.of('t1')[0].reason, 'Will be sent when you are back. Keep this window open until then: the browser does not keep it');
  await back(server);
  assert.deepEqual(contents(), ['not kept']);
  assert.equal(tab.outbox.atRisk, false);
});

/** A server that takes no message until a time has come, and says how long that is. */
function refuses(server, told) {
  let tries = [];
  const post = server.post.bind(server), until = Date.now() + told.retry_after_ms;
  server.post = (draft) => {
    tries.push(Date.now());
    return Date.now() < until ? [429, { ...told, retry_after_ms: until - Date.now() }] : post(draft);
  };
  return { tries: () => tries.length, last: () => tries.at(-1), until };
}

test('a message that comes too fast waits in words, as long as the server says', async () => {
  const { server, browser, contents } = set(), tab = await browser.open();
  const limit = refuses(server, { code: 'rate_limited', retryable: true, retry_after_ms: 1_250 });
  for (const content of ['one', 'two', 'three']) tab.outbox.add('t1', content);
  await settle();
  assert.deepEqual(shown(tab), ['one waiting', 'two waiting', 'three waiting']);
  assert.deepEqual(tab.outbox.of('t1').map(({ reason }) => reason), Array(3).fill('Many messages at once. Will be sent by itself'));
  tab.outbox.add('t1', 'four');
  await pass(1_000);
  assert.equal(limit.tries(), 1, 'neither time nor another message makes it ask before');
  await pass(250);
  assert.deepEqual(contents(), ['one', 'two', 'three', 'four']);
  assert.equal(tab.hailgate.state, 'live');
});

test('a busy server is said to be busy, and who is away is told so instead', async () => {
  const { server, browser } = set(), tab = await browser.open();
  refuses(server, { code: 'busy', retryable: true, retry_after_ms: 60_000 });
  tab.outbox.add('t1', 'one');
  await settle();
  assert.equal(tab.outbox.of('t1')[0].reason, 'The server is busy. Will be sent by itself');
  away(server);
  await pass(3_000);
  assert.equal(tab.hailgate.state, 'offline');
  assert.equal(tab.outbox.of('t1')[0].reason, 'Will be sent when you are back');
});

test('no more than a bounded number waits', async () => {
  const { server, browser } = set(), tab = await browser.open();
  away(server);
  await pass(2_000);
  for (let i = 0; i < 200; i += 1) assert.equal(tab.outbox.add('t1', 'x'), true);
  assert.equal(tab.outbox.add('t1', 'x'), false);
});

test('what is discarded is gone, in other tabs and after a reload too', async () => {
  const { server, browser, contents } = set();
  const tab = await browser.open();
  away(server);
  await pass(2_000);
  tab.outbox.add('t1', 'no');
  await settle();
  const other = await browser.open();
  assert.deepEqual(shown(other), ['no waiting'], 'another tab shows it');
  tab.outbox.discard(tab.outbox.of('t1')[0].client_message_id);
  await settle();
  assert.deepEqual(shown(other), []);
  const again = await browser.reload(tab);
  await back(server);
  assert.deepEqual([contents(), shown(again)], [[], []]);
});

test('a tab sends what it was written in; when it is gone for longer than a reload, another does', async () => {
  const { server, browser, contents } = set();
  const [first, second] = [await browser.open(), await browser.open()];
  away(server);
  await pass(2_000);
  first.outbox.add('t1', 'by the first');
  await pass(250);
  second.outbox.add('t1', 'by the second');
  await settle();
  const again = await browser.reload(first);
  await pass(5_000);
  assert.deepEqual([...browser.store.records.values()].map(({ tab }) => tab), [again.session.get('hailgate tab'), second.session.get('hailgate tab')]);
  browser.close(again);
  await pass(5_000);
  assert.deepEqual(new Set([...browser.store.records.values()].map(({ tab }) => tab)), new Set([second.session.get('hailgate tab')]));
  await back(server);
  assert.deepEqual(contents(), ['by the first', 'by the second']);
  assert.equal(browser.store.records.size, 0);
});

test('without locks a new page takes over all that was left', async () => {
  const { server, browser, contents } = set();
  const tab = await browser.open({ locks: false });
  away(server);
  await pass(2_000);
  tab.outbox.add('t1', 'left');
  await settle();
  browser.close(tab);
  await browser.open({ locks: false });
  await back(server);
  assert.deepEqual(contents(), ['left']);
});

test('through any sequence of reloads, cuts and failures each message is stored once and those of a tab in order', async () => {
  for (let seed = Number(process.env.SEED ?? 1), last = process.env.SEED ? seed : seed + 30; seed <= last; seed += 1) {
    const random = chance(seed), { server, browser } = set();
    const tabs = [await browser.open(), await browser.open()];
    const by = new Map();
    let written = 0;
    const things = [
      ...Array(3).fill(() => { for (let i = random.below(3); i >= 0; i -= 1) { const tab = random.one(tabs); if (tab.hailgate.state !== 'signed_out') { tab.outbox.add('t1', `${written += 1}`); by.set(written, tab.session); } } }),
      async () => { const at = random.below(2); tabs[at] = await browser.reload(tabs[at]); },
      () => server.close(random.one([1006, 4200, 4202])),
      () => away(server),
      () => { server.network = random.one(['open', 'blocked']); },
      () => { for (const socket of server.sockets) socket.mute = random.odds(0.5); },
    ];
    for (let i = 0; i < 40; i += 1) { await random.one(things)(); await settle(); if (random.odds(0.6)) await pass(random.below(4_000), 1_000); }
    server.network = 'open';
    server.close(1006);
    for (let i = 0; i < 60 && browser.store.records.size; i += 1) await pass(10_000, 2_000);
    const stored = server.threads.get('t1').messages.map(({ content }) => Number(content));
    assert.deepEqual([...stored].sort((a, b) => a - b), Array.from({ length: written }, (_, i) => i + 1), `SEED=${seed}`);
    assert.equal(browser.store.records.size, 0, `SEED=${seed}`);
    for (const { session } of tabs) {
      const own = stored.filter((number) => by.get(number) === session);
      assert.deepEqual(own, [...own].sort((a, b) => a - b), `SEED=${seed}`);
    }
    for (const tab of tabs) { tab.hailgate.stop(); browser.close(tab); }
  }
});
