// threads.js: the list of threads at the left: title, draft or last message, unread count; newest activity first. One tab stop, arrows move in it.

import { $, arrange, el, on, soon } from './dom.js';
import { fold, matcher } from './filter.js';
import { brief, capped, count, pieces } from './text.js';

const PREVIEW_CHARACTERS = 120;   // more than fits in the column

export class ThreadList {
  #list = $('#thread-list');
  #rows = new Map();   // thread_id -> {element, link, drawn, told, folded}
  #query = '';
  #stop = null;        // the thread whose link is the tab stop
  draw = soon(() => this.#draw());

  constructor(model, drafts) {
    this.model = model;
    this.drafts = drafts;
    this.open = null;
    on(drafts, 'restored', this.draw);
    on(this.#list, 'focusin', ({ target }) => { this.#stop = target.dataset.threadId ?? this.#stop; this.#placeStop(); });
    this.loading();
  }

  /** The links in sight, from above. */
  get links() { return [...this.#list.querySelectorAll('a')]; }

  /** Shows the threads whose title or people have these words, and no others; all of them for no words. */
  find(query) {
    if (this.#query === query) return;
    this.#query = query;
    this.#draw();
    this.#list.scrollTop = 0;
  }

  /** Rows of the right height until the threads are here. */
  loading() {
    this.#list.setAttribute('aria-busy', 'true');
    this.#list.replaceChildren(...Array.from({ length: 6 }, () => el('li', { class: 'skeleton', 'aria-hidden': 'true' })));
  }

  loaded() {
    this.#list.removeAttribute('aria-busy');
    this.#draw();
  }

  #draw() {
    if (this.#list.hasAttribute('aria-busy')) return;
    const threads = this.model.inOrder(), matches = matcher(this.#query);
    const rows = threads.map((thread) => this.#row(thread)), shown = this.#query.trim() ? rows.filter(({ folded }) => matches(folded())) : rows;
    arrange(this.#list, shown.map(({ element }) => element));
    for (const id of this.#rows.keys()) if (!this.model.threads.has(id)) this.#rows.delete(id);
    this.#placeStop();
    $('#no-threads').hidden = shown.length > 0;
    $('#no-threads').textContent = threads.length ? 'No thread has this in its title or among its people.' : 'No threads yet.';
    $('#found').textContent = this.#query.trim() ? `${count(shown.length, 'thread')} found` : '';
    const unread = this.model.unread();
    document.title = unread ? `(${capped(unread)}) Hailgate` : 'Hailgate';
  }

  /** At the link that had the focus last, else at the open thread, else at the first. */
  #placeStop() {
    const { links } = this, of = (id) => id && links.find(({ dataset }) => dataset.threadId === id);
    const stop = of(this.#stop) ?? of(this.open) ?? links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }

  /** The row is made again only when something that it shows has changed; its link stays, and so does the focus. */
  #row(thread) {
    const { thread_id, unread, last_message, created_at } = thread, current = this.open === thread_id;
    const title = this.model.titleOf(thread), at = last_message?.created_at ?? created_at;
    const draft = current ? '' : this.drafts.of(thread_id), preview = draft ? inOneLine(draft) : this.#preview(last_message);
    const drawn = JSON.stringify([title, preview, draft !== '', unread, brief(at), current]);
    let row = this.#rows.get(thread_id);
    if (!row) {
      row = { link: el('a', { href: `#thread=${thread_id}`, tabindex: '-1', data: { threadId: thread_id } }) };
      row.element = el('li', {}, row.link);
      this.#rows.set(thread_id, row);
    }
    row.folded = () => this.#folded(row, thread, title);
    if (row.drawn === drawn) return row;
    row.drawn = drawn;
    row.link.replaceChildren(
      el('span', { class: 'title', dir: 'auto', title }, title),
      el('time', { class: 'at', datetime: at }, brief(at)),
      el('span', { class: 'preview', dir: 'auto' }, draft && el('span', { class: 'draft' }, 'Draft: '), preview),
      ...(unread ? [el('span', { class: 'unread', data: { unread } }, capped(unread), el('span', { class: 'sr' }, ' unread'))] : []));
    if (current) row.link.setAttribute('aria-current', 'true');
    else row.link.removeAttribute('aria-current');
    row.link.classList.toggle('news', unread > 0);
    return row;
  }

  /** Title and people as a search compares them; folding costs more than comparing, so it is done once for each telling of them. */
  #folded(row, thread, title) {
    if (row.told !== thread.members || row.title !== title) {
      Object.assign(row, { told: thread.members, title, text: fold([title, ...thread.members.flatMap(({ user_id }) => [this.model.nameOf(user_id), user_id])].join('\n')) });
    }
    return row.text;
  }

  #preview(message) {
    if (!message) return 'No messages yet';
    const author = message.author === this.model.me.user_id ? 'You' : this.model.nameOf(message.author);
    if (message.deleted_at) return author === 'You' ? 'You deleted this message' : 'Message deleted';
    return `${author}: ${inOneLine(message.content, (cut) => pieces(cut).map(({ text }) => text).join(''))}`;
  }
}

/** @param {(cut: string) => string} shown what is seen of a message: code without its backticks */
const inOneLine = (text, shown = (cut) => cut) => shown(text.slice(0, PREVIEW_CHARACTERS)).replace(/\s+/g, ' ');

/** "3 people", for the button that shows them. */
export const peopleInWords = ({ member_count }) => count(member_count, 'person', 'people');
