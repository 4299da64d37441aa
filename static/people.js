// people.js: the panel of a thread's people: who is in it, and what its owner and its members can change.

import { $, arrange, el, on } from './dom.js';
import { asked, confirmed } from './dialogs.js';
import { moreButton } from './menu.js';
import { presenceDot } from './presence.js';
import { peopleSearch } from './search.js';
import { count } from './text.js';

const SHOWN_MAX = 500;

export class People {
  #words = $('#people-words');
  #members = [];
  #reading = 0;
  #rows = new Map();   // user_id -> {element, drawn}
  thread_id = null;

  /** @param {{hailgate, model, presence}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    on($('#rename'), 'click', () => this.#rename());
    on($('#leave'), 'click', () => this.#leave());
    on($('#delete-thread'), 'click', () => this.#delete());
    this.search = peopleSearch({
      hailgate: this.hailgate, field: $('#people-search'), results: $('#people-results'), words: this.#words,
      taken: (user_id) => this.#members.some((member) => member.user_id === user_id),
      onPick: (user) => this.#do(() => this.hailgate.addMember(this.thread_id, user.user_id)),
    });
  }

  get #thread() { return this.model.threads.get(this.thread_id); }
  get #owner() { return this.#thread?.owner === this.model.me.user_id; }

  show(thread_id) {
    if (thread_id !== this.thread_id) { this.#members = []; this.#rows.clear(); this.search.clear(); this.#words.textContent = ''; }
    this.thread_id = thread_id;
    this.refresh();
  }

  hide() { this.thread_id = null; }

  /** Reads the members again; the latest reading counts. */
  async refresh() {
    if (!this.#thread) return;
    const reading = ++this.#reading;
    if (!this.#members.length) this.#members = this.#thread.members;
    this.draw();
    try {
      const { members } = await this.hailgate.members(this.thread_id);
      if (reading !== this.#reading || !this.#thread) return;
      this.#members = members;
      this.model.learn(members);
      this.draw();
    } catch (error) {
      if (reading === this.#reading) this.#words.textContent = error.words;
    }
  }

  draw() {
    const thread = this.#thread, owner = this.#owner;
    if (!thread) return;
    $('#people-title').textContent = count(thread.member_count, 'person', 'people');
    for (const part of document.querySelectorAll('#people .for-owner')) part.hidden = !owner;
    const rows = this.#members.slice(0, SHOWN_MAX).map((member) => this.#row(member, thread, owner));
    if (this.#members.length > SHOWN_MAX) rows.push(el('li', {}, `and ${this.#members.length - SHOWN_MAX} more`));
    const list = $('#people-list'), had = list.contains(document.activeElement);
    arrange(list, rows);
    this.dots();
    if (had && !list.contains(document.activeElement)) $('#people-close').focus();
  }

  /** A row is made again only when something that it shows has changed: its menu may be open. */
  #row({ user_id, name }, thread, owner) {
    const { me } = this.model, called = name || user_id, own = user_id === me.user_id;
    const drawn = JSON.stringify([called, user_id === thread.owner, owner, thread.thread_id]), known = this.#rows.get(user_id);
    if (known?.drawn === drawn) return known.element;
    const element = el('li', { data: { userId: user_id } },
      presenceDot(this.presence.of(user_id)),
      el('span', { class: 'name' }, el('bdi', {}, called), own && ' (you)', user_id === thread.owner && el('span', { class: 'tag' }, 'Owner')),
      el('span', { class: 'id' }, user_id),
      owner && !own && moreButton(`More for ${called}`, [
        { words: 'Make owner', act: () => this.#handOver(user_id, called) },
        { words: 'Remove from the thread', name: 'remove', danger: true, act: () => this.#remove(user_id, called) }]));
    this.#rows.set(user_id, { element, drawn });
    return element;
  }

  /** Who is here; the rows stay, and so does what is about to be clicked. */
  dots() {
    for (const row of document.querySelectorAll('#people-list [data-user-id]')) row.firstElementChild.replaceWith(presenceDot(this.presence.of(row.dataset.userId)));
  }

  async #do(change) {
    this.#words.textContent = '';
    try {
      const told = await change();
      if (told?.thread_id) this.model.put(told);
      await this.refresh();
    } catch (error) {
      this.#words.textContent = error.words;
    }
  }

  async #rename() {
    const { thread_id } = this, title = await asked('Title of the thread', this.#thread.title ?? '', 'owner');
    if (title) this.#do(() => this.hailgate.changeThread(thread_id, { title }));
  }

  async #remove(user_id, name) {
    const { thread_id } = this;
    if (await confirmed(`Remove ${name} from this thread? They will not see it any more.`, 'Remove', 'owner')) this.#do(() => this.hailgate.removeMember(thread_id, user_id));
  }

  async #handOver(user_id, name) {
    const { thread_id } = this;
    if (await confirmed(`Make ${name} the owner of this thread? You stay in it, but only ${name} can give it back.`, 'Make owner', 'owner')) this.#do(() => this.hailgate.changeThread(thread_id, { owner: user_id }));
  }

  async #leave() {
    const { thread_id } = this, { member_count } = this.#thread;
    const after = member_count === 1 ? 'You are the last, so it will be deleted.' : this.#owner ? 'The member here longest will own it.' : 'Its owner can add you again.';
    if (await confirmed(`Leave “${this.model.titleOf(this.#thread)}”? ${after}`, 'Leave', 'thread')) this.#do(() => this.hailgate.removeMember(thread_id, this.model.me.user_id));
  }

  async #delete() {
    const { thread_id } = this;
    if (await confirmed(`Delete “${this.model.titleOf(this.#thread)}” and all its messages for everyone?`, 'Delete', 'owner')) this.#do(() => this.hailgate.deleteThread(thread_id));
  }
}
