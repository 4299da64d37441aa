// composer.js: where a message is written: grows to six lines, Enter sends, counts near the limit, keeps what is unsent of each thread.

import { $, on } from './dom.js';
import { fit, onEnter } from './field.js';
import { characters } from './text.js';

const UNSENT_KEPT_MAX = 100;  // threads whose unsent text is kept

export class Composer {
  #field = $('#composer');
  #unsent = new Map();
  #thread = null;

  /**
   * @param {{onSend: (thread_id: string, content: string) => boolean, onWriting: (thread_id: string, writing: boolean) => void,
   *          onUp: () => void}} parts `onUp`: the arrow key in an empty field
   */
  constructor(hailgate, parts) {
    this.hailgate = hailgate;
    Object.assign(this, parts);
    on($('#composer-form'), 'submit', (event) => { event.preventDefault(); this.#submit(); });
    on(this.#field, 'input', () => { this.#fit(); this.onWriting(this.#thread, this.#field.value.trim() !== ''); });
    on(this.#field, 'blur', () => this.onWriting(this.#thread, false));
    on(this.#field, 'keydown', onEnter(() => this.#submit()));
    on(this.#field, 'keydown', (event) => {
      if (event.key !== 'ArrowUp' || this.#field.value) return;
      event.preventDefault();
      this.onUp();
    });
  }

  get max() { return this.hailgate.limits.content_chars ?? 8_000; }

  open(thread_id, title) {
    this.#keep();
    if (this.#thread) this.onWriting(this.#thread, false);
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
    if (!this.onSend(this.#thread, content)) { $('#counter').textContent = 'Too many messages are waiting to be sent'; return; }
    this.#field.value = '';
    this.#fit();
    this.onWriting(this.#thread, false);
    this.focus();
  }

  #fit() {
    const left = fit(this.#field, $('#counter'), this.max);
    $('#send').disabled = left < 0 || !this.#field.value.trim();
  }
}
