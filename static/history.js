// history.js: the part of a thread's messages that is held here: one unbroken stretch, in order, bounded. Pure.

import { laterOf } from './model.js';

/** Messages held at most; what falls off one end is read again when the reader comes there. */
export const HELD_MAX = 600;
/** Messages kept beside what is held, which a page that was asked for before may not have. */
const LATE_MAX = 100;

export class History {
  messages = [];
  /** Whether there is more before and after what is held. */
  older = true;
  newer = false;
  /** Whether a first page has come. Until then events are kept beside it. */
  loaded = false;
  #late = [];      // newest messages that events brought while there was more after what is held
  #dropped = 0;    // sequence of the newest one that found no room there

  get first() { return this.messages[0]?.sequence; }
  get last() { return this.messages.at(-1)?.sequence; }

  /** The newest page: starts over, and keeps of what we had only what joins it. */
  restart({ messages, has_more }) {
    const from = messages[0]?.sequence ?? 0;
    this.messages = this.messages.filter(({ sequence }) => sequence >= from);
    this.#merge(messages);
    this.older = has_more;
    this.newer = this.#reach(messages.at(-1)?.sequence ?? 0);
    this.loaded = true;
  }

  /** A page from the middle: starts over there. If it reaches the newest, what came by events since then joins it. */
  restartAt({ messages, has_more }) {
    const from = has_more ? Infinity : messages[0]?.sequence ?? 0;
    this.messages = this.messages.filter(({ sequence }) => sequence >= from);
    this.#merge(messages);
    this.older = true;
    this.newer = has_more || this.#reach(messages.at(-1)?.sequence ?? 0);
    this.loaded = true;
  }

  prepend({ messages, has_more }) {
    this.#merge(messages);
    this.older = has_more;
    if (this.messages.length > HELD_MAX) { this.messages.length = HELD_MAX; this.newer = true; }
  }

  append({ messages, has_more }) {
    this.#merge(messages);
    this.newer = has_more || this.#reach(this.last ?? 0);
    this.trim();
  }

  /** One message from an event or an answer. Those beyond what is held are left for a later page. */
  put(message) {
    const at = this.messages.findIndex(({ message_id }) => message_id === message.message_id);
    if (at >= 0) this.messages[at] = laterOf(this.messages[at], message);
    else if (this.messages.length >= 2 * HELD_MAX) this.newer = true;   // the reader is far up: stop here, go on by pages
    else if (!this.loaded || this.#joins(message)) this.#merge([message]);
    if (this.newer && message.sequence > (this.last ?? 0)) this.#wait(message);
  }

  #wait(message) {
    const known = this.#late.find(({ message_id }) => message_id === message.message_id);
    this.#late = [...this.#late.filter((late) => late !== known), known ? laterOf(known, message) : message].sort((a, b) => a.sequence - b.sequence);
    if (this.#late.length > LATE_MAX) this.#dropped = Math.max(this.#dropped, this.#late.shift().sequence);
  }

  /** A page to sequence `last` was the newest when it was read: what came meanwhile joins it. @returns whether there is more than that */
  #reach(last) {
    if (this.#dropped > last) return true;
    this.#merge(this.#late.filter(({ sequence }) => sequence > last));
    this.#late = [];
    return false;
  }

  /** Lets go of the oldest. For a reader at the end; one further up would lose the place. */
  trim() {
    const over = this.messages.length - HELD_MAX;
    if (over > 0) { this.messages.splice(0, over); this.older = true; }
    return over > 0;
  }

  #joins({ sequence }) {
    if (this.last === undefined) return !this.newer;
    return sequence > this.last ? !this.newer : sequence > this.first || !this.older;
  }

  #merge(told) {
    const all = new Map(this.messages.map((message) => [message.message_id, message]));
    for (const message of told) all.set(message.message_id, laterOf(all.get(message.message_id), message));
    this.messages = [...all.values()].sort((a, b) => a.sequence - b.sequence);
  }
}
