// typing.js: who is writing in the open thread, and telling others that we are. Calm: nothing moves, nothing is spoken.

import { $, el, on } from './dom.js';

const SAY_EVERY_MS = 3_000;    // again while the writing goes on
const SAY_APART_MS = 1_200;    // the server passes on one a second and thread, by its own clock
const SHOWN_MS = 7_000;        // two of those and a slow network; whoever is silent so long has stopped
const TYPISTS_MAX = 50;

/** Tells the others, over an open socket only: what comes late is worse than nothing. */
export class Writing {
  #wanted = null;     // {thread_id, active}: what is
  #said = { active: false, at: 0 };   // what others believe, of which thread, since when
  #timer = null;

  constructor(hailgate) { this.hailgate = hailgate; }

  /** Called at every key, and when the writing ends. */
  now(thread_id, active) {
    this.#wanted = { thread_id, active };
    this.#next();
  }

  #next() {
    const { thread_id, active } = this.#wanted;
    if (this.#said.active && this.#said.thread_id !== thread_id) this.#say(this.#said.thread_id, false);
    const here = this.#said.thread_id === thread_id, since = Date.now() - this.#said.at;
    if (this.#timer || (here ? this.#said.active === active && !(active && since >= SAY_EVERY_MS) : !active)) return;
    if (!here || since >= SAY_APART_MS) this.#say(thread_id, active);
    else this.#timer = setTimeout(() => { this.#timer = null; this.#next(); }, SAY_APART_MS - since);
  }

  #say(thread_id, active) {
    this.#said = { thread_id, active, at: Date.now() };
    this.hailgate.typing(thread_id, active);
  }
}

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
