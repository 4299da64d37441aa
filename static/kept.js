// kept.js: unsent messages in the browser's own store (IndexedDB), by user, so that they outlive the page. Whatever fails here throws.

const NAME = 'hailgate', STORE = 'unsent', ANSWER_MS = 5_000;

/** A browser's store may never answer; nobody waits for it for ever. */
const inTime = (work) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error('The browser’s storage does not answer')), ANSWER_MS);
  work.then(resolve, reject).finally(() => clearTimeout(timer));
});

const answered = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** Records are `{user, client_message_id, tab, written, ...}`; `tab` is who sends it, `written` orders them. */
export class Kept {
  #indexedDB; #opening = null;

  constructor(indexedDB = globalThis.indexedDB) { this.#indexedDB = indexedDB; }

  /** All of a user's, in the order of writing. */
  all(user) { return this.#do('readonly', async (store) => inOrder(await answered(store.index('user').getAll(user)))); }
  put(record) { return this.#do('readwrite', (store) => { store.put(record); }); }
  delete(user, key) { return this.#do('readwrite', (store) => { store.delete([user, key]); }); }

  /** Hands on what one tab was to send to another; all or nothing. @returns the records */
  adopt(user, from, to) {
    return this.#do('readwrite', async (store) => {
      const found = (await answered(store.index('user').getAll(user))).filter(({ tab }) => tab === from).map((record) => ({ ...record, tab: to }));
      for (const record of found) store.put(record);
      return inOrder(found);
    });
  }

  /** Resolves once the store has taken it for good. */
  #do(mode, work) {
    return inTime(this.#open().then((database) => new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: 'strict' });
      let told;
      transaction.oncomplete = () => resolve(told);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      Promise.resolve(work(transaction.objectStore(STORE))).then((result) => { told = result; }, reject);
    })));
  }

  #open() {
    this.#opening ??= (async () => {
      if (!this.#indexedDB) throw new Error('There is no storage in this browser');
      const request = this.#indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ['user', 'client_message_id'] }).createIndex('user', 'user');
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
