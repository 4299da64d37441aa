// typing.js: who is writing in the open thread. Calm: nothing moves, nothing is spoken.

import { $, el, on } from './dom.js';

const SHOWN_MS = 7_000;        // whoever is silent so long has stopped
const TYPISTS_MAX = 50;

/** Shows who writes in the open thread, in a line whose place is always kept. */
export class Typists {
  #line = $('#typing');
  #until = new Map();   // user_id -> when we stop believing it
  #timer = null;
  #thread_id = null;

  constructor(hailgate, model) {
    this.model = model;
    on(hailgate, 'notice', ({ detail: { type, thread_id, data } }) => type === 'typing' && this.#take({ thread_id, ...data }));
  }

  open(thread_id) {
    this.#thread_id = thread_id;
    this.#until.clear();
    this.#draw();
  }

  /** A message of theirs came, or they left: they are not writing now. */
  done(thread_id, user_id) { if (thread_id === this.#thread_id && this.#until.delete(user_id)) this.#draw(); }

  #take({ thread_id, user_id, active }) {
    if (thread_id !== this.#thread_id || user_id === this.model.me.user_id) return;
    if (!active) { this.done(thread_id, user_id); return; }
    if (this.#until.size < TYPISTS_MAX || this.#until.has(user_id)) this.#until.set(user_id, Date.now() + SHOWN_MS);
    this.#draw();
  }

  #draw() {
    clearTimeout(this.#timer);
    const now = Date.now();
    for (const [user_id, until] of this.#until) if (until <= now) this.#until.delete(user_id);
    if (this.#until.size) this.#timer = setTimeout(() => this.#draw(), Math.min(...this.#until.values()) - now);
    const [one, other, more] = [...this.#until.keys()].map((user_id) => el('bdi', {}, this.model.nameOf(user_id)));
    this.#line.replaceChildren(...(more ? ['Several people are typing'] : other ? [one, ' and ', other, ' are typing'] : one ? [one, ' is typing'] : []));
  }
}
