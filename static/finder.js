// finder.js: finding a thread and going through the list by keyboard: a field that filters it, arrow keys that move in it.

import { $, on } from './dom.js';

/** How the key is called that goes with letters here. On a Mac Ctrl+K cuts a line off. */
const MAC = /^(Mac|iP)/.test(navigator.platform);
export const FIND_KEY = MAC ? '⌘K' : 'Ctrl+K';
export const isFindKey = ({ key, ctrlKey, metaKey, altKey, shiftKey }) => key.toLowerCase() === 'k' && !altKey && !shiftKey && (MAC ? metaKey && !ctrlKey : ctrlKey && !metaKey);

export class Finder {
  #field = $('#find');
  #list = $('#thread-list');
  #back = null;   // where the focus was before

  /** @param {{list: ThreadList, panes: Panes, onAgain: () => void}} parts `onAgain`: the open thread was chosen */
  constructor(parts) {
    Object.assign(this, parts);
    this.#field.setAttribute('aria-keyshortcuts', MAC ? 'Meta+K' : 'Control+K');
    this.#field.title = `Find a thread by its title or people (${FIND_KEY})`;
    if (!matchMedia('(pointer: coarse)').matches) this.#field.placeholder += ` (${FIND_KEY})`;
    on(this.#field, 'input', () => this.list.find(this.#field.value));
    on(this.#field, 'keydown', (event) => this.#fieldKeys(event));
    on(this.#list, 'keydown', (event) => this.#listKeys(event));
    on(this.#list, 'click', ({ target }) => target.closest('a') && this.#chosen(target.closest('a')));
  }

  /** From anywhere. */
  focus() {
    if (!this.#inside) this.#back = document.activeElement;
    this.panes.peek();
    this.#field.focus();
    this.#field.select();
  }

  get #inside() { return this.#field === document.activeElement || this.#list.contains(document.activeElement); }

  /** Ends the search and gives the focus back. @returns {boolean} whether there was one, with the focus in it */
  leave() {
    const back = this.#back;
    if (!this.#inside || (!this.#field.value && !back)) return false;
    this.#clear();
    this.panes.unpeek();
    if (back?.checkVisibility()) back.focus();
    else this.onAgain();
    return true;
  }

  #clear() {
    this.#back = null;
    this.#field.value = '';
    this.list.find('');
  }

  /** A choice ends the search: a filter that stays would hide what is new. */
  #chosen({ hash }) {
    this.#clear();
    this.panes.unpeek();
    if (hash === location.hash) this.onAgain();
  }

  #fieldKeys(event) {
    const { key } = event, links = this.list.links;
    if (event.isComposing || !['ArrowDown', 'Enter'].includes(key)) return;
    event.preventDefault();
    if (!links.length) return;
    if (key === 'ArrowDown') links[0].focus(); else if (this.#field.value.trim()) links[0].click();
  }

  #listKeys(event) {
    const { links } = this.list, at = links.indexOf(document.activeElement);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowDown: Math.min(at + 1, links.length - 1), ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    (links[to] ?? this.#field).focus();
  }
}
