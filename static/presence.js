// presence.js: who is here, as far as the server has told. Whoever it has not told of is unknown, which shows as nothing.

import { el, on } from './dom.js';

const KNOWN_MAX = 10_000;       // as many as a thread has members
const ASK_EVERY_MS = 30_000;    // without a socket nobody tells who comes and goes

/** Of the members of one thread at a time. Event `change` whenever what is known has changed. */
export class Presence extends EventTarget {
  #known = new Map();    // user_id -> {online, told}
  #telling = 0;          // grows with every telling, so that an answer asked for earlier never undoes a later notice
  #forgotten = 0;        // the telling at which all was forgotten: answers asked for before it are too old
  #thread_id = null;
  #whole = false;        // all of the thread who are here were told: the others are not
  #timer = null;

  constructor(hailgate) {
    super();
    this.hailgate = hailgate;
    on(hailgate, 'notice', ({ detail: { type, data } }) => type === 'presence' && Array.isArray(data.users) && this.#learn(data.users));
    on(hailgate, 'state', ({ detail: { state } }) => this.#turned(state));
  }

  /** @returns {boolean | undefined} whether this member of the thread is here; undefined where nobody has told */
  of(user_id) { return this.#known.get(user_id)?.online ?? (this.#whole ? false : undefined); }

  /** Asks who of a thread is here. What cannot be asked stays unknown: it is not worth a word. */
  async ask(thread_id = this.#thread_id) {
    if (thread_id !== this.#thread_id) this.#whole = false;
    this.#thread_id = thread_id;
    if (!thread_id || !['live', 'fallback'].includes(this.hailgate.state)) return;
    const asked = ++this.#telling;
    try {
      const { users, online } = await this.hailgate.rest('GET', '/api/presence', { query: { thread_id } });
      if (asked <= this.#forgotten || thread_id !== this.#thread_id) return;
      for (const [user_id, { told }] of this.#known) if (told <= asked) this.#known.delete(user_id);
      this.#whole = online === users.length;
      this.#learn(users, asked);
    } catch { /* unknown */ }
  }

  #turned(state) {
    clearInterval(this.#timer);
    if (state === 'live' || state === 'fallback') this.ask(); else this.#forget();
    if (state === 'fallback') this.#timer = setInterval(() => document.visibilityState === 'visible' && this.ask(), ASK_EVERY_MS);
  }

  #learn(users, asked = Infinity) {
    const told = ++this.#telling;
    for (const { user_id, online } of users) {
      if (this.#known.get(user_id)?.told > asked) continue;
      this.#known.delete(user_id);
      this.#known.set(user_id, { online, told });
      if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value);
    }
    this.#tell();
  }

  #forget() {
    this.#forgotten = this.#telling;
    this.#whole = false;
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
