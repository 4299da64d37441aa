// outbox.js: messages on their way. Each thread's go one by one, wait without network, survive a reload, and are never sent twice.
//
// A message is kept by the browser until the server has stored it. The tab that it was written in sends it; when that tab is gone, another of the
// same user does, under the same key. A message written for another log (the server was set back, or is another) waits for a hand to send it again.

import { newKey } from '/hailgate.js';
import { Kept } from './kept.js';
import { hasEnded, isConnected, sleep } from './rules.js';

const WAITING_MAX = 200;
const AGAIN_MS = 5_000;
const RELOAD_MS = 2_000;   // a tab that is gone for no longer was loaded again, and sends for itself

const BACK = 'Will be sent when you are back', BUSY = 'The server is busy. Will be sent by itself';
const NOT_KEPT = '. Keep this window open until then: the browser does not keep it';
const OTHER_LOG = 'the server lost its latest history since you wrote this. Look whether it is there, and send it again if not';

/** A browser that refuses storage throws for the very name. */
function sessionOf(page) { try { return page.sessionStorage; } catch { return null; } }

/** The name of a tab outlives a reload; of two that were given the same one the later takes a new one. */
async function tabName(locks, session) {
  const lock = (tab) => `hailgate tab ${tab}`;
  let tab = newKey();
  try { tab = session.getItem('hailgate tab') ?? tab; } catch { /* no storage: each reload is another tab */ }
  for (; locks; tab = newKey()) {
    const held = await new Promise((resolve) => { locks.request(lock(tab), { ifAvailable: true }, (ours) => { resolve(Boolean(ours)); return ours && new Promise(() => {}); }).catch(() => resolve(true)); });
    if (held) break;
  }
  try { session.setItem('hailgate tab', tab); } catch { /* as above */ }
  return tab;
}

/** Events: `change` (detail: thread_id), `stored` (detail: the message). Of one user, who is signed in when it is made. */
export class Outbox extends EventTarget {
  #entries = new Map();   // by client_message_id
  #busy = new Set();      // threads with a send under way
  #timer = null;
  #user; #kept; #locks; #channel = null; #tab; #named;
  #others = new Set();    // tabs whose end we wait for
  #written = 0; #ready = false;   // nothing is sent before what is older is here

  constructor(hailgate, { kept = new Kept(), locks = globalThis.navigator?.locks, BroadcastChannel = globalThis.BroadcastChannel, session = sessionOf(globalThis) } = {}) {
    super();
    this.hailgate = hailgate;
    this.#user = hailgate.user.user_id;
    this.#kept = kept;
    this.#locks = locks;
    if (BroadcastChannel) this.#channel = Object.assign(new BroadcastChannel(`hailgate unsent ${this.#user}`), { onmessage: ({ data }) => this.#hear(data) });
    hailgate.addEventListener('state', ({ detail }) => isConnected(detail.state) && this.wake());
    this.#named = tabName(locks, session).then((tab) => { this.#tab = tab; });
    /** Once what was left over is here. */
    this.restored = this.#restore();
  }

  get size() { return this.#entries.size; }
  /** Whether something would be lost with this window. */
  get atRisk() { return [...this.#entries.values()].some(({ kept }) => !kept); }
  of(thread_id) { return [...this.#entries.values()].filter((entry) => entry.thread_id === thread_id).sort((a, b) => a.written - b.written); }

  /** @returns {boolean} false when as many as we keep are waiting already */
  add(thread_id, content) {
    if (this.size >= WAITING_MAX) return false;
    const { epoch, cursor } = this.hailgate;
    this.#written = Math.max(this.#written + 1, Date.now());
    const entry = { client_message_id: newKey(), thread_id, author: this.#user, content, created_at: new Date().toISOString(), written: this.#written, epoch, cursor, state: 'sending', reason: null, kept: null, restored: false };
    this.#entries.set(entry.client_message_id, entry);
    this.#keep(entry);
    this.#tell('change', thread_id);
    this.#next(thread_id);
    return true;
  }

  /** Sends a failed one again, under its old key: if it had arrived after all, the server says so. */
  retry(key) {
    const entry = this.#entries.get(key);
    if (!entry) return;
    Object.assign(entry, { epoch: this.hailgate.epoch, cursor: this.hailgate.cursor, restored: false });
    this.#mark(entry, 'sending');
    this.#keep(entry);
    this.#next(entry.thread_id);
  }

  discard(key) { this.#take(key); }

  /** The message was seen in the stream: it is stored, whatever the answer will be. */
  confirm(key) { return this.#take(key); }

  wake() {
    clearTimeout(this.#timer);
    for (const thread_id of new Set([...this.#entries.values()].map((entry) => entry.thread_id))) this.#next(thread_id);
  }

  // Keeping

  async #keep(entry) {
    await this.#named;
    if (!this.#entries.has(entry.client_message_id)) return;
    const { client_message_id, thread_id, content, created_at, written, epoch, cursor, state, reason } = entry;
    const failed = state === 'failed' ? { reason } : {};
    entry.kept = await this.#kept.put({ user: this.#user, tab: this.#tab, client_message_id, thread_id, content, created_at, written, epoch, cursor, ...failed }).then(() => true, () => false);
    if (!this.#entries.has(client_message_id)) this.#forget(client_message_id);   // sent meanwhile
    else if (!entry.kept && entry.state === 'waiting') this.#hold(thread_id, BACK);
    this.#channel?.postMessage({ tab: this.#tab });
  }

  #forget(key) { this.#kept.delete(this.#user, key).catch(() => { /* sent again after a reload, it would be known */ }); }

  async #restore() {
    await this.#named;
    const records = await this.#kept.all(this.#user).catch(() => []);
    for (const record of records) this.#show(record);
    this.#written = Math.max(this.#written, records.at(-1)?.written ?? 0);
    this.#ready = true;
    if (records.length) this.#channel?.postMessage({ tab: this.#tab });
    for (const tab of new Set(records.map((record) => record.tab))) {
      if (tab !== this.#tab) await this.#adoptIfGone(tab);
    }
    this.wake();
  }

  #show({ user, tab, reason = null, ...record }) {
    if (this.#entries.has(record.client_message_id)) return;
    const ours = tab === this.#tab, state = ours && reason ? 'failed' : 'waiting';
    this.#entries.set(record.client_message_id, { ...record, author: user, state, reason: reason ?? BACK, kept: true, restored: true, elsewhere: !ours });
    this.#tell('change', record.thread_id);
  }

  /** Another tab writes: what it leaves unsent when it goes is ours to send. */
  #hear({ tab, gone }) {
    if (gone && this.#entries.get(gone)?.elsewhere) this.#take(gone);
    if (tab && this.#locks && tab !== this.#tab) this.#adoptIfGone(tab);
  }

  /** Without locks nobody knows who lives: all is ours, and what two tabs send the server stores once. */
  async #adoptIfGone(tab) {
    if (!this.#locks) { await this.#adopt(tab).catch(() => { /* it stays for a later page */ }); return; }
    const name = `hailgate tab ${tab}`, ifFree = () => this.#locks.request(name, { ifAvailable: true }, async (free) => { if (free) await this.#adopt(tab); return Boolean(free); });
    if (this.#others.has(tab)) return;
    this.#others.add(tab);
    const done = () => { this.#others.delete(tab); this.wake(); };
    if (await ifFree().catch(() => true)) { done(); return; }
    const wait = async () => {
      do {
        await this.#locks.request(name, () => {});
        await sleep(RELOAD_MS);
      } while (!await ifFree());
    };
    wait().then(done, done);
  }

  async #adopt(tab) {
    for (const record of await this.#kept.adopt(this.#user, tab, this.#tab)) {
      if (this.#entries.get(record.client_message_id)?.elsewhere) this.#entries.delete(record.client_message_id);
      this.#show(record);
    }
    this.#channel?.postMessage({ tab: this.#tab });   // who waits for that tab must wait for us now
  }

  // Sending

  #first(thread_id) { return this.of(thread_id).find(({ state, elsewhere }) => state !== 'failed' && !elsewhere); }

  async #next(thread_id) {
    const entry = this.#first(thread_id), { state, user } = this.hailgate;
    if (!this.#ready || !entry || this.#busy.has(thread_id)) return;
    // What is from an earlier page is sent only where it is known who we are.
    if (state === 'offline' || hasEnded(state) || user?.user_id !== this.#user || (entry.restored && !isConnected(state))) { this.#hold(thread_id, BACK); return; }
    let goOn = true;
    this.#busy.add(thread_id);
    this.#mark(entry, 'sending');
    try {
      const { client_message_id, content } = entry;
      if (await this.#isOfThisLog(entry)) {
        const { message } = await this.hailgate.send({ thread_id, content, client_message_id });
        this.#take(client_message_id);
        this.#tell('stored', message);
      } else {
        this.#fail(entry, OTHER_LOG);
      }
    } catch (error) {
      goOn = this.#failed(entry, error);
    }
    this.#busy.delete(thread_id);
    if (goOn) this.#next(thread_id);
  }

  /** By the epoch; where a connection told none (a long poll), by asking whether the cursor of then still holds. */
  async #isOfThisLog({ epoch, cursor, restored }) {
    if (epoch && this.hailgate.epoch) return epoch === this.hailgate.epoch;
    return !restored || !cursor || this.hailgate.isSameLog(cursor);
  }

  /** @returns {boolean} whether the next may be tried, or must wait like this one */
  #failed(entry, error) {
    if (!this.#entries.has(entry.client_message_id)) return true;   // seen in the stream meanwhile
    if (error.retryable || error.status === 401) {
      this.#hold(entry.thread_id, error.status ? BUSY : BACK);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.wake(), Math.max(error.retryAfterMs, AGAIN_MS));
      return false;
    }
    const content = error.errors.find(({ field }) => field === 'content');
    this.#fail(entry, error.code === 'not_found' ? 'you are not in this thread any more' : content?.reason ?? error.detail);
    return true;
  }

  #fail(entry, reason) {
    this.#mark(entry, 'failed', reason);
    this.#keep(entry);
  }

  #hold(thread_id, reason) {
    for (const entry of this.of(thread_id)) {
      if (entry.state !== 'failed' && !entry.elsewhere) this.#mark(entry, 'waiting', entry.kept === false ? reason + NOT_KEPT : reason);
    }
  }

  #mark(entry, state, reason = null) {
    entry.state = state;
    entry.reason = reason;
    this.#tell('change', entry.thread_id);
  }

  #take(key) {
    const entry = this.#entries.get(key);
    if (!entry) return false;
    this.#entries.delete(key);
    if (entry.kept) this.#forget(key);
    this.#channel?.postMessage({ gone: key });
    this.#tell('change', entry.thread_id);
    return true;
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
