// world.mjs: what the client library meets outside itself, simulated: a server behind sockets and REST, a network that fails, time that a test moves.

import { mock } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

/** Time stands still but for `pass`. */
export function stopTime() { mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 }); }
export function releaseTime() { mock.timers.reset(); }

/** Lets everything happen that waits for nothing but its turn. */
export async function settle() { for (let i = 0; i < 12; i += 1) await turn(); }

/** Lets time pass, in steps short enough that what it sets off happens in between. */
export async function pass(ms, step = 250) {
  await settle();
  for (let left = ms; left > 0; left -= step) { mock.timers.tick(Math.min(step, left)); await settle(); }
}

/** Chance that can be had again: mulberry32. */
export function chance(seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return Object.assign(random, { below: (n) => Math.floor(random() * n), one: (of) => of[Math.floor(random() * of.length)], odds: (p) => random() < p });
}

const json = (body, status = 200, headers = {}) => new Response(status === 204 ? null : JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });
const problem = (status, code, more = {}) => json({ code, status, title: code, detail: `refused: ${code}`, ...more }, status);

/** One log, its threads and members, and every way to it. */
export class Server {
  epoch = 'epoch-1';
  user = 'alice';           // whom the cookie names; null: nobody
  log = [];
  threads = new Map();      // thread_id -> {sequence, messages, members}
  sockets = new Set();
  streams = new Set();
  dialled = [];             // the address of every socket, with the time
  asked = [];               // every request
  posts = new Map();        // retry key -> message
  /** How the network is: `open`, `blocked` (no sockets), `down` (nothing). */
  network = 'open';
  /** Whether streams flow; a buffering proxy keeps them. */
  streaming = true;
  /** What the preflight says instead of yes. */
  verdict = null;
  /** Answers before any route: `(method, path) => Response | undefined`. */
  answer = () => undefined;
  /** Whether a frame is lost on its way to a socket, which no real server does. */
  drops = () => false;
  /** Whether a cursor frame follows an event on a socket; real ones tell one a second at most. */
  tellsCursor = () => true;
  heartbeat_ms = 25_000;
  #sealed = 0;

  constructor(threads = ['t1']) { for (const id of threads) this.threads.set(id, { sequence: 0, messages: [], members: new Set(['alice', 'bob']) }); }

  // The log
  append(type, thread_id, data, by = 'bob') {
    const thread = this.threads.get(thread_id);
    const event = { type, thread_id, sequence: thread.sequence += 1, at: new Date().toISOString(), by, data };
    if (type === 'message.created') { data.sequence = event.sequence; thread.messages.push(data); }
    this.log.push(event);
    for (const way of [...this.sockets, ...this.streams]) way.deliver?.(event);
    return event;
  }

  message(thread_id, content, author = 'bob', client_message_id = null) {
    const data = { message_id: `m${this.log.length + 1}`, thread_id, author, content, client_message_id, created_at: new Date().toISOString() };
    this.append('message.created', thread_id, data, author);
    return data;
  }

  edit(thread_id, content = 'edited') {
    const [message] = this.threads.get(thread_id).messages;
    Object.assign(message, { content, edited_at: new Date().toISOString() });
    return this.append('message.edited', thread_id, message, message.author);
  }

  /** Sealed anew each time, as the real ones: two of one place differ. */
  cursor(position = this.log.length) { this.#sealed += 1; return `${this.epoch}/${position}/${this.#sealed}`; }

  /** @returns {{position: number} | {reason: string}} */
  opened(cursor) {
    const [epoch, position] = cursor.split('/');
    return epoch === this.epoch ? { position: Number(position) } : { reason: 'epoch_changed' };
  }

  // Sockets
  get WebSocket() {
    const server = this;
    return class {
      bufferedAmount = 0;
      constructor(url) {
        server.dialled.push({ url: new URL(url), at: Date.now() });
        queueMicrotask(() => server.#dialled(this, new URL(url)));
      }

      send(text) { if (server.sockets.has(this)) server.#hear(this, JSON.parse(text)); }
      close(code) { this.closed = code ?? 1005; server.sockets.delete(this); }
    };
  }

  #dialled(socket, url) {
    if (socket.closed) return;
    if (this.network !== 'open' || this.verdict || this.user === null) { socket.onclose?.({ code: 1006 }); return; }
    this.sockets.add(socket);
    const since = url.searchParams.get('since'), from = since ? this.opened(since) : {};
    const resumed = from.position !== undefined;
    const say = socket.say = (frame) => { if (this.sockets.has(socket) && !this.drops(frame)) socket.onmessage?.({ data: JSON.stringify(frame) }); };
    socket.deliver = (event) => {
      if (socket.mute) return;
      say(event);
      if (this.tellsCursor()) say({ type: 'cursor', data: { cursor: this.cursor(this.log.indexOf(event) + 1) } });
    };
    say({ type: 'connection_established', data: this.#greeting(since) });
    if (!resumed) return;
    const missed = this.log.slice(from.position);
    for (const event of missed) say(event);
    say({ type: 'caught_up', data: { cursor: this.cursor(), events: missed.length, read: [] } });
  }

  #greeting(since) {
    const from = since ? this.opened(since) : {}, resumed = from.position !== undefined;
    return {
      connection_id: String(this.dialled.length), user: { user_id: this.user, name: this.user }, epoch: this.epoch, cursor: resumed ? since : this.cursor(),
      resumed, ...(from.reason && { reason: from.reason }), heartbeat_ms: this.heartbeat_ms, limits: { heartbeat_grace_ms: 10_000 },
    };
  }

  #hear(socket, { type, id, data }) {
    if (socket.mute) return;
    socket.heard = [...(socket.heard ?? []), type];
    if (type === 'ping') socket.say({ type: 'pong', id, data: {} });
    if (type === 'message.send') {
      const [status, told] = this.post(data);
      socket.say(status < 300 ? { type: 'ack', id, data: told } : { type: 'error', id, data: { message: told.code, retryable: false, ...told } });
    }
  }

  /** Ends every socket with this code; with a `bye` before it, if one is given. */
  close(code, bye) {
    for (const socket of [...this.sockets]) {
      if (bye) socket.say({ type: 'bye', data: { code, reason: 'so', reconnect: code < 4400, ...bye } });
      this.sockets.delete(socket);
      socket.onclose?.({ code });
    }
  }

  /** Ends every stream, as a proxy cuts it. */
  cut() { for (const stream of [...this.streams]) stream.cut(); }

  // REST
  fetch = async (address, { method, headers, body, signal }) => {
    const url = new URL(address), path = url.pathname;
    this.asked.push({ method, path, query: url.searchParams, accept: headers.Accept, at: Date.now() });
    await null;
    if (this.network === 'down') throw new TypeError('fetch failed');
    if (signal.aborted) throw new DOMException('aborted', 'AbortError');
    return this.answer(method, path) ?? this.#route(method, path, url.searchParams, body && JSON.parse(body), headers, signal);
  };

  #route(method, path, query, body, headers, signal) {
    if (path === '/api/ws/preflight') return json(this.verdict ?? (this.user ? { accepted: true } : { accepted: false, code: 'unauthenticated', reason: 'auth' }));
    if (this.user === null) return problem(401, 'unauthenticated');
    if (path === '/api/auth/me') return json({ user_id: this.user, name: this.user });
    if (path === '/api/auth/logout') { this.user = null; this.close(4401); return json(null, 204); }
    if (path === '/api/threads') return json({ threads: [...this.threads].map(([thread_id, { sequence }]) => ({ thread_id, sequence })), cursor: this.cursor() });
    if (path === '/api/messages' && method === 'POST') { const [status, told] = this.post(body); return status < 300 ? json(told, status) : problem(status, told.code); }
    if (path === '/api/messages') return this.#page(query);
    if (path === '/api/events') return headers.Accept === 'text/event-stream' ? this.#stream(query, signal) : this.#poll(query, signal);
    return problem(404, 'not_found');
  }

  post({ thread_id, content, client_message_id }) {
    const thread = this.threads.get(thread_id), key = `${this.user} ${client_message_id}`;
    if (this.posts.has(key)) return [200, { message: this.posts.get(key), duplicate: true }];
    if (!thread?.members.has(this.user)) return [404, { code: 'not_found' }];
    const message = this.message(thread_id, content, this.user, client_message_id);
    this.posts.set(key, message);
    return [201, { message, duplicate: false }];
  }

  #page(query) {
    const thread = this.threads.get(query.get('thread_id')), after = Number(query.get('after') ?? 0), limit = Number(query.get('limit') ?? 50);
    if (!thread?.members.has(this.user)) return problem(404, 'not_found');
    const later = thread.messages.filter(({ sequence }) => sequence > after);
    return json({ messages: later.slice(0, limit), has_more: later.length > limit, cursor: this.cursor() });
  }

  #poll(query, signal) {
    const since = query.get('since'), from = since ? this.opened(since) : { position: this.log.length };
    if (from.reason) return problem(410, from.reason);
    const told = () => json({ events: this.log.slice(from.position), cursor: this.cursor() });
    if (this.log.length > from.position) return told();
    return new Promise((resolve, reject) => {
      const end = (settled) => { clearTimeout(timer); this.streams.delete(way); settled(); };
      const timer = setTimeout(() => end(() => resolve(told())), Number(query.get('timeout_ms')));
      const way = { deliver: () => end(() => resolve(told())), cut: () => end(() => reject(new TypeError('cut'))) };
      this.streams.add(way);
      signal.addEventListener('abort', () => end(() => reject(new DOMException('aborted', 'AbortError'))));
    });
  }

  #stream(query, signal) {
    const since = query.get('since'), from = this.opened(since), bytes = new TextEncoder();
    let out;
    const stream = {
      say: (text) => { if (this.streaming && this.streams.has(stream)) out.enqueue(bytes.encode(text)); },
      deliver: (event) => stream.say(`id: ${this.cursor(this.log.indexOf(event) + 1)}\ndata: ${JSON.stringify(event)}\n\n`),
      bye: (bye) => { stream.say(`event: bye\ndata: ${JSON.stringify({ reason: 'so', ...bye })}\n\n`); stream.end(); },
      end: () => { if (this.streams.delete(stream)) out.close(); },
      cut: () => { if (this.streams.delete(stream)) out.error(new TypeError('cut')); },
    };
    const body = new ReadableStream({
      start: (controller) => {
        out = controller;
        this.streams.add(stream);
        stream.say(`id: ${from.reason ? this.cursor() : since}\ndata: ${JSON.stringify({ type: 'connection_established', data: this.#greeting(since) })}\n\n`);
        if (from.reason) stream.say(`event: reset\ndata: ${JSON.stringify({ code: from.reason, cursor: this.cursor() })}\n\n`);
        else for (const event of this.log.slice(from.position)) stream.deliver(event);
      },
      cancel: () => { this.streams.delete(stream); },
    });
    signal.addEventListener('abort', () => { if (this.streams.delete(stream)) out.error(new DOMException('aborted', 'AbortError')); });
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
  }
}

/** Web Locks of one browser: a name is held by one, the others wait in line. */
export class Locks {
  #held = new Map();   // name -> those who wait; the first holds it

  request(name, { signal, ifAvailable } = {}, held) {
    const line = this.#held.get(name) ?? [];
    if (ifAvailable && line.length) return Promise.resolve(held(null));
    this.#held.set(name, line);
    return new Promise((resolve, reject) => {
      const turn = { owner: this.owner, grant: async () => { turn.granted = true; await held({ name }); resolve(); this.#next(name, turn); } };
      signal?.addEventListener('abort', () => { if (turn.granted) return; line.splice(line.indexOf(turn), 1); reject(signal.reason); });
      line.push(turn);
      if (line[0] === turn) queueMicrotask(() => line[0] === turn && !turn.granted && turn.grant());
    });
  }

  #next(name, turn) {
    const line = this.#held.get(name) ?? [], at = line.indexOf(turn);
    if (at < 0) return;
    line.splice(at, 1);
    if (at === 0 && line.length) queueMicrotask(() => line[0] && !line[0].granted && line[0].grant());
  }

  /** The view of one tab, and its death: all it holds or waits for is given up. */
  of(owner) {
    return { request: (name, options, held) => { this.owner = owner; return this.request(name, typeof options === 'function' ? {} : options, held ?? options); } };
  }

  die(owner) {
    for (const [name, line] of this.#held) {
      const first = line[0];
      line.splice(0, line.length, ...line.filter((turn) => turn.owner !== owner));
      if (line[0] && line[0] !== first) { const [next] = line; queueMicrotask(() => line[0] === next && !next.granted && next.grant()); }
      if (!line.length) this.#held.delete(name);
    }
  }
}

/** BroadcastChannel of one browser: what one tab posts, the others of that name get later, in order, as a copy. */
export class Air {
  #channels = new Set();

  of(owner) {
    const air = this;
    return class {
      onmessage = null;
      constructor(name) { this.name = name; this.owner = owner; air.#channels.add(this); }
      postMessage(data) {
        if (this.dead) return;
        if (!air.#channels.has(this)) throw new DOMException('closed', 'InvalidStateError');
        const copy = structuredClone(data);
        for (const other of air.#channels) if (other !== this && other.name === this.name && other.owner !== air.deaf) queueMicrotask(() => air.#channels.has(other) && other.onmessage?.({ data: copy }));
      }

      close() { air.#channels.delete(this); }
    };
  }

  die(owner) { for (const channel of this.#channels) if (channel.owner === owner) { channel.dead = true; this.#channels.delete(channel); } }
}

/** Everything a client tells, in order; and a check that it told each event once, in order, without a hole. */
export function record(hailgate) {
  const told = { states: [], words: [], events: [], notices: [], reloads: [], errors: [] };
  hailgate.addEventListener('state', ({ detail }) => { told.states.push(detail.state); told.words.push(detail.words); });
  hailgate.addEventListener('event', ({ detail }) => told.events.push(detail));
  hailgate.addEventListener('notice', ({ detail }) => told.notices.push(detail));
  hailgate.addEventListener('reload', ({ detail }) => told.reloads.push(detail));
  hailgate.addEventListener('error', ({ detail }) => told.errors.push(detail));
  told.places = () => told.events.map(({ thread_id, sequence }) => `${thread_id}:${sequence}`);
  return told;
}
