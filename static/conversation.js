// conversation.js: the open thread: its messages drawn in order, begun at the first unread one, read both ways without losing the place.

import { $, announce, arrange, el, on, soon } from './dom.js';
import { History } from './history.js';
import { ListKeys } from './listkeys.js';
import { Marks } from './marks.js';
import { messageElement } from './message.js';
import { Reading, UNREAD_MAX } from './reading.js';
import { Scroll } from './scroll.js';
import { capped, dayInWords, dayOf, minute } from './text.js';
import { confirmed, withdraw } from './dialogs.js';
import { Editor } from './editor.js';

const NEAR_PX = 800;        // distance from an end at which the next page is asked for
const PAGE = 100;
const NEWEST_UNREAD_MAX = 50;   // with more unread messages a page is read around the first of them, not the newest one
const READ_BEFORE = 40;         // sequences before the first unread message that are read with it
const SPOKEN_CHARACTERS = 200;
const THREADS_HELD_MAX = 20;  // threads read lately whose messages stay here, to be read without a server too
const EDITS_MAX = 20;

export class Conversation {
  #box = $('#history');
  #list = $('#messages');
  #scroll;
  #keys = new ListKeys({ list: this.#list, scroller: this.#box, onLeave: () => this.onFocus() });
  #history = null;
  #held = new Map();         // thread_id -> History, the latest opened last
  #edits = new Map();        // message_id -> Editor
  #drawn = new Map();        // key -> {element, version}
  #marks = new Map();        // day separators and other rows between messages, by key
  #unfolded = new Set();
  #newFrom = null;           // sequence of the first message under the "new messages" line
  #reading = null;           // how far the open thread has been read
  #begun = false;            // the place to begin reading has been found
  #loading = null;           // the history that a page is being read for
  #again = false;            // events were missed meanwhile: read anew when that page is here
  #owed = false;             // the network failed us: read anew when it is back
  thread_id = null;
  draw = soon(() => this.#history && this.#draw());

  /** @param {{hailgate, model, outbox, max: () => number, onRead: () => void, onLoaded: () => void, onFocus: () => void}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    this.marks = new Marks(this.hailgate);
    this.#scroll = new Scroll(this.#box, () => this.#looked());
    this.#scroll.firstUnread = () => this.#begun && this.#elementOf(this.#reading.firstUnread(this.#history.messages)?.message_id);
    on($('#to-end'), 'click', () => { this.#box.focus(); this.#begun ||= Boolean(this.#history?.loaded); this.toEnd(); });
    on($('#to-first'), 'click', () => { this.#box.focus(); this.#toFirst(); });
    on($('#trouble-again'), 'click', () => { $('#trouble').hidden = true; if (this.#begun) this.#looked(); else this.reload(); });
    on(this.hailgate, 'state', ({ detail: { state } }) => this.#owed && ['live', 'fallback'].includes(state) && this.reload());
    on(document, 'visibilitychange', () => this.#looked());
  }

  get thread() { return this.model.threads.get(this.thread_id); }
  get editing() { return [...this.#edits.values()].some((editor) => editor.changed); }

  close() {
    withdraw('thread', 'owner');
    this.thread_id = this.#history = this.#reading = this.#newFrom = null;
    this.#loading = null;
    this.#begun = this.#again = this.#owed = false;
    for (const kept of [this.#drawn, this.#marks, this.#unfolded]) kept.clear();
    this.#scroll.rows = new Map();
    this.#scroll.atEnd = true;
    this.#list.replaceChildren();
    for (const id of ['#trouble', '#to-end', '#to-first', '#empty']) $(id).hidden = true;
  }

  /** What was read before is shown at once, and read anew behind it. */
  async open(thread_id) {
    this.close();
    this.thread_id = thread_id;
    this.#reading = new Reading(this.model.me.user_id, this.thread?.read_sequence ?? 0);
    this.#history = this.#held.get(thread_id) ?? new History();
    this.#held.delete(thread_id);
    this.#held.set(thread_id, this.#history);
    if (this.#held.size > THREADS_HELD_MAX) this.#held.delete(this.#held.keys().next().value);
    if (this.#history.loaded && this.#holdsFirst) this.#begin();
    else this.#list.replaceChildren(...Array.from({ length: 8 }, (_, i) => el('li', { class: `skeleton ${i % 3 ? 'other' : 'own'}`, 'aria-hidden': 'true' })));
    await this.reload();
    // Without the server: the end of what is held, though something unread is missing. Nothing is marked.
    if (this.thread_id === thread_id && this.#history.loaded && !this.#begun) this.#draw();
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

  /** Events of a thread (of all, if none is named) were missed: what comes next does not join what is held of those that are not open. */
  missed(thread_id) {
    for (const [id, held] of this.#held) if (held.loaded && held !== this.#history && (!thread_id || id === thread_id)) held.newer = true;
  }

  /** Nothing of it may be shown again. */
  forget(thread_id) { this.#held.delete(thread_id); }

  /** Reads the thread again: when events were missed. A reader further up stays there, one at the end sees first what was missed. */
  async reload() {
    if (this.#loading === this.#history) { this.#again = true; return; }
    if (!this.#begun) { await this.#readToBegin(); return; }
    const { last } = this.#history, unread = this.thread?.unread ?? 0;
    let here = this.#scroll.atEnd;
    if (here) {
      const read = await this.#page({}, (history, page) => {
        here = !unread || !page.has_more || page.messages[0].sequence <= (last ?? 0) + 1;
        if (here) history.restart(page);
      }, true);
      if (!read) return;
    }
    if (!here && !await this.#page({ after: Math.max(0, Number(this.#scroll.place()?.element.dataset.sequence ?? last ?? 0) - READ_BEFORE) }, (history, page) => history.restartAt(page), true)) return;
    this.#draw();
  }

  /** The newest page; where the first unread message is not in it, the one around that. */
  async #readToBegin() {
    const { unread = 0, read_sequence = 0 } = this.thread ?? {}, calm = this.#history.loaded;
    const newest = unread <= NEWEST_UNREAD_MAX;
    if (newest && !await this.#page({}, (history, page) => history.restart(page), calm)) return;
    if ((!newest || !this.#holdsFirst) && !await this.#page({ after: Math.max(0, read_sequence - READ_BEFORE) }, (history, page) => history.restartAt(page), calm)) return;
    this.#begin();
  }

  get #holdsFirst() { return this.#reading.holdsFirst(this.#history, this.thread?.unread ?? 0); }

  /** Shows the thread from the first unread message, or from its end. */
  #begin() {
    this.#begun = true;
    this.#newFrom = this.thread?.unread ? this.#reading.first(this.#history.messages)?.sequence ?? null : null;
    this.#arrange();
    this.#scroll.toEnd();
    const line = $('.new-line', this.#list);
    if (line) this.#scroll.bring(line);
    this.#looked();
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
    if (this.#scroll.atEnd) this.#history.trim();
    this.draw();
  }

  #arrived(message) {
    announce(`${this.model.nameOf(message.author)}: ${message.content.slice(0, SPOKEN_CHARACTERS)}`);
    if (this.#scroll.atEnd && this.#box.clientHeight && document.visibilityState === 'visible') return;
    if (this.thread?.unread === 1 || this.#newFrom === null) this.#newFrom = message.sequence;
  }

  /** The reader wrote something, and the new message is to be seen. */
  wrote() {
    if (!this.thread?.unread) this.#newFrom = null;
    this.toEnd();
  }

  /** A jump: what lies between is read, because the reader chose so. */
  async toEnd() {
    if (this.#history.newer && !await this.#page({}, (history, page) => history.restart(page))) return;
    this.#scroll.atEnd = true;
    this.#draw(true);
  }

  /** To the first message that was jumped over. */
  async #toFirst() {
    const { through } = this.#reading, held = () => !this.#history.older || this.#history.first <= through + 1;
    if (!held() && !await this.#page({ after: Math.max(0, through - READ_BEFORE) }, (history, page) => history.restartAt(page))) return;
    const first = this.#reading.first(this.#history.messages);
    if (!first) return;
    this.#newFrom = first.sequence;
    this.#arrange();
    this.#scroll.bring($('.new-line', this.#list));
    this.#looked();
  }

  // Pages

  async #page(which, put, calm = false) {
    const history = this.#history;
    if (this.#loading === history) return false;
    this.#loading = history;
    try {
      const page = await this.hailgate.messages(this.thread_id, { limit: PAGE, ...which });
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
    if (await this.#page(which, put)) this.#draw();
  }

  // Reading

  /** What is in view now: what it says of the rest, what is to be loaded for it, and what has been read with it. */
  #looked() {
    const history = this.#history;
    if (!history?.loaded || !this.#scroll.rows.size) return;
    const { above, below } = this.#scroll.look(history.newer);
    const view = this.#scroll.inView();
    this.#see(view);
    this.#offer(view);
    if (history.older && above < NEAR_PX && history.first) this.#more({ before: history.first }, (held, page) => held.prepend(page));
    else if (history.newer && below < NEAR_PX) this.#more({ after: history.last }, (held, page) => held.append(page));
  }

  /** What is in view of a visible window is read, focused or not: people read beside other work. */
  #see(view) {
    const { thread } = this, reading = this.#reading, history = this.#history;
    if (!thread || !this.#begun) return;
    if (thread.read_sequence > reading.marker) reading.readElsewhere(thread.read_sequence);
    if (!view || document.visibilityState !== 'visible') return;
    const whole = !history.newer && history.last >= (thread.last_message?.sequence ?? 0);
    const unread = reading.saw(history.messages, view, { unread: thread.unread, whole });
    if (reading.marker <= thread.read_sequence) return;
    thread.read_sequence = reading.marker;
    if (unread === thread.unread && unread < UNREAD_MAX) return;
    thread.unread = unread;
    this.onRead();
    this.marks.read(thread.thread_id, reading.marker);
  }

  /** The ways to the end and to what was jumped over. */
  #offer(view) {
    const unread = this.thread?.unread ?? 0, { skipped, through } = this.#reading;
    const words = unread ? `To the end: ${capped(unread)} new ${unread === 1 ? 'message' : 'messages'}` : 'To the end', toEnd = $('#to-end');
    toEnd.hidden = this.#scroll.atEnd;
    $('#to-end-count').textContent = unread ? capped(unread) : '';
    toEnd.setAttribute('aria-label', words);
    toEnd.title = words;
    $('#to-first').hidden = !(skipped && view && view.after > through);
    $('#to-first-words').textContent = `${counted(skipped)} above: go to the first`;
  }

  // Drawing

  /** @param {boolean} jump to the very end, whatever is unread before it */
  #draw(jump = false) {
    const history = this.#history;
    if (!history?.loaded || (!this.#begun && this.#loading === history)) return;
    const writing = [...this.#edits.values()].some((editor) => editor.focused);   // whoever edits is not taken along to the end
    const stay = this.#scroll.atEnd && !history.newer && !writing ? null : this.#scroll.place();
    this.#arrange();
    if (stay) this.#scroll.keep(stay);
    else this.#scroll.toEnd(jump || !this.#begun ? null : this.#elementOf(this.#reading.firstUnread(history.messages)?.message_id));
    this.#looked();
  }

  #arrange() {
    const history = this.#history, waiting = history.newer ? [] : this.outbox.of(this.thread_id);
    this.#keys.keep(() => arrange(this.#list, this.#rows([...history.messages, ...waiting])));
    this.#scroll.rows = this.#drawn;
    $('#empty').hidden = history.messages.length + waiting.length > 0;
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
      if (newDay) mark(`day ${day} ${words}`, () => el('li', { class: 'day' }, el('h2', {}, words)));
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
    unfold: ({ message_id }) => { this.#unfolded.add(message_id); this.#scroll.atEnd = false; this.#draw(); },
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
        if (this.#edits.get(message_id) !== editor) return;   // cancelled while it was being saved, and begun again
        const focused = editor.focused;
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
      const editor = new Editor({ message, max: this.max(), onSave: save, onEnd: end });
      this.#edits.set(message_id, editor);
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

const counted = (n) => `${n < UNREAD_MAX ? n : `${UNREAD_MAX} or more`} new ${n === 1 ? 'message' : 'messages'}`;

/** By the same author within the same minute. */
const sameGroup = (a, b) => a.author === b.author && a.created_at.slice(0, 16) === b.created_at.slice(0, 16);
