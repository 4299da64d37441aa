// marks.js: tells the server how far threads have been read: at most once a second, and what could not be told when the network is back.

import { on } from './dom.js';
import { isConnected } from './rules.js';

const TOLD_EVERY_MS = 1_000;
const RETRY_MS = 5_000;

export class Marks {
  #untold = new Map();   // thread_id -> read up to here
  #timer = null;
  #toldAt = -Infinity;

  constructor(hailgate, now = () => performance.now()) {
    this.hailgate = hailgate;
    this.now = now;
    on(hailgate, 'state', ({ detail: { state } }) => isConnected(state) && this.#soon(0));
  }

  read(thread_id, sequence) {
    this.#untold.set(thread_id, sequence);
    this.#soon(this.#toldAt + TOLD_EVERY_MS - this.now());
  }

  #soon(ms) {
    if (this.#untold.size) this.#timer ??= setTimeout(() => { this.#timer = null; this.#tell(); }, Math.max(0, ms));
  }

  async #tell() {
    this.#toldAt = this.now();
    const marks = [...this.#untold];
    this.#untold.clear();
    await Promise.all(marks.map(async ([thread_id, sequence]) => {
      try {
        await this.hailgate.markRead(thread_id, sequence);
      } catch (error) {
        if (error.status && error.status !== 401 && !error.retryable) return;   // the thread is gone
        if (!this.#untold.has(thread_id)) this.#untold.set(thread_id, sequence);
        if (error.status && error.status !== 401) this.#soon(Math.max(error.retryAfterMs, RETRY_MS));
      }
    }));
  }
}
