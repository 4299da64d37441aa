// hailgate.js: the browser client of Hailgate, without dependencies, and a worked example of the wire.
//
//   const hailgate = new Hailgate();
//   await hailgate.me();                                     // who the cookie names; or `login`, `link`
//   hailgate.addEventListener('event', ({ detail }) => console.log(detail.type, detail.data));
//   const { threads, cursor } = await hailgate.threads();   // what is, and the cursor of that moment
//   hailgate.start({ since: cursor });                       // what comes after it, without a hole
//   await hailgate.send({ thread_id: threads[0].thread_id, content: 'hello' });   // stored, or it throws
//
// Its parts, from the wire up: rules.js (waits, words, what a close asks), rest.js (REST), standin.js (SSE and long poll), link.js (one line to
// the server: the table of states stands there), tabs.js (one line a browser), order.js (each event once, in order, holes filled).

import { Link } from './link.js';
import { Order } from './order.js';
import { HailgateError, Rest } from './rest.js';
import { ANOTHER, hasEnded, isConnected, LIMITS, newKey, WORDS } from './rules.js';
import { SENTENCES } from './words.js';
import { Tabs } from './tabs.js';

export { HailgateError, LIMITS, newKey };
export { backoffMs } from './rules.js';
export { Sequences } from './order.js';

/** What the stream of another tab told before `start`: everything after a REST answer is in it. Numbered from the first thing heard. */
class Early {
  #items = []; #first = 0; #known = new Map();

  get next() { return this.#first + this.#items.length; }

  add(what, detail) {
    if (this.#items.length >= LIMITS.shared_early) this.forget();
    this.#items.push({ what, detail });
  }

  /** What was heard up to here may have a hole. */
  forget() {
    const last = ['welcome', 'cursor', 'state'].map((what) => this.#items.findLast((item) => item.what === what)).filter(Boolean);
    this.#first = this.next;
    this.#items = last;
    this.#known.clear();
  }

  /** A cursor, what had been heard when it was asked for, and the threads it came with. */
  know(cursor, at, threads = []) {
    if (at < this.#first) return;
    this.#known.set(cursor, { at, sequences: threads.map(({ thread_id, sequence }) => [thread_id, sequence]) });
    if (this.#known.size > LIMITS.cursors_known) this.#known.delete(this.#known.keys().next().value);
  }

  /** What follows a cursor; what came before it counts only for how things stand. */
  after(cursor) {
    const known = this.#known.get(cursor), at = (known?.at ?? this.next) - this.#first;
    const told = this.#items.filter(({ what }, i) => i >= at || ['welcome', 'cursor', 'state'].includes(what));
    return { sure: known !== undefined, sequences: known?.sequences ?? [], told };
  }
}

/**
 * One user's connection. Events (all `CustomEvent`; look in `detail`):
 * - `state` `{state, words, code}`: connecting, live, fallback, offline, signed_out or stopped (code `disabled` if the account is)
 * - `welcome`: the data of `connection_established` · `caught_up`: that of the frame
 * - `event`: a logged event, each once and in the order of its thread · `notice`: an ephemeral one
 * - `reload` `{thread_id, reason}`: events were missed that REST could not give one by one; read that thread (null: everything) anew
 * - `error`: a `HailgateError` that no call was waiting for
 * All tabs of a browser get the same; one of them holds the stream.
 */
export class Hailgate extends Rest {
  /** Resume point; opaque. */ cursor = null;
  /** Which log the server keeps, once a connection told. */ epoch = null;
  /** The limits that the server told, by name. */ limits = {};
  state = 'stopped';
  words = WORDS.stopped;
  #random; #locks; #BroadcastChannel;
  #phase = 'idle';          // running between `start` and the end; ended: by the server, not by `stop`
  #link; #order; #tabs = null; #users = null;
  #early = new Early();
  #sure = false;            // whether what the other tabs are told covers everything after our cursor
  #shared = false;          // whether the other tabs know our cursor
  #told = false;            // whether another tab's stream was heard

  /** The seams are for programs outside a browser. */
  constructor({
    base = globalThis.location?.origin, fetch = globalThis.fetch, WebSocket = globalThis.WebSocket, random = Math.random,
    locks = globalThis.navigator?.locks, BroadcastChannel = globalThis.BroadcastChannel, page = globalThis,
  } = {}) {
    super({ base, fetch });
    this.#random = random;
    this.#locks = locks;
    this.#BroadcastChannel = BroadcastChannel;
    this.#link = new Link({ rest: this, WebSocket, random, tell: (what, detail) => this.#tell(what, detail) });
    this.#order = new Order({ rest: this, random, hand: (event) => this.#emit('event', event), reload: (what) => this.#emit('reload', what) });
    page.addEventListener?.('online', () => { if (this.leads) this.#link.back(); else this.#look(); });
    page.addEventListener?.('offline', () => this.leads && this.#link.away());
    page.document?.addEventListener('visibilitychange', () => page.document.visibilityState === 'visible' && this.#look());
  }

  /** Whether this tab holds the stream. */
  get leads() { return this.#phase === 'running' && (this.#tabs?.leads ?? true); }

  // Life
  /** Connects, and comes back until `stop`, sign-out or a close that forbids it. Without `since`, from the last cursor or from now. */
  start({ since = this.cursor } = {}) {
    this.#quit();
    const { sure, sequences, told } = this.#early.after(since);
    this.#sure = sure || !since;
    this.#shared &&= since === this.cursor;
    this.cursor = since;
    this.#phase = 'running';
    this.#order.seed(sequences);
    if (!this.#tabs) { this.#lead(); return; }
    this.#early = new Early();
    if (this.#told) this.#cover();
    for (const { what, detail } of told) this.#hear(what, detail);
    if (this.#phase === 'running') this.#tabs.compete();
  }

  /** This tab only. */
  stop() { this.#end('stopped'); }

  #end(state, words, code) {
    this.#quit();
    this.#set(state, words, code);
  }

  #quit() {
    this.run += 1;
    if (this.#phase === 'running' && this.cursor) this.#early.know(this.cursor, this.#early.next);
    this.#phase = 'idle';
    this.#link.stop();
    this.#tabs?.leave();
  }

  #set(state, words = WORDS[state], code = null) {
    if (state === this.state && words === this.words) return;
    this.state = state;
    this.words = words;
    this.#emit('state', { state, words, code });
  }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  /** The stream is ours to open. */
  #lead() {
    const fresh = !this.#shared;
    this.#sure = this.#shared = true;
    this.#tabs?.began(fresh);
    this.#link.start(this.cursor);
  }

  #look() {
    if (this.leads) this.#link.hurry(); else this.#tabs?.ask('look');
  }

  // What is told
  #tell(what, detail) {
    if (this.#tabs?.leads) this.#tabs.tell(what, detail); else this.#hear(what, detail);
  }

  #hear(what, detail) {
    this.#told = true;
    if (this.#phase === 'ended' && what === 'leader') {   // the same user signed in again in another tab
      this.start({ since: null });
      this.#sure = false;
    }
    if (this.#phase === 'running') { this.#take[what].call(this, detail); return; }
    if (what === 'missed' || (what === 'leader' && detail.fresh)) this.#early.forget();
    this.#early.add(what, detail);
  }

  /** What is told may begin after our cursor: what lies between must be read. */
  #cover(fresh = false) {
    if (fresh || !this.#sure) this.#emit('reload', { thread_id: null, reason: 'joined' });
    this.#sure = true;
  }

  #take = {
    leader({ fresh }) { this.#cover(fresh); },
    missed() { this.#emit('reload', { thread_id: null, reason: 'missed' }); },
    state({ state, words, code }) {
      if (hasEnded(state)) { this.#quit(); this.#phase = 'ended'; }
      this.#set(state, words, code);
    },
    welcome(data) {
      this.limits = { ...this.limits, ...data.limits, heartbeat_ms: data.heartbeat_ms ?? LIMITS.heartbeat_ms };
      this.epoch = data.epoch ?? this.epoch;
      this.#emit('welcome', data);
    },
    lost({ reason }) {
      this.#order.clear();
      this.#emit('reload', { thread_id: null, reason });
    },
    cursor(cursor) {
      this.cursor = cursor;
      this.#shared = true;
    },
    event(event) { this.#order.take(event); },
    notice(event) { this.#emit('notice', event); },
    caught_up(data) { this.#emit('caught_up', data); },
    error(told) { this.#emit('error', new HailgateError(told)); },
  };

  // Who
  known(user) {
    if (this.#tabs?.user_id !== user.user_id) this.#share(user.user_id);
    this.#users?.postMessage(user.user_id);
  }

  #share(user_id) {
    if (this.#tabs) { this.#quit(); this.#tabs.close(); this.#tabs = null; }
    this.#told = false;
    this.#early = new Early();   // what was read before we listened says nothing about what is told
    if (!this.#BroadcastChannel) return;
    this.#users ??= Object.assign(new this.#BroadcastChannel('hailgate users'), { onmessage: ({ data }) => this.#signedInElsewhere(data) });
    if (!this.#locks) return;   // no secure context: each tab has a stream of its own
    this.#tabs = new Tabs({
      user_id, locks: this.#locks, BroadcastChannel: this.#BroadcastChannel, lead: () => this.#lead(), hear: (what, detail) => this.#hear(what, detail),
      asked: (what, detail) => { if (what === 'look') this.#link.hurry(); else this.#link.say(detail); },
    });
  }

  /** The tabs share the cookie: none may go on as another user. */
  #signedInElsewhere(user_id) {
    if (!this.user || user_id === this.user.user_id) return;
    if (this.#phase === 'running') this.#end('signed_out', user_id === null ? undefined : ANOTHER);
  }

  unauthorized(code) {
    if (code === 'disabled') this.#end('stopped', SENTENCES.disabled, code); else this.#end('signed_out');
    this.#phase = 'ended';
  }

  async logout(how) {
    await super.logout(how);
    this.leaveUser();
  }

  /** Ends the sign-in for this browser's tabs, without a word to the server. */
  leaveUser({ tell = true } = {}) {
    this.user = null;
    this.#end('signed_out');
    if (tell) this.#users?.postMessage(null);
    this.#tabs?.close();
    this.#tabs = null;
  }

  /** Also remembers where a cursor lies in what the other tabs are told meanwhile. */
  async rest(method, path, how) {
    const at = this.#early.next, told = await super.rest(method, path, how);
    if (told?.cursor && this.#phase !== 'running') this.#early.know(told.cursor, at, told.threads);
    return told;
  }

  // Commands
  /** Sends a frame over the socket and waits for its `ack` or `pong`; `closed` where this tab has no open socket. @returns {Promise<object>} */
  command(type, data, how) { return this.#link.command(type, data, how); }

  /** Tells the thread's members that we write, or do not any more. Lost where there is no socket. */
  typing(thread_id, active) {
    const frame = { type: 'typing', data: { thread_id, active } };
    if (this.#link.open) this.#link.say(frame); else this.#tabs?.ask('say', frame);
  }

  /**
   * Resolves once the message is stored. Over the socket; if that cannot say so, by REST under the same key, so never twice.
   * @param {{thread_id: string, content: string, client_message_id?: string, metadata?: object}} draft
   * @returns {Promise<{message: object, duplicate: boolean}>}
   */
  async send({ client_message_id = newKey(), ...draft }) {
    const body = { ...draft, client_message_id };
    try {
      return await this.command('message.send', body);
    } catch (error) {
      if (!['closed', 'timeout', 'backlog'].includes(error.code)) throw error;
      if (error.code === 'timeout') this.#link.doubt();
      await this.#isStillUs();
      return this.post(body);
    }
  }

  /** While nothing is connected, the cookie may have become another user's. */
  async #isStillUs() {
    if (this.#phase !== 'running' || isConnected(this.state)) return;
    const who = await this.whoami();
    if (!this.user || who.user_id === this.user.user_id) return;
    this.#end('signed_out', ANOTHER);
    throw new HailgateError({ code: 'another_user', status: 401, detail: ANOTHER });
  }

  /** Whether the server still keeps the log that this cursor is of. */
  async isSameLog(cursor) {
    try {
      await this.rest('GET', '/api/events', { query: { since: cursor, timeout_ms: 1 } });
    } catch (error) {
      if (error.status !== 410) throw error;
      return !['epoch_changed', 'bad_cursor'].includes(error.code);
    }
    return true;
  }
}
