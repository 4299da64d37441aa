// composer.js: where a message is written: grows to six lines, Enter sends, counts near the limit, keeps what is unsent of each thread.

import { $, on } from './dom.js';
import { characters, count } from './text.js';

const NEAR_LIMIT = 500;       // characters left from which the counter shows
const UNSENT_KEPT_MAX = 100;  // threads whose unsent text is kept

export class Composer {
  #field = $('#composer');
  #unsent = new Map();
  #thread = null;

  /** @param {(thread_id: string, content: string) => boolean} send */
  constructor(hailgate, send) {
    this.hailgate = hailgate;
    this.send = send;
    on($('#composer-form'), 'submit', (event) => { event.preventDefault(); this.#submit(); });
    on(this.#field, 'input', () => this.#fit());
    on(this.#field, 'keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;   // Enter that ends an input method's word is not ours
      event.preventDefault();
      this.#submit();
    });
  }

  get max() { return this.hailgate.limits.content_chars ?? 8_000; }

  open(thread_id, title) {
    this.#keep();
    this.#thread = thread_id;
    this.#field.value = this.#unsent.get(thread_id) ?? '';
    this.rename(title);
    this.#fit();
  }

  rename(title) { this.#field.setAttribute('aria-label', `Message to ${title}`); }
  focus() { this.#field.focus(); }
  get written() { this.#keep(); return this.#unsent.size > 0; }

  #keep() {
    if (!this.#thread) return;
    this.#unsent.delete(this.#thread);
    if (this.#field.value.trim()) this.#unsent.set(this.#thread, this.#field.value);
    if (this.#unsent.size > UNSENT_KEPT_MAX) this.#unsent.delete(this.#unsent.keys().next().value);
  }

  #submit() {
    const content = this.#field.value;
    if (!content.trim() || characters(content) > this.max) return;
    if (!this.send(this.#thread, content)) { $('#counter').textContent = 'Too many messages are waiting to be sent'; return; }
    this.#field.value = '';
    this.#fit();
    this.focus();
  }

  #fit() {
    const field = this.#field;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;   // the style sheet stops it at six lines
    const left = field.value.length < this.max - NEAR_LIMIT ? Infinity : this.max - characters(field.value);
    const counter = $('#counter');
    counter.textContent = left > NEAR_LIMIT ? '' : left >= 0 ? `${count(left, 'character')} left` : `${count(-left, 'character')} too many. Shorten it or send it in parts`;
    counter.classList.toggle('over', left < 0);
    field.setAttribute('aria-invalid', left < 0);
    $('#send').disabled = left < 0 || !field.value.trim();
  }
}
