// people.js: the panel of a thread's people: who is in it, and what its owner and its members can change.

import { $, el, on } from './dom.js';
import { asked, confirmed } from './dialogs.js';
import { presenceDot } from './presence.js';
import { peopleSearch } from './search.js';
import { count } from './text.js';

const SHOWN_MAX = 500;

export class People {
  #panel = $('#people');
  #words = $('#people-words');
  #members = [];
  #reading = 0;
  thread_id = null;

  /** @param {{hailgate, model, presence, onToggle: (open: boolean) => void}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    on($('#people-close'), 'click', () => this.onToggle(false));
    on(this.#panel, 'keydown', ({ key }) => key === 'Escape' && this.onToggle(false));
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
    if (thread_id !== this.thread_id) { this.#members = []; this.search.clear(); this.#words.textContent = ''; }
    this.thread_id = thread_id;
    this.#panel.hidden = false;
    this.refresh();
  }

  hide() {
    this.#panel.hidden = true;
    this.thread_id = null;
  }

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
    $('#people-owner-part').hidden = $('#owner-actions').hidden = !owner;
    const rows = this.#members.slice(0, SHOWN_MAX).map((member) => this.#row(member, thread, owner));
    if (this.#members.length > SHOWN_MAX) rows.push(el('li', {}, `and ${this.#members.length - SHOWN_MAX} more`));
    const list = $('#people-list'), focused = list.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
    list.replaceChildren(...rows);
    if (focused) ([...list.querySelectorAll('button')].find((button) => button.getAttribute('aria-label') === focused) ?? $('#people-close')).focus();
  }

  #row({ user_id, name }, thread, owner) {
    const { me } = this.model, called = name || user_id;
    const button = (words, label, act) => el('button', { type: 'button', class: 'quiet', 'aria-label': label, onclick: () => act(user_id, called) }, words);
    return el('li', { data: { userId: user_id } },
      presenceDot(this.presence.of(user_id)),
      el('span', { class: 'name' }, el('bdi', {}, called), user_id === me.user_id && ' (you)'),
      el('span', { class: 'id' }, user_id === thread.owner ? `${user_id}, owner` : user_id),
      owner && user_id !== me.user_id && el('span', { class: 'deeds' },
        button('Make owner', `Make owner: ${called}`, (...who) => this.#handOver(...who)), button('Remove', `Remove ${called}`, (...who) => this.#remove(...who))));
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
