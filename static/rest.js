// rest.js: what is asked of the server by REST, one method a route, and how its refusals are told.

import { LIMITS, newKey } from './rules.js';
import { wordsOf } from './words.js';

/** A refusal by the server, or `network`, `timeout`, `aborted`, `closed`, `backlog`, `not_json` from this side. */
export class HailgateError extends Error {
  /** `detail` is for whoever writes programs; a page shows `words`. @param {{code: string, errors?: {field: string, reason: string}[]}} told */
  constructor({ code, status = 0, detail = code, retryAfterMs = 0, retryable, errors = [] }) {
    super(detail);
    this.name = 'HailgateError';
    Object.assign(this, { code, status, detail, retryAfterMs, errors });
    /** Whether the same request may succeed later. */
    this.retryable = retryable ?? (status === 0 || status === 408 || status === 429 || status >= 500);
  }

  /** For people; without a stop at the end. */
  get words() { return wordsOf(this); }
}

export class Rest extends EventTarget {
  /** Who we are: the auth context, once `me`, `login` or `link` answered. */ user = null;
  /** Grows with every start and end of the connection: a 401 that answers an older run ends nothing. */ run = 0;
  #fetch;

  constructor({ base, fetch }) {
    super();
    this.base = base;
    this.#fetch = fetch.bind(globalThis);
  }

  /** Hooks: a request's credentials are gone; it is known who we are. */
  unauthorized(_code) {}
  known(_user) {}

  /** One request. @throws {HailgateError} for every answer that is not 2xx, and for none */
  rest(method, path, { timeoutMs = LIMITS.request_ms, ...how } = {}) {
    return this.#ask(method, path, { ...how, timeoutMs }, async (answer, given) => (
      answer.status === 204 ? null : answer.json().catch((error) => { if (given.aborted || answer.ok) throw error; return {}; })));
  }

  /** A stream's answer as soon as its head is there; whoever aborts the signal ends it. @throws {HailgateError} as `rest` does */
  open(path, { query, headers, signal }) {
    return this.#ask('GET', path, { query, headers, signal }, async (answer) => (answer.ok ? answer : answer.json().catch(() => ({}))));
  }

  async #ask(method, path, { query = {}, body, headers = {}, signal, timeoutMs }, read) {
    const url = new URL(path, this.base), abort = new AbortController(), giveUp = () => abort.abort(), { run } = this;
    for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) url.searchParams.set(name, value);
    const timer = timeoutMs && setTimeout(giveUp, timeoutMs);
    if (signal?.aborted) giveUp();
    signal?.addEventListener('abort', giveUp);
    let streams = false;
    try {
      const answer = await this.#fetch(url.href, {
        method, credentials: 'same-origin', cache: 'no-store', redirect: 'error', signal: abort.signal,
        headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const told = await read(answer, abort.signal);
      streams = told === answer;
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
      if (!streams) signal?.removeEventListener('abort', giveUp);   // of a stream it is what ends it
    }
  }

  #problem(answer, { code = `http_${answer.status}`, detail, title, retry_after_ms, errors }, run) {
    const retryAfterMs = retry_after_ms ?? (Number(answer.headers.get('Retry-After')) * 1_000 || 0);
    if (answer.status === 401 && run === this.run && code !== 'bad_login') this.unauthorized(code);
    return new HailgateError({ code, status: answer.status, detail: detail || title || `The server answered ${answer.status}`, retryAfterMs, errors });
  }

  // Who
  async #signedIn(request) {
    this.user = await request;
    this.known(this.user);
    return this.user;
  }

  /** Who the cookie names, without becoming that user. */
  whoami() { return this.rest('GET', '/api/auth/me'); }
  me() { return this.#signedIn(this.whoami()); }
  login(username, password) { return this.#signedIn(this.rest('POST', '/api/auth/login', { body: { username, password } })); }
  /** Signs in again in `hailgate demo`, in a browser that has opened one of its links. */
  demo(user_id) { return this.#signedIn(this.rest('POST', `/api/auth/demo/${encodeURIComponent(user_id)}`)); }
  /** Signs in with a one-time code. */
  link(code) { return this.#signedIn(this.rest('POST', '/api/auth/link', { body: { code } })); }
  async logout(how) { await this.rest('POST', '/api/auth/logout', how); }
  /** Ends one sign-in of ours by its public id, whichever the cookie names now. */
  endSession(session_id, how) { return this.rest('DELETE', `/api/auth/sessions/${encodeURIComponent(session_id)}`, how); }
  /** The verdict that an upgrade would get now. */
  preflight() { return this.rest('POST', '/api/ws/preflight'); }
  /** People by the first letters (two or more) of name or id. */
  users(q, { signal } = {}) { return this.rest('GET', '/api/users', { query: { q }, signal }); }

  // Threads
  threads({ after, limit } = {}) { return this.rest('GET', '/api/threads', { query: { after, limit } }); }
  thread(id) { return this.rest('GET', threadPath(id)); }
  createThread({ title, members }, key = newKey()) { return this.rest('POST', '/api/threads', { body: { title, members }, headers: { 'Idempotency-Key': key } }); }
  /** `{title}` renames, `{owner}` hands over. */
  changeThread(id, change) { return this.rest('PATCH', threadPath(id), { body: change }); }
  deleteThread(id) { return this.rest('DELETE', threadPath(id)); }
  members(id) { return this.rest('GET', threadPath(id, 'members')); }
  addMember(id, user_id) { return this.rest('PUT', threadPath(id, 'members', user_id)); }
  /** Removes another, or leaves when it is oneself. */
  removeMember(id, user_id) { return this.rest('DELETE', threadPath(id, 'members', user_id)); }
  markRead(id, sequence) { return this.rest('PUT', threadPath(id, 'read'), { body: { sequence } }); }
  /** Who of a thread is here. */
  presence(thread_id) { return this.rest('GET', '/api/presence', { query: { thread_id } }); }

  // Messages
  /** A page of messages in rising order: the newest, or those `before` or `after` a sequence. */
  messages(thread_id, { before, after, limit, signal } = {}) { return this.rest('GET', '/api/messages', { query: { thread_id, before, after, limit }, signal }); }
  post(body) { return this.rest('POST', '/api/messages', { body }); }
  editMessage(id, content) { return this.rest('PATCH', messagePath(id), { body: { content } }); }
  deleteMessage(id) { return this.rest('DELETE', messagePath(id)); }
}

const threadPath = (...parts) => ['/api/threads', ...parts.map(encodeURIComponent)].join('/');
const messagePath = (id) => `/api/messages/${encodeURIComponent(id)}`;
