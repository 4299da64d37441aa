// hailgate.js: the browser client of Hailgate in one file, without dependencies, and a worked example of the wire.
//
//   const hailgate = new Hailgate();
//   hailgate.addEventListener('event', ({ detail }) => console.log(detail.type, detail.data));
//   const { threads, cursor } = await hailgate.threads();   // what is, and the cursor of that moment
//   hailgate.start({ since: cursor });                       // what comes after it, without a hole
//   await hailgate.send({ thread_id: threads[0].thread_id, content: 'hello' });   // stored, or it throws

/** Every wait (milliseconds) and bound. Heartbeat and grace are the server's once it tells them. */
export const LIMITS = {
  open_ms: 15_000, ack_ms: 8_000, pong_ms: 5_000, request_ms: 15_000, poll_ms: 25_000, poll_slack_ms: 10_000,
  backoff_min_ms: 500, backoff_max_ms: 20_000, probe_min_ms: 30_000, probe_max_ms: 300_000, bug_wait_ms: 60_000,
  stable_ms: 10_000, heartbeat_ms: 25_000, heartbeat_grace_ms: 10_000,
  refusals: 3, refused_max_ms: 2_000, pending: 256, threads_followed: 5_000, buffered_bytes: 1_048_576,
};

/** The states in words. A close or a refusal that has better words brings its own. */
const WORDS = {
  connecting: 'Connecting', live: 'Connected', fallback: 'Connected without WebSocket (slower)', stopped: 'Disconnected',
  offline: 'Offline: your messages are kept and will be sent', signed_out: 'Your sign-in ended. Sign in again',
};
const TOO_MANY = 'Too many windows are open; trying again', ANOTHER = 'Another user signed in here. Sign in again';

/** What a close code asks of us. One that is not listed goes by its hundred: 44xx stop, anything else resume. */
const CLOSES = {
  1000: { then: 'stop', words: 'The server ended this connection' },
  1001: { then: 'resume', words: 'The server is restarting; connecting again' },
  1002: { then: 'bug' }, 1003: { then: 'bug' }, 1007: { then: 'bug' }, 1009: { then: 'bug' }, 4400: { then: 'bug' },
  4200: { then: 'resume', words: 'The server is restarting; connecting again' },
  4210: { then: 'resume', wait_ms: 5_000, words: 'Too much was sent at once; connecting again in a moment' },
  4211: { then: 'resume', wait_ms: 5_000, words: 'The server is full; trying again' },
  4401: { then: 'sign in' },
  4403: { then: 'stop', code: 'disabled', words: 'This account is disabled' },
  4409: { then: 'resume', wait_ms: 35_000, words: TOO_MANY },
};
/** Refusals that signing in again does not mend; any other that names no time to wait does. */
const STOPS = ['disabled', 'foreign_origin'];
const ruleOf = (code) => CLOSES[code] ?? { then: code >= 4400 && code < 4500 ? 'stop' : 'resume' };

/** A refusal by the server, or `network`, `timeout`, `aborted`, `closed`, `backlog`, `not_json` from this side. */
export class HailgateError extends Error {
  /** @param {{code: string, errors?: {field: string, reason: string}[]}} told */
  constructor({ code, status = 0, detail = code, retryAfterMs = 0, retryable, errors = [] }) {
    super(detail);
    this.name = 'HailgateError';
    Object.assign(this, { code, status, detail, retryAfterMs, errors });
    /** Whether the same request may succeed later. */
    this.retryable = retryable ?? (status === 0 || status === 408 || status === 429 || status >= 500);
  }
}

/** Full jitter above a floor, so that many clients never return as one. */
export function backoffMs(attempt, { min = LIMITS.backoff_min_ms, max = LIMITS.backoff_max_ms, random = Math.random } = {}) {
  const ceiling = Math.min(max, min * 2 ** Math.min(attempt + 1, 30));
  return min + random() * (ceiling - min);
}

/** A fresh retry key. `randomUUID` is missing on plain http away from loopback. */
export const newKey = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join('-');

/** The last sequence seen of each thread: tells repeated events and holes. Forgets the threads longest quiet. */
export class Sequences {
  #last = new Map();

  /** @returns {'next' | 'old' | 'gap'} */
  take({ type, thread_id, sequence, data }, me) {
    const last = this.#last.get(thread_id);
    if (last !== undefined && sequence <= last) return 'old';
    const own = data?.user_id === me;
    this.#last.delete(thread_id);
    if (type === 'thread.deleted' || (type === 'thread.member_removed' && own)) return 'next';
    this.#last.set(thread_id, sequence);
    if (this.#last.size > LIMITS.threads_followed) this.#last.delete(this.#last.keys().next().value);
    const joined = type === 'thread.member_added' && own;
    return last === undefined || joined || sequence === last + 1 ? 'next' : 'gap';
  }

  clear() { this.#last.clear(); }
}

/**
 * One user's connection. Events (all `CustomEvent`; look in `detail`):
 * - `state` `{state, words, code}`: connecting, live, fallback, offline, signed_out or stopped (code `disabled` if the account is)
 * - `welcome`: the data of `connection_established`, `caught_up`: that of the frame
 * - `event`: a logged event, each once and in the order of its thread · `notice`: an ephemeral one
 * - `reload` `{thread_id, reason}`: events were missed; read that thread (null: everything) by REST
 * - `error`: a `HailgateError` that no call was waiting for
 */
export class Hailgate extends EventTarget {
  /** Who we are: the auth context, once `me`, `login` or `link` answered. */ user = null;
  /** Resume point; opaque. */ cursor = null;
  /** The limits that the server told, by name. */ limits = {};
  state = 'stopped';
  words = WORDS.stopped;
  #base; #fetch; #WebSocket; #random;
  #run = 0;                 // grows with every start and end: answers to an older run are ignored
  #running = false;
  #socket = null; #established = 0; #bye = null;
  #heardAt = 0; #saidAt = 0; #askedAt = 0; #ticker; #openTimer;
  #attempt = 0; #refusals = 0; #retryTimer = null; #notBefore = 0;
  #polling = null;          // AbortController while the long poll stands in for the socket
  #lost = null;             // why the cursor was given up, until the reload is announced
  #pending = new Map(); #lastId = 0;
  #sequences = new Sequences();

  /** The seams are for programs outside a browser. */
  constructor({ base = globalThis.location?.origin, fetch = globalThis.fetch, WebSocket = globalThis.WebSocket, random = Math.random } = {}) {
    super();
    this.#base = base;
    this.#fetch = fetch.bind(globalThis);
    this.#WebSocket = WebSocket;
    this.#random = random;
    globalThis.addEventListener?.('online', () => this.#hurry());
    globalThis.addEventListener?.('offline', () => this.#doubt());
    globalThis.document?.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#hurry());
  }

  // Life
  /** Connects, and comes back until `stop`, sign-out or a close that forbids it. Without `since`, from the last cursor or from now. */
  start({ since = this.cursor } = {}) {
    this.#quit();
    this.cursor = since;
    this.#running = true;
    this.#attempt = this.#refusals = 0;
    this.#dial();
  }

  stop() { this.#end('stopped'); }
  #end(state, words, code) { this.#quit(); this.#set(state, words, code); }

  #quit() {
    this.#run += 1;
    this.#running = false;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#notBefore = 0;
    this.#stopPolling();
    this.#detach(1000);
  }

  #set(state, words = WORDS[state], code = null) {
    if (state === this.state && words === this.words) return;
    this.state = state;
    this.words = words;
    this.#emit('state', { state, words, code });
  }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  // Socket
  #dial() {
    this.#retryTimer = null;
    if (!this.#polling && this.state !== 'offline') this.#set('connecting', this.state === 'connecting' ? this.words : undefined);
    const url = new URL('/ws', this.#base);
    url.protocol = url.protocol.replace('http', 'ws');
    if (this.cursor) url.searchParams.set('since', this.cursor);
    let socket;
    try { socket = new this.#WebSocket(url.href); } catch { this.#refusals = LIMITS.refusals; this.#neverOpened(); return; }
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
    const code = bye?.code ?? closeCode, rule = ruleOf(code);
    if (Date.now() - established >= LIMITS.stable_ms) this.#attempt = 0;
    if (rule.then === 'sign in') this.#end('signed_out');
    else if (rule.then === 'stop') this.#end('stopped', bye?.reason || rule.words, rule.code);
    else if (rule.then === 'bug') this.#standIn(code, bye?.reason);
    else this.#retry({ wait_ms: Math.max(bye?.retry_after_ms ?? 0, rule.wait_ms ?? 0), words: rule.words });
  }

  /** A browser hides why an upgrade was refused: ask what it is. If it would be let in, the way there blocks sockets. */
  async #neverOpened() {
    const run = this.#run, before = this.user?.user_id;
    let reached = true, wait_ms = 0, state = 'connecting', words;
    try {
      const { accepted, code, reason, retry_after_ms } = await this.rest('POST', '/api/ws/preflight');
      if (accepted) await this.me();
      if (run !== this.#run) return;
      if (accepted && before && this.user.user_id !== before) this.#end('signed_out', ANOTHER);
      else if (!accepted && !retry_after_ms) this.#end(...(STOPS.includes(code) ? ['stopped', reason, code] : ['signed_out']));
      else if (!accepted) [reached, wait_ms, words] = [false, retry_after_ms, code === 'too_many_connections' ? TOO_MANY : reason];
    } catch (error) {
      reached = error.status > 0 && error.status < 500;
      wait_ms = error.retryAfterMs;
      if (error.status) words = error.detail; else state = 'offline';
    }
    if (run !== this.#run) return;
    if (reached && ++this.#refusals >= LIMITS.refusals) this.#poll();
    this.#retry({ wait_ms, state, words, max: reached && !this.#polling ? LIMITS.refused_max_ms : undefined });
  }

  /** Comes back later. While the long poll stands in, this is the probe in the background. */
  #retry({ wait_ms = 0, state = 'connecting', words, max } = {}) {
    const probe = this.#polling ? { min: LIMITS.probe_min_ms, max: LIMITS.probe_max_ms } : { max };
    if (!this.#polling) this.#set(state, words);
    const delay = Math.max(wait_ms, backoffMs(this.#attempt++, { ...probe, random: this.#random }));
    this.#notBefore = Date.now() + wait_ms;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#dial(), delay);
  }

  /** The network or the reader came back: look at once, but never before a time that was asked for. */
  #hurry() {
    if (this.#established) { if (Date.now() - this.#heardAt > this.#heartbeat) this.#doubt(); return; }
    if (this.#retryTimer === null || Date.now() < this.#notBefore) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#dial(), this.#random() * LIMITS.backoff_min_ms);
  }

  // Frames
  #hear(text) {
    this.#heardAt = Date.now();
    this.#askedAt = 0;
    let frame;
    try { frame = JSON.parse(text); } catch { return; }
    const { type, id, data = {} } = frame;
    if (type === 'connection_established') this.#welcome(data);
    else if (type === 'cursor') this.cursor = data.cursor;
    else if (type === 'caught_up') { this.cursor = data.cursor; this.#emit('caught_up', data); }
    else if (type === 'bye') this.#bye = data;
    else if (type === 'ack' || type === 'pong') this.#pending.get(id)?.resolve(data);
    else if (type === 'error') this.#refused(id, data);
    else this.#take(frame);
  }

  #refused(id, { code = 'error', message, retryable = false, retry_after_ms = 0 }) {
    const error = new HailgateError({ code, detail: message, retryable, retryAfterMs: retry_after_ms });
    const waiting = this.#pending.get(id);
    if (waiting) waiting.reject(error); else this.#emit('error', error);
  }

  #welcome(data) {
    clearTimeout(this.#openTimer);
    const resumed = data.resumed || !(this.cursor || this.#lost), told = data.user;
    this.#stopPolling();
    this.user ??= told;
    if (told && told.user_id !== this.user.user_id) { this.#end('signed_out', ANOTHER); return; }
    this.#refusals = 0;
    this.#lost = null;
    this.#established = Date.now();
    this.cursor = data.cursor;
    this.limits = { ...this.limits, ...data.limits, heartbeat_ms: data.heartbeat_ms ?? LIMITS.heartbeat_ms };
    if (!resumed) this.#sequences.clear();
    this.#ticker = setInterval(() => this.#tick(), Math.min(LIMITS.pong_ms, this.#heartbeat / 4));
    this.#emit('welcome', data);
    if (!resumed) this.#emit('reload', { thread_id: null, reason: data.reason ?? 'not resumed' });
    this.#set('live');
  }

  #take(event) {
    if (typeof event.sequence !== 'number') { this.#emit('notice', event); return; }
    const verdict = this.#sequences.take(event, this.user?.user_id);
    if (verdict === 'old') return;
    if (verdict === 'gap') this.#emit('reload', { thread_id: event.thread_id, reason: 'gap' });
    this.#emit('event', event);
  }

  get #heartbeat() { return this.limits.heartbeat_ms ?? LIMITS.heartbeat_ms; }

  /** Beats in time, and notices a server that is gone: silent too long, then silent to a question. */
  #tick() {
    const now = Date.now(), grace = this.limits.heartbeat_grace_ms ?? LIMITS.heartbeat_grace_ms;
    if (this.#askedAt && now - this.#askedAt >= LIMITS.pong_ms) { this.#lose(1006); return; }
    if (!this.#askedAt && now - this.#heardAt > this.#heartbeat + grace) this.#doubt();
    else if (now - this.#saidAt > this.#heartbeat / 2) this.#say({ type: 'beat', data: this.cursor ? { cursor: this.cursor } : {} });
  }

  /** Asks for a sign of life now; `#tick` gives up on the socket if none comes. */
  #doubt() {
    if (!this.#established || this.#askedAt) return;
    this.#askedAt = Date.now();
    this.#say({ type: 'ping', data: {} });
  }

  #say(frame) { this.#saidAt = Date.now(); this.#socket?.send(JSON.stringify(frame)); }

  // Long poll: stands in while the socket cannot be had
  /** We spoke wrongly, or the way here corrupts: poll, and try the socket again after a long wait. */
  #standIn(code, reason) {
    this.#emit('error', new HailgateError({ code: `close_${code}`, detail: reason || `The server closed the connection with ${code}`, retryable: false }));
    this.#poll();
    this.#retry({ wait_ms: LIMITS.bug_wait_ms });
  }

  #stopPolling() { this.#polling?.abort(); this.#polling = null; }

  async #poll() {
    if (this.#polling) return;
    const polling = this.#polling = new AbortController();
    this.#attempt = 0;
    this.#set('fallback');
    for (let failures = 0; this.#polling === polling;) {
      const began = Date.now();
      try {
        const events = await this.#pollOnce(polling.signal);
        failures = 0;
        if (!events && Date.now() - began < 1_000) await sleep(1_000);   // a proxy that answers at once must not make us spin
      } catch (error) {
        if (this.#polling !== polling) return;
        if (error.status === 410) { this.#lost = error.code; this.cursor = null; continue; }
        if (error.status === 0) { this.#leavePoll(); return; }
        this.#set('connecting', error.code === 'too_many_connections' ? TOO_MANY : error.detail);
        await sleep(Math.max(error.retryAfterMs, backoffMs(failures++, { random: this.#random })));
      }
    }
  }

  /** One poll. Short when there is no cursor yet, or when it must prove that the server answers again. */
  async #pollOnce(signal) {
    const short = !this.cursor || this.state !== 'fallback';
    const timeout_ms = short ? 1 : LIMITS.poll_ms;
    const { events, cursor } = await this.rest('GET', '/api/events', { query: { since: this.cursor, timeout_ms }, signal, timeoutMs: timeout_ms + LIMITS.poll_slack_ms });
    if (signal.aborted) return 0;
    if (this.#lost) {
      this.#sequences.clear();
      this.#emit('reload', { thread_id: null, reason: this.#lost });
      this.#lost = null;
    }
    for (const event of events) this.#take(event);
    this.cursor = cursor;
    this.#set('fallback');
    return events.length || short;
  }

  /** REST does not answer either: back to the socket; one more refusal of it is enough to poll again. */
  #leavePoll() {
    this.#stopPolling();
    this.#detach();
    this.#refusals = LIMITS.refusals - 1;
    this.#attempt = 0;
    this.#retry({ state: 'offline' });
  }

  // Commands
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
      this.#say({ type, id, data });
    });
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
      if (error.code === 'timeout') this.#doubt();
      return this.rest('POST', '/api/messages', { body });
    }
  }

  // REST
  /** One request. @throws {HailgateError} for every answer that is not 2xx, and for none */
  async rest(method, path, { query = {}, body, headers = {}, signal, timeoutMs = LIMITS.request_ms } = {}) {
    const url = new URL(path, this.#base), abort = new AbortController(), giveUp = () => abort.abort(), run = this.#run;
    for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) url.searchParams.set(name, value);
    const timer = setTimeout(giveUp, timeoutMs);
    signal?.addEventListener('abort', giveUp);
    try {
      const answer = await this.#fetch(url.href, {
        method, credentials: 'same-origin', cache: 'no-store', redirect: 'error', signal: abort.signal,
        headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const told = answer.status === 204 ? null : await answer.json().catch((error) => { if (abort.signal.aborted || answer.ok) throw error; return {}; });
      if (answer.ok) return told;
      throw this.#problem(answer, told ?? {}, run);
    } catch (error) {
      if (error instanceof HailgateError) throw error;
      const [code, detail, status] = error instanceof SyntaxError ? ['not_json', 'The answer was not from Hailgate', 502]
        : signal?.aborted ? ['aborted', 'Given up']
        : abort.signal.aborted ? ['timeout', 'The server did not answer in time'] : ['network', 'The server cannot be reached'];
      throw new HailgateError({ code, detail, status });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    }
  }

  #problem(answer, { code = `http_${answer.status}`, detail, title, retry_after_ms, errors }, run) {
    const retryAfterMs = retry_after_ms ?? (Number(answer.headers.get('Retry-After')) * 1_000 || 0);
    if (answer.status === 401 && run === this.#run && code !== 'bad_login') this.#end(...(code === 'disabled' ? ['stopped', detail, code] : ['signed_out']));
    return new HailgateError({ code, status: answer.status, detail: detail || title || `The server answered ${answer.status}`, retryAfterMs, errors });
  }

  async #signedIn(request) { return this.user = await request; }
  me() { return this.#signedIn(this.rest('GET', '/api/auth/me')); }
  login(username, password) { return this.#signedIn(this.rest('POST', '/api/auth/login', { body: { username, password } })); }
  /** Signs in with a one-time code. */
  link(code) { return this.#signedIn(this.rest('POST', '/api/auth/link', { body: { code } })); }
  async logout() { await this.rest('POST', '/api/auth/logout'); this.#end('signed_out'); this.user = null; }
  /** People by the first letters (two or more) of name or id. */
  users(q, { signal } = {}) { return this.rest('GET', '/api/users', { query: { q }, signal }); }

  threads({ after, limit } = {}) { return this.rest('GET', '/api/threads', { query: { after, limit } }); }
  thread(id) { return this.rest('GET', threadPath(id)); }
  createThread({ title, members }, key = newKey()) { return this.rest('POST', '/api/threads', { body: { title, members }, headers: { 'Idempotency-Key': key } }); }
  changeThread(id, change) { return this.rest('PATCH', threadPath(id), { body: change }); }
  deleteThread(id) { return this.rest('DELETE', threadPath(id)); }
  members(id) { return this.rest('GET', threadPath(id, 'members')); }
  addMember(id, user_id) { return this.rest('PUT', threadPath(id, 'members', user_id)); }
  /** Removes another, or leaves when it is oneself. */
  removeMember(id, user_id) { return this.rest('DELETE', threadPath(id, 'members', user_id)); }
  markRead(id, sequence) { return this.rest('PUT', threadPath(id, 'read'), { body: { sequence } }); }

  /** A page of messages in rising order: the newest, or those `before` or `after` a sequence. */
  messages(thread_id, { before, after, limit, signal } = {}) { return this.rest('GET', '/api/messages', { query: { thread_id, before, after, limit }, signal }); }
  editMessage(id, content) { return this.rest('PATCH', `/api/messages/${encodeURIComponent(id)}`, { body: { content } }); }
  deleteMessage(id) { return this.rest('DELETE', `/api/messages/${encodeURIComponent(id)}`); }
}

const threadPath = (...parts) => ['/api/threads', ...parts.map(encodeURIComponent)].join('/');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
