// standin.js: receiving while the socket cannot be had: a stream of events (SSE) where the way there lets it flow, else long poll.

import { backoffMs, LIMITS, sleep, troubleOf } from './rules.js';

/** Cuts `text/event-stream` into events (the standard's section 9.2.6). Pure. */
export class EventStream {
  #rest = '';
  #event = { name: '', data: [] };
  id = null;

  /** @returns {{name: string, data: string, id: string | null}[]} the events that this text completes */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);   // a CR at the end may be half of a CR LF
    this.#rest = lines.pop();
    if (this.#rest.length > LIMITS.stream_bytes) throw new RangeError('a line without an end');
    const events = [];
    for (const line of lines) {
      if (line === '') { this.#dispatch(events); continue; }
      const [, field, value] = /^([^:]*):? ?([^]*)$/.exec(line);
      if (field === 'data') this.#event.data.push(value);
      else if (field === 'event') this.#event.name = value;
      else if (field === 'id' && !value.includes('\0')) this.id = value;
    }
    return events;
  }

  #dispatch(events) {
    const { name, data } = this.#event;
    this.#event = { name: '', data: [] };
    // An event without data is none, but for the place it names.
    events.push({ name: data.length ? name || 'message' : 'place', data: data.join('\n'), id: this.id });
  }
}

/** What a stream ended with. */
const FLOWED = 'flowed', STUCK = 'stuck', OVER = 'over';

export class StandIn {
  #given = new AbortController();
  #proving = false;         // the last answer was a failure: the next must show that the server is back
  #streamFrom = 0; #refusals = 0;   // when a stream may be tried again, and how often in a row one was not to be had while polls were

  /**
   * @param {object} link what it stands in for: `rest`, `random`, `cursor`, `owed` (why the cursor was given up),
   *   `heartbeat_ms`, `grace_ms`, `hear(text)`, `take(frame)`, `moved(cursor)`, `lost(reason)`, `bye(data)`, `up()`, `trouble(words)`, `gone()`
   */
  constructor(link) { this.link = link; }

  get #over() { return this.#given.signal.aborted; }
  stop() { this.#given.abort(); }

  async run() {
    for (let failures = 0, losses = 0; !this.#over;) {
      const began = Date.now();
      try {
        if (this.link.cursor && !this.#proving && began >= this.#streamFrom) {
          const end = await this.#stream();
          losses = end === FLOWED && Date.now() - began >= LIMITS.stable_ms ? 0 : losses + 1;
          if (losses === 0) this.#refusals = 0;
          if (end === STUCK || losses >= LIMITS.stream_losses) this.#pollInstead();
          else if (!this.#over) await this.#pause(backoffMs(losses, { random: this.link.random }));
        } else {
          await this.#poll(began);
          losses = 0;
        }
        failures = 0;
      } catch (error) {
        if (this.#over) return;
        if (error.status === 410) { this.link.owed = error.code; this.link.cursor = null; continue; }
        if (error.status === 0) { this.link.gone(); return; }
        this.#proving = true;
        this.#streamFrom = 0;   // the server itself fails: that says nothing about streams
        this.link.trouble(troubleOf(error));
        await this.#pause(Math.max(error.retryAfterMs, backoffMs(failures++, { random: this.link.random })));
      }
    }
  }

  /** A stream was not to be had. Whether the way here blocks streams or the server is away shows the poll that follows; while polls succeed, the next stream waits, longer each time. */
  #pollInstead() {
    this.#streamFrom = Date.now() + Math.min(LIMITS.stream_again_max_ms, LIMITS.stream_again_ms * 2 ** Math.min(this.#refusals++, 10));
  }

  #pause(ms) { return sleep(ms, this.#given.signal); }

  /** One stream, until it ends. A proxy that keeps what it should pass on shows itself by the first bytes, which do not come. */
  async #stream() {
    const { link } = this, ours = new AbortController(), end = () => ours.abort();
    let timer = setTimeout(end, LIMITS.stream_first_ms), seen = false;
    this.#given.signal.addEventListener('abort', end);
    try {
      const answer = await link.rest.open('/api/events', { query: { since: link.cursor }, headers: { Accept: 'text/event-stream' }, signal: ours.signal });
      if (!answer.headers.get('Content-Type')?.startsWith('text/event-stream')) return STUCK;
      const reader = answer.body.getReader(), text = new TextDecoder(), events = new EventStream();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.#over) return seen ? FLOWED : STUCK;
        clearTimeout(timer);
        timer = setTimeout(end, link.heartbeat_ms + link.grace_ms);
        seen = true;
        link.up();
        for (const event of events.push(text.decode(value, { stream: true }))) {
          this.#hear(event);
          if (this.#over) return OVER;
        }
      }
    } catch (error) {
      if (this.#over) return OVER;
      if (seen) return FLOWED;
      if (error.status === 410 || error.status === 429) throw error;   // about the cursor or the user: a poll would hear the same
      this.#proving = !ours.signal.aborted;
      return STUCK;
    } finally {
      clearTimeout(timer);
      end();
      this.#given.signal.removeEventListener('abort', end);
    }
  }

  #hear({ name, data, id }) {
    const { link } = this;
    if (name === 'message') link.hear(data);
    else if (name === 'bye') link.bye(JSON.parse(data));
    else if (name === 'reset') { const { code, cursor } = JSON.parse(data); link.lost(code); link.moved(cursor); }
    if (id && !this.#over && name !== 'reset') link.moved(id);
  }

  /** One poll. Short when there is no cursor yet, or when it must prove that the server answers again. */
  async #poll(began) {
    const { link } = this, short = !link.cursor || this.#proving, timeout_ms = short ? 1 : LIMITS.poll_ms;
    const { events, cursor } = await link.rest.rest('GET', '/api/events', { query: { since: link.cursor, timeout_ms }, signal: this.#given.signal, timeoutMs: timeout_ms + LIMITS.poll_slack_ms });
    if (this.#over) return;
    this.#proving = false;
    if (link.owed) link.lost(link.owed);
    for (const event of events) link.take(event);
    link.moved(cursor);
    link.up();
    if (!events.length && !short && Date.now() - began < 1_000) await this.#pause(1_000);   // a proxy that answers at once must not make us spin
  }
}
