// order.js: each event of a thread once and in order: repeated ones are dropped, and a hole is filled by REST before what stands behind it.

import { backoffMs, LIMITS, sleep } from './rules.js';

/** The last sequence seen of each thread: tells repeated events and holes. Forgets the threads longest quiet. */
export class Sequences {
  #last = new Map();

  of(thread_id) { return this.#last.get(thread_id); }
  clear() { this.#last.clear(); }

  set(thread_id, sequence) {
    this.#last.delete(thread_id);
    this.#last.set(thread_id, sequence);
    if (this.#last.size > LIMITS.threads_followed) this.#last.delete(this.#last.keys().next().value);
  }

  /** @returns {'next' | 'old' | 'gap'}; of a gap nothing is noted */
  take({ type, thread_id, sequence, data }, me) {
    const last = this.#last.get(thread_id), own = data?.user_id === me;
    if (last !== undefined && sequence <= last) return 'old';
    const leaves = type === 'thread.deleted' || (type === 'thread.member_removed' && own), joins = type === 'thread.member_added' && own;
    if (leaves) { this.#last.delete(thread_id); return 'next'; }
    if (last !== undefined && !joins && sequence !== last + 1) return 'gap';
    this.set(thread_id, sequence);
    return 'next';
  }
}

/**
 * Hands on events by `hand(event)`. Where some are missing, the messages among them are read by REST and handed on first; if other
 * kinds of events are missing too (an edit, a new member), or too many, or they cannot be read, `reload({thread_id, reason})` is asked for.
 */
export class Order {
  #sequences = new Sequences();
  #holes = new Map();   // thread_id -> events that wait behind a hole
  #age = 0;             // grows when everything is forgotten: a repair from before must not speak

  /** @param {{rest, random, hand: (event) => void, reload: (what) => void}} parts */
  constructor(parts) { Object.assign(this, parts); }

  /** Threads as REST told them together with the cursor that we start from: what they include is not told again. */
  seed(known) { for (const [thread_id, sequence] of known) this.#sequences.set(thread_id, Math.max(sequence, this.#sequences.of(thread_id) ?? 0)); }

  clear() {
    this.#age += 1;
    this.#sequences.clear();
    this.#holes.clear();
  }

  take(event) {
    const { thread_id } = event, waiting = this.#holes.get(thread_id);
    if (waiting) {
      if (waiting.length < LIMITS.repair_held) { waiting.push(event); return; }
      this.#giveUp(thread_id, 'too many events behind a hole');
    }
    const verdict = this.#sequences.take(event, this.rest.user?.user_id);
    if (verdict === 'next') this.hand(event);
    else if (verdict === 'gap') this.#repair(event);
  }

  async #repair(event) {
    const { thread_id, sequence } = event, after = this.#sequences.of(thread_id), age = this.#age, waiting = [event];
    this.#holes.set(thread_id, waiting);
    const found = await this.#read(thread_id, after, sequence).catch((error) => error);
    if (age !== this.#age || this.#holes.get(thread_id) !== waiting) return;
    if (!Array.isArray(found)) { this.#giveUp(thread_id, found.detail ?? 'gap'); return; }
    for (const message of found) {
      this.hand({ type: 'message.created', thread_id, sequence: message.sequence, at: message.created_at, by: message.author, data: message });
    }
    if (found.length < sequence - after - 1) { this.#giveUp(thread_id, 'gap'); return; }
    this.#sequences.set(thread_id, sequence - 1);
    this.#release(thread_id);
  }

  /** The messages between two sequences, or an error. */
  async #read(thread_id, after, before) {
    if (before - after - 1 > LIMITS.repair_events) throw { detail: 'too many events were missed' };
    const found = [];
    for (let tries = 0, from = after; ;) {
      try {
        const { messages, has_more } = await this.rest.messages(thread_id, { after: from, limit: 100 });
        found.push(...messages.filter(({ sequence }) => sequence > from && sequence < before));
        if (!has_more || messages.at(-1).sequence >= before - 1) return found;
        from = messages.at(-1).sequence;
      } catch (error) {
        if (!error.retryable || (tries += 1) >= LIMITS.repair_tries) throw error;
        await sleep(Math.max(error.retryAfterMs, backoffMs(tries, { random: this.random })));
      }
    }
  }

  /** Whoever holds the thread reads it anew; what waited goes on from where it stands, without the hole. */
  #giveUp(thread_id, reason) {
    const [first] = this.#holes.get(thread_id);
    this.reload({ thread_id, reason });
    this.#sequences.set(thread_id, first.sequence - 1);
    this.#release(thread_id);
  }

  #release(thread_id) {
    const waiting = this.#holes.get(thread_id);
    this.#holes.delete(thread_id);
    for (const event of waiting) this.take(event);   // one of them may open a hole of its own
  }
}
