// drafts.js: what is written in the composer and not sent, by thread, kept by the browser for its user alone.
//
// Every change is written at once, so a reload, a crash or a closed window loses at most the last key. Two windows of one user do not mirror each
// other: each shows what was kept when it was loaded, and the last one to write is kept.

const DRAFTS_MAX = 100;           // of a user; the one that was changed longest ago goes first
const CHARACTERS_MAX = 100_000;   // a longer one (a pasted file, say) is not kept, and leaving the page asks first

/** Event `restored` when what was kept is here. */
export class Drafts extends EventTarget {
  #texts = new Map();     // thread_id -> text, the latest changed last
  #known = new Map();     // thread_id -> `at` of the kept record that this window wrote or read
  #due = new Set();       // threads whose text differs from what is kept
  #unkept = new Set();    // threads whose text could not be kept
  #writing = false;
  #at = 0;
  #kept; #user;

  /** @param {Kept} kept of kept.js */
  constructor(kept, user) {
    super();
    this.#kept = kept;
    this.#user = user;
    // A page that goes away waits for nothing: what is due is handed to the browser in the same turn.
    globalThis.addEventListener?.('pagehide', () => this.#flush());
    this.restored = this.#restore();
  }

  of(thread_id) { return this.#texts.get(thread_id) ?? ''; }
  /** Threads with a draft. */
  get threads() { return [...this.#texts.keys()]; }
  /** Whether something written would be lost with this window. */
  get atRisk() { return [...this.#unkept].some((thread_id) => this.#texts.has(thread_id)); }

  /** Takes what is written in a thread now; nothing but space is no draft. */
  put(thread_id, text) {
    if (!text.trim() && !this.#texts.has(thread_id)) return;
    this.#texts.delete(thread_id);
    if (text.trim()) this.#texts.set(thread_id, text);
    this.#due.add(thread_id);
    for (const oldest of this.#texts.keys()) {
      if (this.#texts.size <= DRAFTS_MAX) break;
      this.#texts.delete(oldest);
      this.#due.add(oldest);
    }
    this.#write();
  }

  async #restore() {
    const records = await this.#kept.drafts(this.#user).catch(() => []);
    for (const { thread_id, at } of records.slice(0, -DRAFTS_MAX)) this.#kept.deleteDraft(this.#user, thread_id, at).catch(() => { /* at the next load */ });   // of several windows
    for (const { thread_id, text, at } of records.slice(-DRAFTS_MAX)) {
      if (this.#texts.has(thread_id) || this.#due.has(thread_id)) continue;   // written here meanwhile
      this.#texts.set(thread_id, text);
      this.#known.set(thread_id, at);
      this.#at = Math.max(this.#at, at);
    }
    this.dispatchEvent(new Event('restored'));
  }

  /** One at a time: while one is being kept, the keys that come meanwhile make one more. */
  async #write() {
    if (this.#writing) return;
    this.#writing = true;
    for (const thread_id of this.#due) await this.#store(thread_id);
    this.#writing = false;
  }

  #flush() { for (const thread_id of this.#due) this.#store(thread_id); }

  async #store(thread_id) {
    this.#due.delete(thread_id);
    const text = this.#texts.get(thread_id), known = this.#known.get(thread_id);
    try {
      if (text === undefined) {
        if (known) await this.#kept.deleteDraft(this.#user, thread_id, known);
      } else {
        if (text.length > CHARACTERS_MAX) throw new RangeError('The draft is too long to be kept');
        this.#at = Math.max(this.#at + 1, Date.now());
        this.#known.set(thread_id, this.#at);
        await this.#kept.putDraft({ user: this.#user, thread_id, text, at: this.#at });
      }
      this.#unkept.delete(thread_id);
    } catch {
      this.#unkept.add(thread_id);
    }
  }
}
