// kept.js: unsent messages and drafts in the browser's own store (IndexedDB), by user, so that they outlive the page. Whatever fails here throws.

const NAME = 'hailgate', VERSION = 2, ANSWER_MS = 5_000;

/** A browser's store may never answer; nobody waits for it for ever. */
const inTime = (work) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error('The browser’s storage does not answer')), ANSWER_MS);
  work.then(resolve, reject).finally(() => clearTimeout(timer));
});

const answered = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** What each version of the store added; an upgrade goes through those after the version it finds, and keeps what is there. */
const UPGRADES = [
  (database) => database.createObjectStore('unsent', { keyPath: ['user', 'client_message_id'] }).createIndex('user', 'user'),
  (database) => database.createObjectStore('drafts', { keyPath: ['user', 'thread_id'] }).createIndex('user', 'user'),
];

/**
 * Unsent messages are `{user, client_message_id, tab, written, ...}`; `tab` is who sends it, `written` orders them.
 * Drafts are `{user, thread_id, text, at}`; `at` (milliseconds) orders them, and names what a window has written or read.
 */
export class Kept {
  #indexedDB; #opening = null;

  constructor(indexedDB = globalThis.indexedDB) { this.#indexedDB = indexedDB; }

  /** All of a user's, in the order of writing. */
  all(user) { return this.#do('unsent', 'readonly', async (store) => inOrder(await answered(store.index('user').getAll(user)))); }
  put(record) { return this.#do('unsent', 'readwrite', (store) => { store.put(record); }); }
  delete(user, key) { return this.#do('unsent', 'readwrite', (store) => { store.delete([user, key]); }); }

  /** Hands on what one tab was to send to another; all or nothing. @returns the records */
  adopt(user, from, to) {
    return this.#do('unsent', 'readwrite', async (store) => {
      const found = (await answered(store.index('user').getAll(user))).filter(({ tab }) => tab === from).map((record) => ({ ...record, tab: to }));
      for (const record of found) store.put(record);
      return inOrder(found);
    });
  }

  /** A user's drafts, the latest changed last. */
  drafts(user) { return this.#do('drafts', 'readonly', async (store) => (await answered(store.index('user').getAll(user))).sort((a, b) => a.at - b.at)); }

  /** A draft changes with every key: it waits for no disk, and is committed in this turn, because the page may be going away. */
  putDraft(record) { return this.#do('drafts', 'readwrite', (store) => { store.put(record); store.transaction.commit(); }, 'relaxed'); }

  /** Deletes the draft of that moment; what another window of the user has written since stays. */
  deleteDraft(user, thread_id, at) {
    return this.#do('drafts', 'readwrite', async (store) => {
      const record = await answered(store.get([user, thread_id]));
      if (record?.at === at) store.delete([user, thread_id]);
    });
  }

  /** Resolves once the store has taken it for good. */
  #do(name, mode, work, durability = 'strict') {
    return inTime(this.#open().then((database) => new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode, { durability });
      let told;
      transaction.oncomplete = () => resolve(told);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      Promise.resolve(work(transaction.objectStore(name))).then((result) => { told = result; }, reject);
    })));
  }

  #open() {
    this.#opening ??= (async () => {
      if (!this.#indexedDB) throw new Error('There is no storage in this browser');
      const request = this.#indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = ({ oldVersion }) => UPGRADES.slice(oldVersion).forEach((upgrade) => upgrade(request.result));
      const database = await answered(request);
      const forget = () => { this.#opening = null; };
      database.onversionchange = () => { database.close(); forget(); };   // a later version of the page wants to change it
      database.onclose = forget;
      return database;
    })().catch((error) => { this.#opening = null; throw error; });
    return this.#opening;
  }
}

const inOrder = (records) => records.sort((a, b) => a.written - b.written);
