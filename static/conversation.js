// conversation.js: the open thread: its messages drawn in order, read upwards without losing the place, and marked read at the end.

import { $, announce, arrange, el, on, soon } from './dom.js';
import { History } from './history.js';
import { ListKeys } from './listkeys.js';
import { messageElement } from './message.js';
import { count, dayInWords, dayOf, minute } from './text.js';
import { confirmed, withdraw } from './dialogs.js';
import { Editor } from './editor.js';

const NEAR_PX = 800;        // distance from an end at which the next page is asked for
const END_PX = 40;          // closer than this counts as being at the end
const READ_EVERY_MS = 1_000;
const SPOKEN_CHARACTERS = 200;
const THREADS_HELD_MAX = 20;  // threads read lately whose messages stay here, to be read without a server too
const EDITS_MAX = 20;

export class Conversation {
  #scroller = $('#history');
  #list = $('#messages');
  #toEnd = $('#to-end');
  #keys = new ListKeys({ list: this.#list, scroller: this.#scroller, onLeave: () => this.onFocus() });
  #history = null;
  #held = new Map();         // thread_id -> History, the latest opened last
  #edits = new Map();        // message_id -> Editor
  #drawn = new Map();        // key -> {element, version}
  #marks = new Map();        // day separators and other rows between messages, by key
  #unfolded = new Set();
  #newFrom = null;           // sequence of the first message under the "new messages" line
  #missed = 0;               // messages that came while the reader was further up
  #atEnd = true;
  #begun = false;            // the place to begin reading has been found
  #loading = null;           // the history that a page is being read for
  #again = false;            // events were missed meanwhile: read anew when that page is here
  #owed = false;             // the network failed us: read anew when it is back
  #readTimer = null;
  #untold = new Map();       // thread_id -> read up to here, not told yet
  thread_id = null;
  draw = soon(() => this.#history && this.#draw());

  /** @param {{hailgate, model, outbox, max: () => number, onRead: () => void, onLoaded: () => void, onFocus: () => void}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    on(this.#scroller, 'scroll', () => this.#scrolled(), { passive: true });
    on(this.#toEnd, 'click', () => { this.#scroller.focus(); this.toEnd(); });
    on($('#trouble-again'), 'click', () => { $('#trouble').hidden = true; if (this.#history.loaded) this.#scrolled(); else this.reload(); });
    on(this.hailgate, 'state', ({ detail: { state } }) => this.#owed && ['live', 'fallback'].includes(state) && this.reload());
    new ResizeObserver(() => this.#history && this.#atEnd && this.#scrollToEnd()).observe(this.#scroller);
    on(document, 'visibilitychange', () => this.#read());
  }

  get thread() { return this.model.threads.get(this.thread_id); }
  get editing() { return [...this.#edits.values()].some((editor) => editor.changed); }

  close() {
    withdraw('thread', 'owner');
    this.thread_id = this.#history = this.#newFrom = null;
    this.#missed = 0;
    this.#atEnd = true;
    this.#loading = null;
    this.#begun = this.#again = this.#owed = false;
    for (const kept of [this.#drawn, this.#marks, this.#unfolded]) kept.clear();
    this.#list.replaceChildren();
    $('#trouble').hidden = this.#toEnd.hidden = $('#empty').hidden = true;
  }

  /** What was read before is shown at once, and read anew behind it. */
  async open(thread_id) {
    this.close();
    this.thread_id = thread_id;
    this.#history = this.#held.get(thread_id) ?? new History();
    this.#held.delete(thread_id);
    this.#held.set(thread_id, this.#history);
    if (this.#held.size > THREADS_HELD_MAX) this.#held.delete(this.#held.keys().next().value);
    if (this.#history.loaded) this.#begin();
    else this.#list.replaceChildren(...Array.from({ length: 8 }, (_, i) => el('li', { class: `skeleton ${i % 3 ? 'other' : 'own'}`, 'aria-hidden': 'true' })));
    await this.#readAnew((history, page) => history.restart(page));
    if (this.thread_id === thread_id && this.#history.loaded && !this.#begun && !this.#owed) { this.#atEnd = true; this.#begin(); }
  }

  /** What was kept of a thread, until it is read anew. */
  fill(thread_id, messages) {
    const history = new History();
    history.restart({ messages, has_more: true });
    this.#held.set(thread_id, history);
  }

  /** The newest messages held of a thread; undefined where none are, or not the newest. */
  newest(thread_id, count) {
    const held = this.#held.get(thread_id);
    return held?.loaded && !held.newer ? held.messages.slice(-count) : undefined;
  }

  /** Nothing of it may be shown again. */
  forget(thread_id) { this.#held.delete(thread_id); }

  /** Reads the thread again: when events were missed. A reader further up stays there. */
  async reload() {
    const from = this.#atEnd || !this.#history.loaded ? null : Number(this.#place()?.element.dataset.sequence ?? 0);
    if (from) await this.#readAnew((history, page) => history.restartAt(page), { after: Math.max(0, from - 50) });
    else await this.#readAnew((history, page) => history.restart(page));
  }

  async #readAnew(put, which = {}) {
    if (this.#loading === this.#history) { this.#again = true; return; }
    if (!await this.#page({ limit: 100, ...which }, put, this.#history.loaded)) return;
    if (!this.#begun && this.#atEnd) this.#begin();
    else { this.#draw(); this.#scrolled(); }
  }

  /** Shows the thread from the first unread message, or from its end. */
  #begin() {
    this.#begun = this.#whole;
    if (this.#begun) this.#placeNewLine();
    this.#draw();
    const line = $('.new-line', this.#list);
    if (line) this.#scroller.scrollTop = line.offsetTop - this.#scroller.clientHeight / 4;
    this.#scrolled();
  }

  /** An event of any thread: those that are held stay whole while nobody looks at them. */
  take({ type, thread_id, data }) {
    if (!type.startsWith('message.')) return;
    if (thread_id !== this.thread_id) {
      const held = this.#held.get(thread_id);
      held?.put(data);
      held?.trim();
      return;
    }
    if (type === 'message.created' && data.author !== this.model.me.user_id && !data.deleted_at) this.#arrived(data);
    this.put(data);
  }

  put(message) {
    this.#history.put(message);
    if (this.#atEnd) this.#history.trim();
    this.draw();
  }

  #arrived(message) {
    announce(`${this.model.nameOf(message.author)}: ${message.content.slice(0, SPOKEN_CHARACTERS)}`);
    if (this.#atEnd && document.visibilityState === 'visible') return;
    if (this.thread?.unread === 1 || this.#newFrom === null) this.#newFrom = message.sequence;
    if (!this.#atEnd) this.#missed += 1;
  }

  /** The reader wrote something: the rest is read, and the new message is to be seen. */
  wrote() {
    this.#newFrom = null;
    this.toEnd();
  }

  async toEnd() {
    this.#atEnd = true;
    if (this.#history.newer) await this.reload();
    else this.#draw();
  }

  // Pages

  async #page(which, put, calm = false) {
    const history = this.#history;
    if (this.#loading === history) return false;
    this.#loading = history;
    try {
      const page = await this.hailgate.messages(this.thread_id, which);
      if (history !== this.#history) return false;
      put(history, page);
      this.onLoaded();
      $('#trouble').hidden = true;
      this.#owed = false;
      return true;
    } catch (error) {
      if (history === this.#history && error.status !== 401) this.#trouble(error, calm);
      return false;
    } finally {
      if (this.#loading === history) {
        this.#loading = null;
        if (this.#again) { this.#again = false; this.reload(); }
      }
    }
  }

  #trouble(error, calm) {
    this.#owed = !error.status;
    if (!this.#history.loaded) this.#list.replaceChildren();
    else if (this.#owed && calm) return;   // what was read stays, and the connection's line says why it is not the newest
    this.#say(`The messages could not be loaded: ${error.words}`);
  }

  #say(words) {
    $('#trouble-words').textContent = words;
    $('#trouble').hidden = false;
  }

  async #more(which, put) {
    if (await this.#page({ limit: 100, ...which }, put)) { this.#draw(); this.#scrolled(); }
  }

  #scrolled() {
    const history = this.#history;
    if (!history?.loaded) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller, below = scrollHeight - scrollTop - clientHeight;
    this.#atEnd = below < END_PX && !history.newer;
    if (this.#atEnd) this.#missed = 0;
    this.#toEnd.hidden = this.#atEnd;
    this.#toEnd.textContent = this.#missed ? count(this.#missed, 'new message') : 'To the end';
    this.#read();
    if (history.older && scrollTop < NEAR_PX && history.first) this.#more({ before: history.first }, (held, page) => held.prepend(page));
    else if (history.newer && below < NEAR_PX) this.#more({ after: history.last }, (held, page) => held.append(page));
  }

  // Reading

  /** Above the first unread message, if that is among those loaded. */
  #placeNewLine() {
    let left = this.thread?.unread ?? 0;
    for (const { author, deleted_at, sequence } of this.#history.messages.toReversed()) {
      if (left === 0) break;
      if (author === this.model.me.user_id || deleted_at) continue;
      left -= 1;
      this.#newFrom = sequence;
    }
    if (left) this.#newFrom = null;
  }

  /** Whether the newest message that the server told of is among those held. */
  get #whole() { return (this.#history.last ?? 0) >= (this.thread?.last_message?.sequence ?? 0); }

  /** At the end and looked at: everything is read. The server is told at most once a second. */
  #read() {
    const thread = this.thread;
    if (!thread?.unread || !this.#history?.loaded || !this.#atEnd || document.visibilityState !== 'visible') return;
    if (!this.#whole) return;
    thread.unread = 0;
    this.onRead();
    this.#untold.set(thread.thread_id, this.#history.last);
    this.#readTimer ??= setTimeout(() => {
      this.#readTimer = null;
      for (const [thread_id, last] of this.#untold) this.hailgate.markRead(thread_id, last).catch(() => { /* the next reading tells */ });
      this.#untold.clear();
    }, READ_EVERY_MS);
  }

  // Drawing

  #draw() {
    const history = this.#history;
    if (!history?.loaded) return;
    const writing = [...this.#edits.values()].some((editor) => editor.focused);   // whoever edits is not taken along to the end
    const stay = this.#atEnd && !history.newer && !writing ? null : this.#place();
    const waiting = history.newer ? [] : this.outbox.of(this.thread_id);
    this.#keys.keep(() => arrange(this.#list, this.#rows([...history.messages, ...waiting])));
    $('#empty').hidden = history.messages.length + waiting.length > 0;
    if (!stay) this.#scrollToEnd();
    else {
      const element = this.#drawn.get(stay.key)?.element;
      if (element) this.#scroller.scrollTop += element.getBoundingClientRect().top - stay.top;
    }
    this.#scrolled();
  }

  #scrollToEnd() { this.#scroller.scrollTop = this.#scroller.scrollHeight; }

  /** The first message in sight, and where: what must not move. */
  #place() {
    const top = this.#scroller.getBoundingClientRect().top;
    for (const [key, { element }] of this.#drawn) {
      const box = element.getBoundingClientRect();
      if (box.height && box.bottom > top) return { key, element, top: box.top };
    }
    return null;
  }

  #rows(messages) {
    const rows = [], drawn = new Map(), marks = new Map();
    const mark = (key, make) => { marks.set(key, this.#marks.get(key) ?? make()); rows.push(marks.get(key)); };
    let before = null;
    if (this.#history.older) mark('older', () => el('li', { class: 'older' }, 'Loading earlier messages'));
    else if (messages.length) mark('start', () => el('li', { class: 'start' }, 'The beginning of this thread'));
    for (const message of messages) {
      const day = dayOf(message.created_at), words = dayInWords(message.created_at), news = message.sequence && message.sequence === this.#newFrom;
      const newDay = !before || dayOf(before.created_at) !== day;
      if (newDay) mark(`day ${day} ${words}`, () => el('li', { class: 'day' }, el('h3', {}, words)));
      if (news) mark('news', () => el('li', { class: 'new-line' }, 'New messages'));
      const element = this.#element(message, drawn);
      element.classList.toggle('head', newDay || Boolean(news) || !sameGroup(before, message));
      rows.push(element);
      before = message;
    }
    this.#drawn = drawn;   // in the order of the page; what is not drawn any more is forgotten
    this.#marks = marks;
    return rows;
  }

  /** The element of a message, made again only when it has changed. */
  #element(message, drawn) {
    const { me } = this.model, own = message.author === me.user_id;
    const key = own && message.client_message_id ? `own ${message.client_message_id}` : message.message_id;
    const author = this.model.nameOf(message.author), folded = !this.#unfolded.has(message.message_id);
    const removable = own || this.thread?.owner === me.user_id, face = !own && this.thread?.member_count > 2;
    let version = [message.state, message.reason, message.edited_at, message.deleted_at, message.message_id, author, face, folded, removable].join('\n');
    const known = this.#drawn.get(key), editor = this.#edits.get(message.message_id);
    if (editor) { editor.told(message); version = 'editor'; }   // never made again under the writer's hands
    if (known?.version === version) { drawn.set(key, known); return known.element; }
    const element = messageElement(message, { own, author, face, folded, removable, editor: editor?.element, on: this.#actions });
    drawn.set(key, { element, version });
    return element;
  }

  #actions = {
    edit: (message) => this.#edit(message, () => (this.#elementOf(message.message_id)?.matches('.deleted') ? this.onFocus() : this.#elementOf(message.message_id)?.focus())),
    remove: (message) => this.#remove(message),
    retry: (key) => this.outbox.retry(key),
    discard: (key) => this.outbox.discard(key),
    unfold: ({ message_id }) => { this.#unfolded.add(message_id); this.#atEnd = false; this.#draw(); },
  };

  #elementOf(message_id) { return [...this.#drawn.values()].find(({ element }) => element.dataset.messageId === message_id)?.element; }

  /** The last own message here, from the keyboard: the writer comes back to where they wrote. */
  editLast() {
    const last = this.#history?.messages.findLast(({ author, deleted_at }) => author === this.model.me.user_id && !deleted_at);
    if (last) this.#edit(last, () => this.onFocus());
  }

  #edit(message, back) {
    const { message_id, thread_id } = message;
    if (!this.#edits.has(message_id)) {
      if (this.#edits.size >= EDITS_MAX) { this.#say('Too many messages are being edited. Save or cancel some first'); return; }
      const end = () => {
        const focused = this.#edits.get(message_id).focused;
        this.#edits.delete(message_id);
        if (this.thread_id !== thread_id) return;
        this.#draw();
        if (focused) back();
      };
      const save = async (content) => {
        const told = await this.hailgate.editMessage(message_id, content);
        if (this.thread_id === thread_id) this.put(told);
        else this.#held.get(thread_id)?.put(told);
      };
      this.#edits.set(message_id, new Editor({ message, max: this.max(), onSave: save, onEnd: end }));
      this.#draw();
    }
    this.#edits.get(message_id).fit();
    this.#edits.get(message_id).focus();
  }

  async #remove(message) {
    const whose = message.author === this.model.me.user_id ? 'your message' : `the message by ${this.model.nameOf(message.author)}`;
    if (!await confirmed(`Delete ${whose} of ${minute(message.created_at)} for everyone? This cannot be undone.`, 'Delete', message.author === this.model.me.user_id ? 'thread' : 'owner')) return;
    try {
      await this.hailgate.deleteMessage(message.message_id);
      if (this.thread_id === message.thread_id) this.put({ ...message, content: null, metadata: null, deleted_at: new Date().toISOString() });
    } catch (error) {
      this.#say(`The message was not deleted: ${error.words}`);
    }
  }
}

/** By the same author within the same minute. */
const sameGroup = (a, b) => a.author === b.author && a.created_at.slice(0, 16) === b.created_at.slice(0, 16);
