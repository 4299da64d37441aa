// shelf.js: what was loaded, kept by the browser (IndexedDB) to be read without the server: of one user and one log at a time.
//
// Nobody reads another's: whoever signs in claims the shelf, which wipes what another left, before anything is shown. A window that does not know
// yet that its user has gone writes nothing, because each writing looks in its own transaction whose shelf it is.

const NAME = 'hailgate shelf', LAST_OPEN = 'hailgate open', THREADS_MAX = 100, ANSWER_MS = 3_000;

const answered = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** A browser that refuses storage keeps nothing, and the page works without; one that never answers is not waited for. */
const quietly = (work) => Promise.race([work.catch(() => null), new Promise((resolve) => { setTimeout(resolve, ANSWER_MS, null); })]);

/** Whose it is stands in a second place, too: a wiping that failed in the first shows nothing to the next. */
const label = {
  get() { try { return localStorage.getItem(NAME); } catch { return null; } },
  set(user_id) { try { if (user_id) localStorage.setItem(NAME, user_id); else localStorage.removeItem(NAME); } catch { /* then nothing is read */ } },
};

/** The thread that a user had open last. */
export const lastOpen = {
  get(user_id) { try { const { user, thread } = JSON.parse(localStorage.getItem(LAST_OPEN)) ?? {}; return user === user_id ? thread : undefined; } catch { return undefined; } },
  set(user, thread) { try { localStorage.setItem(LAST_OPEN, JSON.stringify({ user, thread })); } catch { /* then none was */ } },
  forget() { try { localStorage.removeItem(LAST_OPEN); } catch { /* it is not read for another user */ } },
};

export class Shelf {
  #opening = null;
  #owner = null;   // {user_id, epoch}: as whom we write

  /** What is kept, of whomever it is. @returns {Promise<{me: object, kept: {thread: object, messages?: object[]}[]} | null>} */
  read() {
    return quietly(this.#do('readonly', async (owners, threads) => {
      const owner = await answered(owners.get('owner'));
      if (!owner?.session_id || owner.user_id !== label.get()) return null;   // without it (an older page) nobody could sign out there
      const { user_id, epoch, name, session_id } = owner;
      this.#owner = { user_id, epoch };
      return { me: { user_id, name, session_id }, kept: await answered(threads.getAll()) };
    }));
  }

  /** It is this user's from now on, of this log. What anybody else left is gone when this resolves. */
  claim({ user_id, name = user_id, session_id }, epoch = null) {
    label.set(user_id);
    return quietly(this.#do('readwrite', async (owners, threads) => {
      const owner = await answered(owners.get('owner')), same = owner?.user_id === user_id;
      if (!same || (epoch && owner.epoch && owner.epoch !== epoch)) threads.clear();
      const { epoch: known } = this.#owner = { user_id, epoch: epoch ?? (same ? owner.epoch : null) };
      owners.put({ user_id, name, session_id, epoch: known }, 'owner');
    }));
  }

  wipe() {
    this.#owner = null;
    label.set(null);
    lastOpen.forget();
    return quietly(this.#do('readwrite', async (owners, threads) => { owners.clear(); threads.clear(); }));
  }

  /** @param {{thread_id: string, thread?: object, messages?: object[]}[]} told a thread that is not any more has no `thread` */
  put(told) {
    return this.#write(async (threads) => {
      const at = Date.now();
      for (const { thread_id, thread, messages } of told) {
        if (!thread) { threads.delete(thread_id); continue; }
        const known = messages ? null : await answered(threads.get(thread_id));
        // What was kept of a thread that has moved on may have been changed or deleted since.
        threads.put({ thread_id, thread, messages: messages ?? (known?.thread.sequence === thread.sequence ? known.messages : undefined), at });
      }
      const all = await answered(threads.getAll());
      for (const { thread_id } of all.sort((a, b) => b.at - a.at).slice(THREADS_MAX)) threads.delete(thread_id);
    });
  }

  /** Forgets all threads but these. */
  keepOnly(ids) {
    const keep = new Set(ids);
    return this.#write(async (threads) => {
      for (const id of await answered(threads.getAllKeys())) if (!keep.has(id)) threads.delete(id);
    });
  }

  #write(work) {
    const { user_id, epoch } = this.#owner ?? {};
    return quietly(this.#do('readwrite', async (owners, threads) => {
      const owner = await answered(owners.get('owner'));
      if (owner && owner.user_id === user_id && owner.epoch === epoch) await work(threads);
    }));
  }

  async #do(mode, work) {
    const database = await this.#open(), transaction = database.transaction(['owner', 'threads'], mode);
    const done = new Promise((resolve, reject) => { transaction.oncomplete = resolve; transaction.onabort = () => reject(transaction.error); });
    done.catch(() => { /* told below, unless the work itself has failed */ });
    const told = await work(transaction.objectStore('owner'), transaction.objectStore('threads'));
    await done;
    return told;
  }

  #open() {
    this.#opening ??= (async () => {
      if (!globalThis.indexedDB) throw new Error('There is no storage in this browser');
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => { request.result.createObjectStore('owner'); request.result.createObjectStore('threads', { keyPath: 'thread_id' }); };
      const database = await answered(request);
      database.onversionchange = () => { database.close(); this.#opening = null; };
      database.onclose = () => { this.#opening = null; };
      return database;
    })();
    return this.#opening;
  }
}
