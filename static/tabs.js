// tabs.js: one stream a browser, shared by its tabs. A lock elects the tab that holds it; the others listen to what it tells.
//
// Why no tab misses or doubles an event:
// - A tab listens from the moment it knows its user, before it reads anything by REST. Whatever is stored after that reading is told after it.
// - Messages of one sender come to every tab in the order they were sent, so the last cursor that a tab heard is true for it: all
//   events up to it were told before. With that cursor the next leader goes on. What is told twice is dropped by sequence.
// - A leader whose cursor nobody else can know (its own from REST, because it heard none) says so: `fresh`. Tabs that were here before read anew.
// - The leader counts what it tells. A tab that misses a count (it was kept in the browser's back-forward cache) reads anew.

import { newKey } from './rules.js';

export class Tabs {
  #channel; #locks; #name;
  #leader = null; #count = 0;     // whom we heard last, and the number of what it told
  #past = [];                     // leaders before that one
  #release = null;                // gives the lock back, while we hold it
  #waiting = null;                // AbortController of the wait for the lock
  #snapshot = {};                 // what a tab that comes later must be told: the last of each kind

  /**
   * @param {{user_id, locks: LockManager, BroadcastChannel, lead: () => void, hear: (what: string, detail) => void,
   *   asked: (what: 'say' | 'look', detail) => void}} parts `lead`: the stream is ours to open. `hear` gets what the leader tells, and `leader`
   *   `{fresh}` before all else of a new one, and `missed`. `asked` is for the leader.
   */
  constructor({ user_id, locks, BroadcastChannel, lead, hear, asked }) {
    Object.assign(this, { user_id, lead, hear, asked });
    this.#locks = locks;
    this.#name = `hailgate stream ${user_id}`;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#take(data);
    this.#post({ kind: 'hello' });
  }

  get leads() { return this.#release !== null; }

  /** Wants the stream: now, or when the tab that has it ends. */
  compete() {
    this.leave();
    const waiting = this.#waiting = new AbortController();
    const held = () => new Promise((release) => {
      if (waiting.signal.aborted) { release(); return; }
      this.#waiting = null;
      this.#release = release;
      this.#follow(newKey(), 0);      // a tab that leads for a second time is another leader
      this.#snapshot = {};
      this.lead();
    });
    // A page that may not use locks (a sandboxed frame) has a stream of its own.
    this.#locks.request(this.#name, { signal: waiting.signal }, held).catch(() => { if (!waiting.signal.aborted && !this.leads) held(); });
  }

  /** The stream begins: with a cursor that every tab may have heard, or a fresh one. */
  began(fresh) { this.#post({ kind: 'here', leader: this.#leader, count: 0, fresh, snapshot: {} }); }

  /** Gives the stream up, or the wait for it. */
  leave() {
    this.#waiting?.abort();
    this.#waiting = null;
    this.#release?.();
    this.#release = null;
  }

  close() {
    this.leave();
    this.#channel.onmessage = null;
    this.#channel.close();
  }

  /** To the other tabs and then to this one. Only the leader tells. */
  tell(what, detail) {
    this.#count += 1;
    if (KEPT.includes(what)) this.#snapshot[what] = detail;
    this.#post({ kind: 'told', leader: this.#leader, count: this.#count, what, detail });
    this.hear(what, detail);
  }

  /** Asks the leader. */
  ask(what, detail) { this.#post({ kind: 'ask', what, detail }); }

  #post(message) { try { this.#channel.postMessage(message); } catch { /* closed, or nothing that can be copied: the count tells */ } }

  #take({ kind, leader, count, fresh, snapshot, what, detail }) {
    if (kind === 'hello') {
      if (this.leads) this.#post({ kind: 'here', leader: this.#leader, count: this.#count, fresh: false, snapshot: this.#snapshot });
    } else if (kind === 'ask') {
      if (this.leads) this.asked(what, detail);
    } else if (this.leads) {
      // A leader of before, whose last words were on their way when its lock came to us: the server says them again.
    } else if (this.#past.includes(leader)) {
      if (what === 'event' || what === 'notice') this.hear(what, detail);   // it may know what its follower took for told
    } else if (kind === 'here') {
      const known = leader === this.#leader, missed = known && count !== this.#count;
      this.#follow(leader, count);
      if (missed) this.hear('missed');
      if (known) return;              // said to a tab that came later
      this.hear('leader', { fresh });
      for (const name of KEPT) if (name in snapshot) this.hear(name, snapshot[name]);
    } else if (kind === 'told') {
      const known = leader === this.#leader, missed = known && count !== this.#count + 1;
      this.#follow(leader, count);
      if (!known) this.hear('leader', { fresh: false });
      if (missed) this.hear('missed');
      this.hear(what, detail);
    }
  }

  #follow(leader, count) {
    if (this.#leader && leader !== this.#leader) this.#past = [this.#leader, ...this.#past].slice(0, PAST_MAX);
    this.#leader = leader;
    this.#count = count;
  }
}

const KEPT = ['welcome', 'cursor', 'state'];
const PAST_MAX = 16;
