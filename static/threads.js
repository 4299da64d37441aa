// threads.js: the list of threads at the left: title, draft or last message, unread count; newest activity first.

import { $, arrange, el, on, soon } from './dom.js';
import { brief, count } from './text.js';

const PREVIEW_CHARACTERS = 120;   // more than fits in the column

export class ThreadList {
  #list = $('#thread-list');
  #rows = new Map();   // thread_id -> {element, drawn}
  draw = soon(() => this.#draw());

  constructor(model, drafts) {
    this.model = model;
    this.drafts = drafts;
    this.open = null;
    on(drafts, 'restored', this.draw);
    this.loading();
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
    const threads = this.model.inOrder();
    arrange(this.#list, threads.map((thread) => this.#row(thread)));
    for (const id of this.#rows.keys()) if (!this.model.threads.has(id)) this.#rows.delete(id);
    $('#no-threads').hidden = threads.length > 0;
    const unread = this.model.unread();
    document.title = unread ? `(${unread}) Hailgate` : 'Hailgate';
  }

  /** The row is made again only when something that it shows has changed; its link stays, and so does the focus. */
  #row(thread) {
    const { thread_id, unread, last_message, created_at } = thread;
    const title = this.model.titleOf(thread), at = last_message?.created_at ?? created_at;
    const draft = this.open === thread_id ? '' : this.drafts.of(thread_id), preview = draft ? inOneLine(draft) : this.#preview(last_message);
    const drawn = JSON.stringify([title, preview, draft !== '', unread, brief(at), this.open === thread_id]);
    let row = this.#rows.get(thread_id);
    if (row?.drawn === drawn) return row.element;
    if (!row) {
      row = { link: el('a', { href: `#thread=${thread_id}`, data: { threadId: thread_id } }) };
      row.element = el('li', {}, row.link);
      this.#rows.set(thread_id, row);
    }
    row.drawn = drawn;
    row.link.replaceChildren(
      el('span', { class: 'title', dir: 'auto' }, title),
      el('time', { class: 'at', datetime: at }, brief(at)),
      el('span', { class: 'preview', dir: 'auto' }, draft && el('span', { class: 'draft' }, 'Draft: '), preview),
      ...(unread ? [el('span', { class: 'unread', data: { unread } }, unread > 99 ? '99+' : String(unread), el('span', { class: 'sr' }, ' unread'))] : []));
    if (this.open === thread_id) row.link.setAttribute('aria-current', 'true');
    else row.link.removeAttribute('aria-current');
    row.link.classList.toggle('news', unread > 0);
    return row.element;
  }

  #preview(message) {
    if (!message) return 'No messages yet';
    const author = message.author === this.model.me.user_id ? 'You' : this.model.nameOf(message.author);
    if (message.deleted_at) return author === 'You' ? 'You deleted this message' : 'Message deleted';
    return `${author}: ${inOneLine(message.content)}`;
  }
}

const inOneLine = (text) => text.slice(0, PREVIEW_CHARACTERS).replace(/\s+/g, ' ');

/** "3 people", for the button that shows them. */
export const peopleInWords = ({ member_count }) => count(member_count, 'person', 'people');
