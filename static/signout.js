// signout.js: a sign-out that the server has not heard of yet. The browser remembers it for all windows and over reloads, and the server is told
// before anything else is asked.
//
// What is remembered is the public id of the session, which opens nothing. The server ends that session and no other, so that whoever signs in
// meanwhile, the same person too, stays signed in.

const KEY = 'hailgate sign-out';

export class SignOut {
  #hailgate; #storage;
  #here = null;   // where the browser keeps nothing: for as long as this window is open

  constructor(hailgate, storage = storageOf(globalThis)) {
    this.#hailgate = hailgate;
    this.#storage = storage;
  }

  /** The id of the session that the server must end; null: none. */
  get due() {
    try { return this.#storage.getItem(KEY) ?? this.#here; } catch { return this.#here; }
  }

  /** @returns {boolean} whether that outlives this window */
  remember({ session_id }) {
    this.#here = session_id ?? null;
    try { this.#storage.setItem(KEY, session_id); return true; } catch { return false; }
  }

  forget() {
    this.#here = null;
    try { this.#storage.removeItem(KEY); } catch { /* nothing is kept there */ }
  }

  /** Tells the server, if something is due. @returns {Promise<HailgateError | null>} why it could not be told; null: nothing is due any more */
  async settle() {
    const { due } = this;
    if (due === null) return null;
    try {
      await this.#hailgate.endSession(due);
    } catch (error) {
      if (!error.status || error.retryable) return error;   // any other answer: it has ended before, or is not ours any more
    }
    if (this.due === due) this.forget();
    return null;
  }
}

/** A browser that refuses storage throws for the very name. */
function storageOf(page) { try { return page.localStorage; } catch { return null; } }
