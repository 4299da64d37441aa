// editor.js: an own message under edit, in the place where it stands. Enter saves, Escape cancels; what fails keeps the text.

import { el, on } from './dom.js';
import { fit, onEnter } from './field.js';
import { minute } from './text.js';

export class Editor {
  #field; #counter; #words; #save;
  #saving = false;

  /** @param {{message: object, max: number, onSave: (content: string) => Promise<void>, onEnd: () => void}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    const keys = `keys-${this.message.message_id}`;
    this.#field = el('textarea', { rows: 1, dir: 'auto', 'aria-label': `Edit your message of ${minute(this.message.created_at)}`, enterkeyhint: 'done', 'aria-describedby': keys });
    this.#counter = el('p', { class: 'counter', role: 'status' });
    this.#words = el('p', { class: 'edit-words', role: 'alert' });
    this.#save = el('button', { class: 'main' }, 'Save');
    this.element = el('form', { class: 'editor', 'aria-label': 'Edit a message' }, this.#field, this.#counter, this.#words,
      el('div', { class: 'actions' }, el('span', { id: keys, class: 'keys' }, 'Enter saves, Esc cancels'), el('button', { type: 'button', class: 'cancel', onclick: () => this.onEnd() }, 'Cancel'), this.#save));
    this.#field.value = this.message.content;
    on(this.element, 'submit', (event) => { event.preventDefault(); this.#submit(); });
    on(this.element, 'keydown', (event) => event.key === 'Escape' && !event.isComposing && this.onEnd());
    on(this.#field, 'keydown', onEnter(() => this.#submit()));
    on(this.#field, 'input', () => { this.#words.textContent = ''; this.fit(); });
  }

  get changed() { return this.#field.value !== this.message.content; }
  get focused() { return this.element.contains(document.activeElement); }

  focus() {
    this.#field.focus();
    this.#field.setSelectionRange(this.#field.value.length, this.#field.value.length);
    this.element.scrollIntoView({ block: 'nearest' });
  }

  /** Only what is in the page has a height to fit. */
  fit() {
    const left = fit(this.#field, this.#counter, this.max);
    this.#save.disabled = this.#saving || left < 0 || Boolean(this.message.deleted_at);
  }

  /** What has become of the message meanwhile. */
  told(message) {
    const before = this.message;
    if (message === before || (message.edited_at === before.edited_at && message.deleted_at === before.deleted_at)) return;
    this.message = message;
    if (this.#saving) return;   // our own change comes back
    this.#say(message.deleted_at ? 'This message was deleted meanwhile. Copy what you need, then cancel' : 'This message was changed in another window. Saving puts yours in its place');
    this.fit();
  }

  #say(words) { this.#words.textContent = words; }

  async #submit() {
    if (this.#save.disabled) return;
    const content = this.#field.value;
    if (!content.trim()) { this.#say('A message cannot be empty. Cancel, and delete it instead'); return; }
    if (!this.changed) { this.onEnd(); return; }
    this.#hold(true);
    try {
      await this.onSave(content);
      this.onEnd();
    } catch (error) {
      this.#say(error.code === 'not_found' ? 'Not saved: the message is gone, or you are not in this thread any more' : `Not saved: ${error.words}`);
      this.#hold(false);
      if (this.element.isConnected) this.#field.focus();
    }
  }

  #hold(saving) {
    this.#saving = saving;
    this.#field.readOnly = saving;
    this.#save.textContent = saving ? 'Saving' : 'Save';
    this.fit();
  }
}
