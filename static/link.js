// link.js: one line to the server: the socket, what stands in for it, and when to come back.
//
// States, and what leads from one to the next. "dial" opens the socket; "ask" is the preflight, which says why a socket was refused.
//
//   state        means                                  leads to
//   connecting   dialling, asking, or waiting to        live        connection_established of the same user
//                dial again                             fallback    the third refusal in a row that the preflight cannot explain;
//                                                                   a close for a fault of ours (1002, 1003, 1007, 1009, 4400)
//                                                       offline     neither socket nor REST answers, or the browser says so
//   live         the socket carries everything          offline     the browser says so; live again with the next frame
//                                                       connecting  any close that may come back (table below); silence for longer than
//                                                                   heartbeat and grace, and then no answer to a ping
//   fallback     SSE or long poll receives, REST        live        a probe of the socket in the background (30 s to 5 min apart) gets in
//                sends                                  connecting  an error answer to a poll, which goes on trying; `bye`
//                                                       offline     no answer to a poll, or the browser says so
//   offline      as connecting, without a network       live, fallback, connecting
//   signed_out   the sign-in ended                      connecting  `start`, after signing in
//   stopped      `stop`, or the server forbids it       connecting  `start`
//
// From every state: a 401 or another user leads to signed_out, `disabled` and a foreign origin to stopped.
//
//   close or `bye`                  then
//   1000, 44xx not listed           stopped
//   1001, 1006, 4200, 4202, 4204,   dial again after full-jitter backoff, never before the `retry_after_ms` of the `bye`; 4205 finds out by the
//   4205, others                    preflight whether the session still holds
//   4210, 4211 / 4409               the same, not before 5 s / 35 s
//   1002, 1003, 1007, 1009, 4400    stand-in; the socket again after a minute
//   4401 / 4403                     signed_out / stopped (code `disabled`)
//
//   socket never opened, and the preflight says      then
//   accepted, same user / another user               dial again within 2 s, the third time stand-in / signed_out
//   refused with a time to wait                      dial again, not before it, with the reason in words
//   refused: disabled, foreign_origin / any other    stopped / signed_out
//   nothing, or 5xx                                  offline (an answer: connecting, with its words), and backoff

import { HailgateError } from './rest.js';
import { ANOTHER, backoffMs, hasEnded, LIMITS, refusalOf, ruleOf, troubleOf, WORDS } from './rules.js';
import { StandIn } from './standin.js';

export class Link {
  /** Resume point; opaque. */ cursor = null;
  state = 'stopped';
  #words = null; #limits = {};
  #run = 0;                 // grows with every start and end: answers to an older run are ignored
  #socket = null; #established = 0; #bye = null;
  #heardAt = 0; #saidAt = 0; #askedAt = 0; #ticker; #openTimer;
  #attempt = 0; #refusals = 0; #retryTimer = null; #notBefore = 0;
  #away = false;            // the browser said that the network is gone, and nothing was heard since
  #standIn = null; #owed = null;   // why the cursor was given up, until the loss is told
  #pending = new Map(); #lastId = 0;

  /**
   * @param {{rest, WebSocket, random, tell: (what: string, detail) => void}} parts `tell` gets, in order: `state` `{state, words, code}`,
   *   `welcome` (data of the frame), `lost` `{reason}` (events were missed for good), `event` (a frame with a sequence), `notice` (one without),
   *   `cursor` (everything up to it has been told), `caught_up`, `error` (fields of a `HailgateError`)
   */
  constructor(parts) { Object.assign(this, parts); }

  get open() { return this.#established > 0; }
  get heartbeat_ms() { return this.#limits.heartbeat_ms ?? LIMITS.heartbeat_ms; }
  get grace_ms() { return this.#limits.heartbeat_grace_ms ?? LIMITS.heartbeat_grace_ms; }

  start(since) {
    this.stop();
    this.cursor = since ?? null;
    this.#attempt = this.#refusals = 0;
    this.#away = false;
    this.state = this.#words = this.#owed = null;
    this.#dial();
  }

  /** Says nothing. */
  stop() {
    this.#run += 1;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#notBefore = 0;
    this.#stopStandIn();
    this.#detach(1000);
  }

  #end(state, words = WORDS[state], code = null) {
    this.stop();
    this.#set(state, words, code);
  }

  #set(state, words = WORDS[state], code = null) {
    if (state === 'connecting' && this.#away) [state, words] = ['offline', WORDS.offline];
    if (state === this.state && words === this.#words) return;
    this.state = state;
    this.#words = words;
    this.tell('state', { state, words, code });
  }

  // Socket
  #dial() {
    this.#retryTimer = null;
    if (!this.#standIn && this.state !== 'offline') this.#set('connecting', this.state === 'connecting' ? this.#words : undefined);
    const url = new URL('/ws', this.rest.base);
    url.protocol = url.protocol.replace('http', 'ws');
    if (this.cursor) url.searchParams.set('since', this.cursor);
    let socket;
    try { socket = new this.WebSocket(url.href); } catch { this.#refusals = LIMITS.refusals; this.#neverOpened(); return; }
    this.#socket = socket;
    this.#established = 0;
    this.#bye = null;
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code }) => this.#lose(code);
    this.#openTimer = setTimeout(() => this.#lose(1006), LIMITS.open_ms);
  }

  /** Lets go of the socket at once: a dead one may take minutes to close. */
  #detach(code) {
    clearTimeout(this.#openTimer);
    clearInterval(this.#ticker);
    const socket = this.#socket;
    this.#socket = null;
    this.#established = 0;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      try { socket.close(...(code ? [code] : [])); } catch { /* it was never open */ }
    }
    for (const { reject } of this.#pending.values()) reject(new HailgateError({ code: 'closed', detail: 'The connection closed' }));
  }

  #lose(closeCode) {
    const established = this.#established, bye = this.#bye;
    this.#detach();
    if (!established) { this.#neverOpened(); return; }
    if (Date.now() - established >= LIMITS.stable_ms) this.#attempt = 0;
    this.#obey(bye?.code ?? closeCode, bye);
  }

  #obey(code, bye) {
    const rule = ruleOf(code);
    if (rule.then === 'sign in') this.#end('signed_out');
    else if (rule.then === 'stop') this.#end('stopped', rule.words, rule.code);
    else if (rule.then === 'bug') this.#spokeWrongly(code, bye?.reason);
    else this.#retry({ wait_ms: Math.max(bye?.retry_after_ms ?? 0, rule.wait_ms ?? 0), words: rule.words });
  }

  /** A browser hides why an upgrade was refused: ask what it is. If it would be let in, the way there blocks sockets. */
  async #neverOpened() {
    const run = this.#run;
    let reached = true, wait_ms = 0, state = 'connecting', words;
    try {
      const verdict = await this.rest.preflight();
      this.#away = false;
      if (verdict.accepted) {
        const who = await this.rest.whoami();
        if (run === this.#run) this.#isSame(who);
      } else if (run === this.#run) {
        const rule = refusalOf(verdict);
        if (rule.then === 'wait') [reached, wait_ms, words] = [false, rule.wait_ms, rule.words];
        else this.#end(rule.then === 'stop' ? 'stopped' : 'signed_out', rule.words, rule.code);
      }
    } catch (error) {
      reached = error.status > 0 && error.status < 500;
      wait_ms = error.retryAfterMs;
      if (error.status) { words = troubleOf(error); this.#away = false; } else state = 'offline';
    }
    if (run !== this.#run) return;
    if (reached && ++this.#refusals >= LIMITS.refusals) this.#stand();
    this.#retry({ wait_ms, state, words, max: reached && !this.#standIn ? LIMITS.refused_max_ms : undefined });
  }

  /** Whether the connection is the user's for whom this was started; if not, all ends. */
  #isSame(who) {
    this.rest.user ??= who;
    if (who.user_id === this.rest.user.user_id) return true;
    this.#end('signed_out', ANOTHER);
    return false;
  }

  /** Comes back later. While something stands in, this is the probe in the background. */
  #retry({ wait_ms = 0, state = 'connecting', words, max } = {}) {
    const probe = this.#standIn ? { min: LIMITS.probe_min_ms, max: LIMITS.probe_max_ms } : { max };
    if (!this.#standIn) this.#set(state, words);
    const delay = Math.max(wait_ms, backoffMs(this.#attempt++, { ...probe, random: this.random }));
    this.#notBefore = Date.now() + wait_ms;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#dial(), delay);
  }

  /** The network or the reader came back: look at once, but never before a time that was asked for. */
  hurry() {
    if (this.#established) { if (Date.now() - this.#heardAt > this.heartbeat_ms) this.doubt(); return; }
    if (this.#retryTimer === null || Date.now() < this.#notBefore) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#dial(), this.random() * LIMITS.backoff_min_ms);
  }

  /** The browser says that the network is gone. That is believed at once, before silence shows it; whatever is heard afterwards corrects it. */
  away() {
    if (hasEnded(this.state)) return;
    this.#away = true;
    if (this.#standIn) { this.#leave('offline'); return; }
    this.#set('offline');
    this.doubt();
  }

  /** The browser says that there is a network again. */
  back() {
    this.#away = false;
    if (!this.#established || this.state === 'live') { this.hurry(); return; }
    this.#set('connecting');
    this.#askedAt = 0;
    this.doubt();
  }

  // Frames
  #hear(text) {
    this.#heardAt = Date.now();
    this.#askedAt = 0;
    this.#away = false;
    if (this.#established) this.#set('live');
    let frame;
    try { frame = JSON.parse(text); } catch { return; }
    const { type, id, data = {} } = frame;
    if (type === 'connection_established') this.#welcome(data);
    else if (type === 'cursor') this.#moved(data.cursor);
    else if (type === 'caught_up') { this.#moved(data.cursor); this.tell('caught_up', data); }
    else if (type === 'bye') this.#bye = data;
    else if (type === 'ack' || type === 'pong') this.#pending.get(id)?.resolve(data);
    else if (type === 'error') this.#refused(id, data);
    else this.#take(frame);
  }

  #take(frame) { this.tell(typeof frame.sequence === 'number' ? 'event' : 'notice', frame); }

  #moved(cursor) { this.cursor = cursor; this.tell('cursor', cursor); }

  #lost(reason) { this.#owed = null; this.tell('lost', { reason }); }

  #refused(id, { code = 'error', message, retryable = false, retry_after_ms = 0 }) {
    const told = { code, detail: message, retryable, retryAfterMs: retry_after_ms }, waiting = this.#pending.get(id);
    if (waiting) waiting.reject(new HailgateError(told)); else this.tell('error', told);
  }

  /** By socket or stream: for whom, of which log, within which limits. */
  #greet(data) {
    if (data.user && !this.#isSame(data.user)) return false;
    this.#limits = { ...data.limits, heartbeat_ms: data.heartbeat_ms };
    this.tell('welcome', data);
    return true;
  }

  #welcome(data) {
    clearTimeout(this.#openTimer);
    const resumed = data.resumed || !(this.cursor || this.#owed);
    this.#stopStandIn();
    if (!this.#greet(data)) return;
    this.#refusals = 0;
    this.#established = Date.now();
    if (!resumed) this.#lost(data.reason ?? this.#owed ?? 'not resumed');
    this.#moved(data.cursor);
    this.#ticker = setInterval(() => this.#tick(), Math.min(LIMITS.pong_ms, this.heartbeat_ms / 4));
    this.#set('live');
  }

  /** Beats in time, and notices a server that is gone: silent too long, then silent to a question. */
  #tick() {
    const now = Date.now();
    if (this.#askedAt && now - this.#askedAt >= LIMITS.pong_ms) { this.#lose(1006); return; }
    if (!this.#askedAt && now - this.#heardAt > this.heartbeat_ms + this.grace_ms) this.doubt();
    else if (now - this.#saidAt > this.heartbeat_ms / 2) this.say({ type: 'beat', data: this.cursor ? { cursor: this.cursor } : {} });
  }

  /** Asks for a sign of life now; `#tick` gives up on the socket if none comes. */
  doubt() {
    if (!this.#established || this.#askedAt) return;
    this.#askedAt = Date.now();
    this.say({ type: 'ping', data: {} });
  }

  /** One frame that nobody answers, if the socket is open. */
  say(frame) {
    if (!this.#established) return;
    this.#saidAt = Date.now();
    this.#socket.send(JSON.stringify(frame));
  }

  /** Sends a frame and waits for its `ack` or `pong`. @returns {Promise<object>} the answer's data */
  command(type, data, { timeoutMs = LIMITS.ack_ms } = {}) {
    if (!this.#established) return Promise.reject(new HailgateError({ code: 'closed', detail: 'There is no open connection' }));
    if (this.#pending.size >= LIMITS.pending || this.#socket.bufferedAmount > LIMITS.buffered_bytes) {
      return Promise.reject(new HailgateError({ code: 'backlog', detail: 'Too much is waiting for an answer' }));
    }
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const late = () => settle(reject)(new HailgateError({ code: 'timeout', detail: 'No answer in time' }));
      const timer = setTimeout(late, timeoutMs);
      const settle = (then) => (value) => { clearTimeout(timer); this.#pending.delete(id); then(value); };
      this.#pending.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.say({ type, id, data });
    });
  }

  // Stand-in
  /** We spoke wrongly, or the way here corrupts: stand in, and try the socket again after a long wait. */
  #spokeWrongly(code, reason) {
    this.tell('error', { code: `close_${code}`, detail: reason || `The server closed the connection with ${code}`, retryable: false });
    this.#stand();
    this.#retry({ wait_ms: LIMITS.bug_wait_ms });
  }

  #stopStandIn() {
    this.#standIn?.stop();
    this.#standIn = null;
  }

  #stand() {
    if (this.#standIn) return;
    this.#attempt = 0;
    this.#standIn = new StandIn(this.#stage());
    this.#set('fallback');
    this.#standIn.run();
  }

  /** What the stand-in has of this line. It never speaks once it is stopped. */
  #stage() {
    const link = this;
    return {
      rest: this.rest, random: this.random,
      get heartbeat_ms() { return link.heartbeat_ms; },
      get grace_ms() { return link.grace_ms; },
      get cursor() { return link.cursor; },
      set cursor(cursor) { link.cursor = cursor; },
      get owed() { return link.#owed; },
      set owed(reason) { link.#owed = reason; },
      take: (frame) => this.#take(frame),
      moved: (cursor) => this.#moved(cursor),
      lost: (reason) => this.#lost(reason),
      up: () => { this.#away = false; this.#set('fallback'); },
      trouble: (words) => { this.#away = false; this.#set('connecting', words); },
      gone: () => this.#leave('offline'),
      bye: (bye) => this.#leave('connecting', bye),
      // The frames of the socket; those that greet or close it have their own form in a stream.
      hear: (text) => {
        const frame = JSON.parse(text), { type, data = {} } = frame;
        if (type === 'connection_established') this.#greet(data);
        else if (type === 'bye') this.#leave('connecting', data);
        else this.#hear(text);
      },
    };
  }

  /** The stand-in has ended: back to the socket; one more refusal of it is enough to stand in again. */
  #leave(state, bye) {
    this.#stopStandIn();
    this.#detach();
    this.#refusals = LIMITS.refusals - 1;
    this.#attempt = 0;
    if (bye) this.#obey(bye.code, bye); else this.#retry({ state });
  }
}
