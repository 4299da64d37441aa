// conversations.js: the conversations view: the threads, the open one and its people, kept in step with the events.

import { $, announce, on } from './dom.js';
import { Model } from './model.js';
import { Outbox } from './outbox.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { withdraw } from './dialogs.js';
import { Drafts } from './drafts.js';
import { FIND_KEY, Finder } from './finder.js';
import { Kept } from './kept.js';
import { pageKeys } from './keys.js';
import { newThreadDialog } from './newthread.js';
import { Panes } from './panes.js';
import { People } from './people.js';
import { Presence, presenceDot } from './presence.js';
import { lastOpen } from './shelf.js';
import { peopleInWords, ThreadList } from './threads.js';
import { Typists, Writing } from './typing.js';

const PAGES_MAX = 50;      // of 100 threads; one user owns 5,000 at most
const RETRY_MS = 3_000;
const KEEP_EVERY_MS = 1_000;
const MESSAGES_KEPT = 100; // of each thread that was read lately

export class Conversations {
  #loading = false;
  #stale = false;           // a reload was asked for while one was under way
  #changes = new Set();     // threads that differ from what is kept of them
  #keeping = null;
  #owner = null;            // of the open thread, as last shown

  constructor(hailgate, me, shelf) {
    this.hailgate = hailgate;
    this.shelf = shelf;
    this.model = new Model(me);
    const kept = new Kept();
    this.outbox = new Outbox(hailgate, { kept });
    this.drafts = new Drafts(kept, me.user_id);
    this.list = new ThreadList(this.model, this.drafts);
    this.presence = new Presence(hailgate);
    this.typists = new Typists(hailgate, this.model);
    const writing = new Writing(hailgate);
    this.composer = new Composer(hailgate, this.drafts, {
      onSend: (thread_id, content) => this.#write(thread_id, content), onWriting: (thread_id, active) => writing.now(thread_id, active), onUp: () => this.open.editLast() });
    this.open = new Conversation({
      hailgate, model: this.model, outbox: this.outbox, max: () => this.composer.max, onRead: () => this.list.draw(),
      onLoaded: () => this.#keep(this.open.thread_id), onFocus: () => this.composer.focus() });
    this.people = new People({ hailgate, model: this.model, presence: this.presence });
    this.panes = new Panes({ onPeople: (open) => this.#people(open) });
    const finder = new Finder({ list: this.list, panes: this.panes, onAgain: () => this.composer.focus() });
    pageKeys({ finder, panes: this.panes, onEscape: () => { this.panes.unpeek(); this.composer.focus(); } });
    $('#nothing-find').textContent = FIND_KEY;
    $('#me').textContent = me.name;
    $('#me').title = me.user_id;
    this.#listen();
  }

  #listen() {
    const { hailgate, outbox } = this;
    on(hailgate, 'event', ({ detail }) => this.#take(detail));
    on(hailgate, 'notice', ({ detail: { type, thread_id, data } }) => type === 'thread.read' && this.#marker({ thread_id, ...data }));
    on(hailgate, 'caught_up', ({ detail }) => Array.isArray(detail.read) && detail.read.forEach((marker) => this.#marker(marker)));
    on(hailgate, 'reload', ({ detail: { thread_id } }) => {
      this.open.missed(thread_id);
      if (thread_id) this.#reloadThread(thread_id); else this.#reload();
    });
    on(this.presence, 'change', () => this.#drawPresence());
    on($('#told-ok'), 'click', () => { this.#say(''); this.composer.focus(); });
    on(outbox, 'change', ({ detail }) => detail === this.open.thread_id && this.open.draw());
    on(outbox, 'stored', ({ detail }) => detail.thread_id === this.open.thread_id && this.open.put(detail));
    on(window, 'hashchange', () => this.#route());
    on($('#thread-list'), 'click', ({ target }) => target.closest('a')?.hash === location.hash && this.#route());   // which changes no address
    const begin = newThreadDialog(hailgate, (thread) => { this.model.put(thread); this.list.draw(); location.hash = `thread=${thread.thread_id}`; });
    for (const button of document.querySelectorAll('.new-thread')) on(button, 'click', begin);
    on($('#skip'), 'click', () => (this.open.thread_id ? this.composer.focus() : $('#conversation').focus()));
  }

  /** Whether something written would be lost with this window. */
  get unsent() { return this.outbox.atRisk || this.drafts.atRisk || this.open.editing; }

  /** What stays in this browser when its user signs out, in words; empty for nothing. */
  get staying() {
    if (this.outbox.size) return 'Your unsent messages stay in this browser and are sent when you sign in here again.';
    return this.drafts.threads.some((thread_id) => this.model.threads.has(thread_id)) ? 'Your drafts stay in this browser and are shown when you sign in here again, to nobody else.' : '';
  }

  /** Shows what was kept of an earlier visit, until the server can be asked. */
  fill(kept) {
    for (const { thread, messages } of kept) {
      this.model.put(thread);
      if (messages) this.open.fill(thread.thread_id, messages);
    }
    this.list.loaded();
    this.#route();
  }

  /** Puts what has changed onto the shelf, soon. */
  #keep(...ids) {
    for (const id of ids) this.#changes.add(id);
    this.#keeping ??= setTimeout(() => {
      this.#keeping = null;
      const told = [...this.#changes].map((thread_id) => ({ thread_id, thread: this.model.threads.get(thread_id), messages: this.open.newest(thread_id, MESSAGES_KEPT) }));
      this.#changes.clear();
      this.shelf.put(told);
    }, KEEP_EVERY_MS);
  }

  /** Threads by REST first, then the stream from the cursor of that answer: nothing falls between the two. */
  async start() {
    if (this.hailgate.cursor) { this.hailgate.start(); return; }
    const cursor = await this.#reload();
    if (cursor) this.hailgate.start({ since: cursor });
  }

  // Reading by REST

  /** @returns the cursor of the first page, from which the stream goes on */
  async #reload() {
    if (this.#loading) { this.#stale = true; return null; }
    this.#loading = true;
    let first = null;
    try {
      first = await this.hailgate.threads();
      this.open.missed();
      this.model.threads.clear();
      this.shelf.keepOnly(first.threads.map(({ thread_id }) => thread_id));
      this.#put(first.threads);
      this.#keep(...this.model.threads.keys());
      const shown = this.open.thread_id;
      this.#route();
      if (shown && shown === this.open.thread_id) { this.open.reload(); this.presence.ask(); }
      this.#rest(first.threads);
    } catch (error) {
      if (error.status !== 401) setTimeout(() => (this.hailgate.cursor ? this.#reload() : this.start()), Math.max(error.retryAfterMs, RETRY_MS));
    }
    this.#loading = false;
    if (this.#stale) { this.#stale = false; return this.#reload(); }
    return first?.cursor ?? null;
  }

  #put(threads) {
    threads.forEach((thread) => this.model.put(thread));
    this.list.loaded();
  }

  /** The pages after the first, behind the reader's back. */
  async #rest(page) {
    for (let read = 1; page.length >= 100 && read < PAGES_MAX; read += 1) {
      const known = this.model.threads.size;
      try { page = (await this.hailgate.threads({ after: page.at(-1).thread_id })).threads; } catch { return; }
      this.#put(page);
      if (this.model.threads.size === known) return;
    }
    if (!this.open.thread_id) this.#route();
  }

  async #loadThread(thread_id) {
    try {
      this.model.put(await this.hailgate.thread(thread_id));
      this.#keep(thread_id);
      this.#changed(thread_id);
      return true;
    } catch (error) {
      if (error.status === 404) this.#gone(thread_id);
      return false;
    }
  }

  /** We were put into a thread. Whoever was taken out of it while reading has it before them again. */
  async #joined(thread_id) {
    if (!await this.#loadThread(thread_id)) return;
    if (this.open.thread_id === thread_id) { this.#reloadThread(thread_id); return; }
    announce(`You were added to ${this.model.titleOf(this.model.threads.get(thread_id))}`);
    if (this.open.thread_id || this.#wanted !== thread_id) return;
    this.#show(thread_id);
    this.#say('You are in this thread now.');
  }

  #reloadThread(thread_id) {
    this.#loadThread(thread_id);
    if (thread_id !== this.open.thread_id) return;
    this.open.reload();
    this.presence.ask();
  }

  // Events

  #take(event) {
    const { type, thread_id, data } = event, { me } = this.model, next = this.model.apply(event);
    if (type === 'message.created') this.typists.done(thread_id, data.author);
    if (type === 'thread.member_added' && thread_id === this.open.thread_id) this.presence.ask();   // nobody had to tell us of them before
    if (type === 'thread.member_removed') this.typists.done(thread_id, data.user_id);
    if (type === 'message.created' && data.author === me.user_id && data.client_message_id) this.outbox.confirm(data.client_message_id);
    this.open.take(event);
    this.#keep(thread_id);
    if (thread_id !== this.open.thread_id && type === 'message.created' && data.author !== me.user_id && this.model.threads.has(thread_id)) {
      announce(`New message from ${this.model.nameOf(data.author)} in ${this.model.titleOf(this.model.threads.get(thread_id))}`);
    }
    if (next === 'gone') this.#gone(thread_id, event);
    else if (next === 'load' && type === 'thread.member_added') this.#joined(thread_id);
    else if (next === 'load') this.#loadThread(thread_id);
    else this.#changed(thread_id, type);
  }

  /** What another window has read. Told beside the log: messages above the marker may have come before the telling. */
  #marker({ thread_id, sequence, unread }) {
    const thread = this.model.threads.get(thread_id);
    if (!thread || typeof unread !== 'number' || sequence < thread.read_sequence) return;   // this window has read on since
    if (unread !== thread.unread && thread.last_message?.sequence > sequence) { this.#loadThread(thread_id); return; }
    thread.unread = unread;
    thread.read_sequence = sequence;
    this.#keep(thread_id);
    this.list.draw();
    if (thread_id === this.open.thread_id) this.open.draw();
  }

  #changed(thread_id, type = 'thread.') {
    this.list.draw();
    if (thread_id !== this.open.thread_id || !type.startsWith('thread.')) return;
    this.#head();
    this.open.draw();
    if (this.panes.peopleOpen) this.people.refresh();
  }

  /** @param event why, if an event tells it */
  #gone(thread_id, { type, by } = {}) {
    this.model.forget(thread_id);
    this.open.forget(thread_id);
    if (type === 'thread.deleted') this.drafts.put(thread_id, '');   // who was removed may be added again
    this.#keep(thread_id);
    this.list.draw();
    if (thread_id !== this.open.thread_id) return;
    const who = by && this.model.nameOf(by), own = by === this.model.me.user_id;
    const words = type === 'thread.deleted' ? (who && !own ? `${who} deleted this thread.` : 'This thread was deleted.')
      : own ? 'You left this thread. Its owner can add you again.'
      : who && type ? `${who} removed you from this thread. Its owner can add you again.` : 'You are no longer in this thread. Its owner can add you again.';
    this.#show(null, words);
    announce(words);
    $('#conversation').focus();
  }

  // What is open

  get #wanted() { return /^#thread=([\w-]+)$/.exec(location.hash)?.[1]; }

  /** The address says which thread is open, so that back, forward and reload do what they say. */
  async #route() {
    const wanted = this.#wanted;
    if (!wanted) {
      const begin = this.#lastOpen;
      if (this.panes.wide && begin && !location.hash) { history.replaceState(null, '', `#thread=${begin}`); this.#route(); return; }
      this.#show(null);
    } else if (wanted !== this.open.thread_id || !this.model.threads.has(wanted)) {
      const here = this.model.threads.has(wanted) || await this.#loadThread(wanted);
      if (wanted !== this.#wanted) return;   // another one was chosen meanwhile
      if (!here) this.#show(null, 'This thread is not here, or you are not in it.');
      else if (wanted !== this.open.thread_id) this.#show(wanted);
    }
  }

  /** With room for both, the page begins with the thread that was open last in this browser, or with the only one there is. */
  get #lastOpen() {
    const { threads, me } = this.model, last = lastOpen.get(me.user_id);
    return threads.has(last) ? last : threads.size === 1 ? threads.keys().next().value : null;
  }

  #show(thread_id, words = '') {
    this.list.open = thread_id;
    if (thread_id) lastOpen.set(this.model.me.user_id, thread_id);
    this.list.draw();
    $('#conversation').dataset.open = Boolean(thread_id);
    $('#conversation').inert = false;   // until now it was the frame that the page begins with
    $('#nothing-words').textContent = words || (this.model.threads.size ? 'Choose a thread' : 'You have no threads yet');
    this.#owner = null;
    this.#say('');
    this.typists.open(thread_id);
    $('#nothing-start').hidden = this.model.threads.size > 0;
    $('#nothing-else').hidden = !this.model.threads.size;
    $('#thread-title').hidden = !thread_id;
    this.panes.show(thread_id || (words && location.hash) ? 'conversation' : 'threads');
    if (!thread_id) { this.open.close(); this.panes.people(false); this.composer.open(null, ''); $('#thread-title').textContent = ''; this.presence.ask(null); return; }
    this.#head();
    this.composer.open(thread_id, $('#thread-title').textContent);
    if (this.panes.peopleOpen) this.people.show(thread_id);
    if (!this.panes.wide) $('#thread-title').focus({ preventScroll: true });
    else this.composer.focus();
    this.open.open(thread_id);
    this.presence.ask(thread_id);
    this.#drawPresence();
  }

  #head() {
    const thread = this.model.threads.get(this.list.open);
    if (!thread) return;
    const title = this.model.titleOf(thread), { thread_id, owner } = thread;
    $('#thread-title').textContent = title;
    $('#people-toggle').textContent = peopleInWords(thread);
    this.composer.rename(title);
    if (this.#owner?.thread_id === thread_id && this.#owner.owner !== owner) {
      this.#say(owner === this.model.me.user_id ? 'You own this thread now. You can rename and delete it, add and remove people, and delete any message.' : `${this.model.nameOf(owner)} owns this thread now.`);
    }
    if (owner !== this.model.me.user_id) withdraw('owner');
    this.#owner = { thread_id, owner };
    this.#drawPresence();
  }

  /** Something about the open thread, until it is acknowledged or another is opened. */
  #say(words) {
    $('#told').hidden = !words;
    $('#told-words').textContent = words;
  }

  /** In the head where two are in the thread; its place is kept, so that nothing moves when it becomes known. */
  #drawPresence() {
    const thread = this.model.threads.get(this.open.thread_id), { me } = this.model;
    const other = thread?.member_count === 2 && thread.members.find(({ user_id }) => user_id !== me.user_id);
    $('#head-presence').replaceChildren(...(other ? [presenceDot(this.presence.of(other.user_id))] : []));
    this.people.dots();
  }

  #people(open) {
    if (!open) { this.people.hide(); return; }
    this.people.show(this.open.thread_id);
    this.presence.ask();
  }

  #write(thread_id, content) {
    const taken = this.outbox.add(thread_id, content);
    if (taken) this.open.wrote();
    return taken;
  }
}
