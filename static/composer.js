// composer.js: where a message is written: grows to six lines, Enter sends, counts near the limit, shows the draft of each thread.

import { $, on } from './dom.js';
import { fit, onEnter } from './field.js';
import { characters } from './text.js';

export class Composer {
  #field = $('#composer');
  #thread = null;

  /**
   * @param {Drafts} drafts of drafts.js
   * @param {{onSend: (thread_id: string, content: string) => boolean, onWriting: (thread_id: string, writing: boolean) => void,
   *          onUp: () => void}} parts `onUp`: the arrow key in an empty field
   */
  constructor(hailgate, drafts, parts) {
    this.hailgate = hailgate;
    this.drafts = drafts;
    Object.assign(this, parts);
    on($('#composer-form'), 'submit', (event) => { event.preventDefault(); this.#submit(); });
    on(drafts, 'restored', () => this.#field.value || this.#fill());   // what was typed meanwhile counts
    on(this.#field, 'input', () => { this.#fit(); this.#keep(); this.onWriting(this.#thread, this.#field.value.trim() !== ''); });
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
    if (this.#thread) this.onWriting(this.#thread, false);
    this.#thread = thread_id;
    this.rename(title);
    this.#fill();
  }

  rename(title) { this.#field.setAttribute('aria-label', `Message to ${title}`); }
  focus() { this.#field.focus(); }

  #fill() {
    this.#field.value = this.drafts.of(this.#thread);
    this.#fit();
  }

  #keep() { if (this.#thread) this.drafts.put(this.#thread, this.#field.value); }

  #submit() {
    const content = this.#field.value;
    if (!content.trim() || characters(content) > this.max) return;
    if (!this.onSend(this.#thread, content)) { $('#counter').textContent = 'Too many messages are waiting to be sent'; return; }
    this.#field.value = '';
    this.#fit();
    this.#keep();
    this.onWriting(this.#thread, false);
    this.focus();
  }

  #fit() {
    const left = fit(this.#field, $('#counter'), this.max);
    $('#send').disabled = left < 0 || !this.#field.value.trim();
  }
}
