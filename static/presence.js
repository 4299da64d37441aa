// presence.js: who is here, as far as the server has told. Whoever it has not told of is unknown, which shows as nothing.

import { el, on } from './dom.js';

const KNOWN_MAX = 10_000;   // as many as a thread has members

/** Event `change` whenever what is known has changed. */
export class Presence extends EventTarget {
  #known = new Map();   // user_id -> {online, told}
  #telling = 0;         // grows with every telling, so that an answer asked for earlier never undoes a later notice
  #forgotten = 0;       // the telling at which all was forgotten: answers asked for before it are too old

  constructor(hailgate) {
    super();
    this.hailgate = hailgate;
    on(hailgate, 'notice', ({ detail: { type, data } }) => type === 'presence' && Array.isArray(data.users) && this.#learn(data.users, Infinity));
    on(hailgate, 'state', ({ detail: { state } }) => !['live', 'fallback'].includes(state) && this.#forget());
  }

  /** @returns {boolean | undefined} whether this user is here; undefined where nobody has told */
  of(user_id) { return this.#known.get(user_id)?.online; }

  /** Asks who of a thread is here. What cannot be asked stays unknown: it is not worth a word. */
  async ask(thread_id) {
    const asked = ++this.#telling;
    try {
      const { users } = await this.hailgate.rest('GET', '/api/presence', { query: { thread_id } });
      if (asked > this.#forgotten) this.#learn(users, asked);
    } catch { /* unknown */ }
  }

  #learn(users, asked) {
    const told = ++this.#telling;
    for (const { user_id, online } of users) {
      if ((this.#known.get(user_id)?.told ?? 0) > asked) continue;
      this.#known.delete(user_id);
      this.#known.set(user_id, { online, told });
      if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value);
    }
    this.#tell();
  }

  #forget() {
    this.#forgotten = this.#telling;
    if (!this.#known.size) return;
    this.#known.clear();
    this.#tell();
  }

  #tell() { this.dispatchEvent(new Event('change')); }
}

/** A dot, filled for who is here and hollow for who is not, with words for those who cannot see it. */
export function presenceDot(online) {
  if (online === undefined) return el('span', { class: 'presence', 'aria-hidden': 'true' });
  const words = online ? 'online' : 'offline';
  return el('span', { class: `presence ${words}`, title: words }, el('span', { class: 'sr' }, ` (${words})`));
}
