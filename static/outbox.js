// outbox.js: messages on their way. Each thread's go one by one, wait without network, and are never sent twice.

import { newKey } from '/hailgate.js';

const WAITING_MAX = 200;
const AGAIN_MS = 5_000;

/** Events: `change` (detail: thread_id), `stored` (detail: the message). In memory, so the page warns who leaves. */
export class Outbox extends EventTarget {
  #entries = new Map();   // by client_message_id, in order of writing
  #busy = new Set();      // threads with a send under way
  #timer = null;

  constructor(hailgate) {
    super();
    this.hailgate = hailgate;
    hailgate.addEventListener('state', ({ detail }) => ['live', 'fallback'].includes(detail.state) && this.wake());
  }

  get size() { return this.#entries.size; }
  of(thread_id) { return [...this.#entries.values()].filter((entry) => entry.thread_id === thread_id); }

  /** @returns {boolean} false when as many as we keep are waiting already */
  add(thread_id, content) {
    if (this.size >= WAITING_MAX) return false;
    const entry = { client_message_id: newKey(), thread_id, author: this.hailgate.user.user_id, content, created_at: new Date().toISOString(), state: 'sending', reason: null };
    this.#entries.set(entry.client_message_id, entry);
    this.#tell('change', thread_id);
    this.#next(thread_id);
    return true;
  }

  /** Sends a failed one again, under its old key: if it had arrived after all, the server says so. */
  retry(key) {
    const entry = this.#entries.get(key);
    if (entry) { this.#mark(entry, 'sending'); this.#next(entry.thread_id); }
  }

  discard(key) { this.#take(key); }

  /** The message was seen in the stream: it is stored, whatever the answer will be. */
  confirm(key) { return this.#take(key); }

  wake() {
    clearTimeout(this.#timer);
    for (const thread_id of new Set([...this.#entries.values()].map((entry) => entry.thread_id))) this.#next(thread_id);
  }

  #first(thread_id) { return this.of(thread_id).find(({ state }) => state !== 'failed'); }

  async #next(thread_id) {
    const entry = this.#first(thread_id);
    if (!entry || this.#busy.has(thread_id)) return;
    if (['offline', 'signed_out', 'stopped'].includes(this.hailgate.state)) { this.#hold(thread_id, 'Will be sent when you are back'); return; }
    let goOn = true;
    this.#busy.add(thread_id);
    this.#mark(entry, 'sending');
    try {
      const { client_message_id, content } = entry;
      const { message } = await this.hailgate.send({ thread_id, content, client_message_id });
      this.#take(client_message_id);
      this.#tell('stored', message);
    } catch (error) {
      goOn = this.#failed(entry, error);
    }
    this.#busy.delete(thread_id);
    if (goOn) this.#next(thread_id);
  }

  /** @returns {boolean} whether the next may be tried, or must wait like this one */
  #failed(entry, error) {
    if (!this.#entries.has(entry.client_message_id)) return true;   // seen in the stream meanwhile
    if (error.retryable || error.status === 401) {
      this.#hold(entry.thread_id, error.status ? 'The server is busy. Will be sent by itself' : 'Will be sent when you are back');
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.wake(), Math.max(error.retryAfterMs, AGAIN_MS));
      return false;
    }
    const content = error.errors.find(({ field }) => field === 'content');
    this.#mark(entry, 'failed', error.code === 'not_found' ? 'you are not in this thread any more' : content?.reason ?? error.detail);
    return true;
  }

  #hold(thread_id, reason) {
    for (const entry of this.of(thread_id)) if (entry.state !== 'failed') this.#mark(entry, 'waiting', reason);
  }

  #mark(entry, state, reason = null) {
    entry.state = state;
    entry.reason = reason;
    this.#tell('change', entry.thread_id);
  }

  #take(key) {
    const entry = this.#entries.get(key);
    if (entry) { this.#entries.delete(key); this.#tell('change', entry.thread_id); }
    return Boolean(entry);
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
