// reading.js: how far a thread has been read: which stretches of it were in view, and what was jumped over. Pure.
//
// The server keeps one number, the read marker: the highest sequence that was in view. A reader who jumps ahead moves it past messages that were never
// in view; these stretches are remembered here as long as the thread is open, so that there is a way back to the first of them.

/** The server counts unread messages up to here: the count may stand for more. */
export const UNREAD_MAX = 1_000;
const JUMPS_MAX = 50;   // stretches remembered; older jumps count as read

export class Reading {
  #me;
  #seen;         // stretches [after, to] of sequences that were in view, in order, none touching another
  /** Messages of others that were jumped over and not in view since. */
  skipped = 0;

  constructor(me, marker) {
    this.#me = me;
    this.#seen = [[0, marker]];
  }

  /** The highest sequence that was in view. */
  get marker() { return this.#seen.at(-1)[1]; }
  /** All up to here was in view. */
  get through() { return this.#seen[0][1]; }

  /** The first message that is still to be seen, jumped over or not. */
  first(messages) { return this.#firstAfter(messages, this.through); }
  /** The first message above the marker. */
  firstUnread(messages) { return this.#firstAfter(messages, this.marker); }

  /** Whether the first unread message is among those held. */
  holdsFirst({ messages, older, newer }, unread) {
    if (!unread) return true;
    if (!this.first(messages)) return false;
    if (!older || messages[0].sequence <= this.through + 1) return true;
    return !newer && unread < UNREAD_MAX && this.#count(messages, this.through) >= unread;
  }

  /** Another window has read up to here. */
  readElsewhere(sequence) {
    this.#add(0, sequence);
    if (this.#seen.length === 1) this.skipped = 0;
  }

  /**
   * The messages after sequence `after` up to `to` are in view.
   * @param {object[]} messages those held
   * @param {{unread: number, whole: boolean}} known what is unread above the marker; whether the newest message is among those held
   * @returns {number} what is unread above the marker now
   */
  saw(messages, { after, to }, { unread, whole }) {
    const before = this.marker;
    const fresh = messages.filter((message) => message.sequence > after && message.sequence <= to && this.#counts(message) && !this.#wasSeen(message.sequence));
    const ahead = fresh.filter(({ sequence }) => sequence > before).length;
    this.#add(after, to);
    this.skipped -= fresh.length - ahead;
    if (to > before) {
      const passed = this.#count(messages, before, to);
      const left = whole ? this.#count(messages, to) : unread >= UNREAD_MAX ? unread : Math.max(0, unread - passed);
      this.skipped += Math.max(passed, unread < UNREAD_MAX ? unread - left : 0) - ahead;
      unread = left;
    }
    this.skipped = this.#seen.length === 1 ? 0 : Math.max(0, this.skipped);
    return unread;
  }

  #counts({ author, deleted_at }) { return author !== this.#me && !deleted_at; }
  #firstAfter(messages, after) { return messages.find((message) => message.sequence > after && this.#counts(message)); }
  #count(messages, after, to = Infinity) { return messages.filter((message) => message.sequence > after && message.sequence <= to && this.#counts(message)).length; }
  #wasSeen(sequence) { return this.#seen.some(([after, to]) => sequence > after && sequence <= to); }

  #add(after, to) {
    const apart = [];
    for (const stretch of this.#seen) {
      if (stretch[1] < after || stretch[0] > to) apart.push(stretch);
      else { after = Math.min(after, stretch[0]); to = Math.max(to, stretch[1]); }
    }
    this.#seen = [...apart, [after, to]].sort((a, b) => a[0] - b[0]);
    if (this.#seen.length > JUMPS_MAX) this.#seen.splice(0, 2, [0, this.#seen[1][1]]);
  }
}
