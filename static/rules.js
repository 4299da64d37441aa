// rules.js: what the client library goes by: waits and bounds, the states in words, and what each close and refusal asks of it. Pure.

import { joined, SENTENCES, wordsOf } from './words.js';

/** Every wait (milliseconds) and bound. Heartbeat and grace are the server's once it tells them. */
export const LIMITS = {
  open_ms: 15_000, ack_ms: 8_000, pong_ms: 5_000, request_ms: 15_000, poll_ms: 25_000, poll_slack_ms: 10_000, stream_first_ms: 5_000,
  stream_again_ms: 60_000, stream_again_max_ms: 600_000,
  backoff_min_ms: 500, backoff_max_ms: 20_000, probe_min_ms: 30_000, probe_max_ms: 300_000, bug_wait_ms: 60_000,
  stable_ms: 10_000, heartbeat_ms: 25_000, heartbeat_grace_ms: 10_000,
  refusals: 3, refused_max_ms: 2_000, pending: 256, threads_followed: 5_000, buffered_bytes: 1_048_576, stream_bytes: 1_048_576,
  stream_losses: 3, repair_events: 300, repair_tries: 3, repair_held: 1_000, shared_early: 4_096, cursors_known: 16,
};

/** The states in words. A close or a refusal that has better words brings its own. */
export const WORDS = {
  connecting: 'Connecting', live: 'Connected', fallback: 'Connected without WebSocket (slower)', stopped: 'Disconnected',
  offline: 'Offline: your messages are kept and will be sent', signed_out: 'Your sign-in ended. Sign in again',
};
export const TOO_MANY = 'Too many windows are open; trying again', ANOTHER = SENTENCES.another_user;

/** States from which nothing comes back by itself. */
export const hasEnded = (state) => state === 'signed_out' || state === 'stopped';
/** States in which events come. */
export const isConnected = (state) => state === 'live' || state === 'fallback';

/** What a close code asks of us. One that is not listed goes by its hundred: 44xx stop, anything else resume. */
export const CLOSES = {
  1000: { then: 'stop', words: 'The server ended this connection' },
  1001: { then: 'resume', words: 'The server is restarting; connecting again' },
  1002: { then: 'bug' }, 1003: { then: 'bug' }, 1007: { then: 'bug' }, 1009: { then: 'bug' }, 4400: { then: 'bug' },
  4200: { then: 'resume', words: 'The server is restarting; connecting again' },
  4210: { then: 'resume', wait_ms: 5_000, words: 'Too much was sent at once; connecting again in a moment' },
  4211: { then: 'resume', wait_ms: 5_000, words: 'The server is full; trying again' },
  4401: { then: 'sign in' },
  4403: { then: 'stop', code: 'disabled', words: SENTENCES.disabled },
  4409: { then: 'resume', wait_ms: 35_000, words: TOO_MANY },
};
/** @returns {{then: 'resume' | 'bug' | 'sign in' | 'stop', wait_ms?: number, words?: string, code?: string}} */
export const ruleOf = (code) => CLOSES[code] ?? { then: code >= 4400 && code < 4500 ? 'stop' : 'resume' };

/** Refusals that neither signing in again nor connecting again mends; any other that names no time to wait asks for a sign-in. */
export const STOPS = ['disabled', 'foreign_origin'];

/** What a preflight that was not accepted asks of us. @returns {{then: 'wait' | 'stop' | 'sign in', wait_ms?: number, words?: string, code?: string}} */
export function refusalOf({ code, reason, retry_after_ms }) {
  if (retry_after_ms) return { then: 'wait', wait_ms: retry_after_ms, words: troubleOf({ code, detail: reason }) };
  return STOPS.includes(code) ? { then: 'stop', code, words: SENTENCES[code] } : { then: 'sign in' };
}

/** Troubles that have words of their own for who waits while the page tries again by itself. */
const WAITING = { too_many_connections: TOO_MANY, draining: CLOSES[4200].words, over_capacity: CLOSES[4211].words };

/** An error in words, while the page tries again by itself. */
export const troubleOf = (error) => WAITING[error.code] ?? joined(wordsOf({ ...error, retryAfterMs: 0 }).replace(/\. Try again.*$/, ''), 'Trying again');

/** Full jitter above a floor, so that many clients never return as one. */
export function backoffMs(attempt, { min = LIMITS.backoff_min_ms, max = LIMITS.backoff_max_ms, random = Math.random } = {}) {
  const ceiling = Math.min(max, min * 2 ** Math.min(attempt + 1, 30));
  return min + random() * (ceiling - min);
}

/** A fresh retry key. `randomUUID` is missing on plain http away from loopback. */
export const newKey = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join('-');

/** Ends early when the signal is given. */
export const sleep = (ms, signal) => new Promise((resolve) => {
  const end = () => { clearTimeout(timer); signal?.removeEventListener('abort', end); resolve(); };
  const timer = setTimeout(end, ms);
  signal?.addEventListener('abort', end);
});
