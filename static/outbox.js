// outbox.js: messages on their way. Each thread's go one by one, wait without network, survive a reload, and are never sent twice.
//
// A message is kept by the browser until the server has stored it. The tab that it was written in sends it; when that tab is gone, another of the
// same user does, under the same key. A message written for another log (the server was set back, or is another) waits for a hand to send it again.

import { newKey } from './hailgate.js';
import { Kept } from './kept.js';
import { hasEnded, isConnected, sleep } from './rules.js';
import { joined } from './words.js';

const WAITING_MAX = 200;
const AGAIN_MS = 5_000;    // where the server names no time
const RELOAD_MS = 2_000;   // a tab that is gone for no longer was loaded again, and sends for itself

const BACK = 'Will be sent when you are back', BUSY = 'The server is busy. Will be sent by itself';
const FAST = 'Many messages at once. Will be sent by itself', UNHEARD = 'The server did not answer. Will be sent by itself';
const NOT_KEPT = 'Keep this window open until then: the browser does not keep it';
const OTHER_LOG = 'the server lost its latest history since you wrote this. Look whether it is there, and send it again if not';

/** Failures to reach the server; every other code is an answer of it. */
const FROM_HERE = ['network', 'timeout', 'aborted', 'closed', 'backlog', 'not_json'];
/** States in which nothing can be sent. */
const isAway = (state) => state === 'offline' || hasEnded(state);

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
  #waits = new Map();     // thread_id -> {timer, reason} until the next try, where the server or the way there asked for a pause
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
    hailgate.addEventListener('state', ({ detail: { state } }) => { if (isConnected(state)) this.wake(); else if (isAway(state)) this.#away(); });
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
    this.#endWait(entry.thread_id);
    this.#next(entry.thread_id);
  }

  discard(key) { this.#take(key); }

  /** The message was seen in the stream: it is stored, whatever the answer will be. */
  confirm(key) { return this.#take(key); }

  wake() {
    for (const thread_id of [...this.#waits.keys()]) this.#endWait(thread_id);
    for (const thread_id of this.#threads()) this.#next(thread_id);
  }

  #threads() { return new Set([...this.#entries.values()].map((entry) => entry.thread_id)); }

  /** What waits for another reason waits for the connection now. */
  #away() { for (const thread_id of this.#threads()) if (!this.#busy.has(thread_id)) this.#hold(thread_id, BACK); }

  // Keeping

  async #keep(entry) {
    await this.#named;
    if (!this.#entries.has(entry.client_message_id)) return;
    const { client_message_id, thread_id, content, created_at, written, epoch, cursor, state, reason } = entry;
    const failed = state === 'failed' ? { reason } : {};
    entry.kept = await this.#kept.put({ user: this.#user, tab: this.#tab, client_message_id, thread_id, content, created_at, written, epoch, cursor, ...failed }).then(() => true, () => false);
    if (!this.#entries.has(client_message_id)) this.#forget(client_message_id);   // sent meanwhile
    else if (!entry.kept && entry.state === 'waiting') this.#hold(thread_id, this.#waits.get(thread_id)?.reason ?? BACK);
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
    if (isAway(state) || user?.user_id !== this.#user || (entry.restored && !isConnected(state))) { this.#hold(thread_id, BACK); return; }
    const wait = this.#waits.get(thread_id);
    if (wait) { this.#hold(thread_id, wait.reason); return; }
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
      this.#wait(entry.thread_id, this.#reasonOf(error), error.retryAfterMs || AGAIN_MS);
      return false;
    }
    this.#fail(entry, error.code === 'not_found' ? 'you are not in this thread any more' : error.words[0].toLowerCase() + error.words.slice(1));
    return true;
  }

  /** Why the server has not stored it yet; "back" is said only to who is away. */
  #reasonOf({ code, status }) {
    if (code === 'rate_limited') return FAST;
    if (!FROM_HERE.includes(code) && status !== 401) return BUSY;
    return isConnected(this.hailgate.state) && status !== 401 ? UNHEARD : BACK;
  }

  #wait(thread_id, reason, ms) {
    this.#endWait(thread_id);
    this.#hold(thread_id, reason);
    this.#waits.set(thread_id, { reason, timer: setTimeout(() => { this.#endWait(thread_id); this.#next(thread_id); }, ms) });
  }

  #endWait(thread_id) {
    clearTimeout(this.#waits.get(thread_id)?.timer);
    this.#waits.delete(thread_id);
  }

  #fail(entry, reason) {
    this.#mark(entry, 'failed', reason);
    this.#keep(entry);
  }

  #hold(thread_id, reason) {
    for (const entry of this.of(thread_id)) {
      if (entry.state !== 'failed' && !entry.elsewhere) this.#mark(entry, 'waiting', entry.kept === false ? joined(reason, NOT_KEPT) : reason);
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
