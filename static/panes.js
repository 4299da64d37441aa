// panes.js: which of threads, conversation and people are in sight at which width, and what that means for landmarks, headings and the focus.
//
// From 1024 px all three stand side by side. From 720 px the people are a sheet over the conversation, which stays in sight: whoever turns to what is
// under it closes it. Below that one pane is in sight at a time, and that one is the page's main part with its first heading.

import { $, on } from './dom.js';

const WIDE = matchMedia('(min-width: 720px)'), DOCKED = matchMedia('(min-width: 1024px)');

export class Panes {
  #app = $('#app');
  #panel = $('#people');
  #toggle = $('#people-toggle');
  #peeking = null;   // the pane that the threads are shown instead of, for a while
  #onPeople;

  /** @param {{onPeople: (open: boolean) => void}} parts fills the panel, or empties it */
  constructor({ onPeople }) {
    this.#onPeople = onPeople;
    on(this.#toggle, 'click', () => this.people(!this.peopleOpen));
    on($('#people-close'), 'click', () => this.people(false));
    for (const name of ['focusin', 'pointerdown']) on(document, name, ({ target }) => this.#leaveSheet(target));
    for (const width of [WIDE, DOCKED]) on(width, 'change', () => this.#mark());
    this.#mark();
  }

  get wide() { return WIDE.matches; }
  get peopleOpen() { return !this.#panel.hidden; }
  /** Whether the people hide a part of the conversation, or all of it. */
  get covered() { return this.peopleOpen && !DOCKED.matches; }

  /** @param {'threads' | 'conversation'} pane the one in sight where there is room for one */
  show(pane) {
    this.#peeking = null;
    this.#app.dataset.pane = pane;
    this.#mark();
  }

  /** Shows the threads without closing the conversation; `unpeek` shows it again. */
  peek() {
    if (this.covered) this.people(false);
    const { pane } = this.#app.dataset;
    if (pane === 'threads') return;
    this.show('threads');
    this.#peeking = pane;
  }

  unpeek() { if (this.#peeking) this.show(this.#peeking); }

  people(open) {
    const had = this.#panel.contains(document.activeElement);
    this.#toggle.setAttribute('aria-expanded', open);
    this.#app.dataset.people = open;
    this.#panel.hidden = !open;
    this.#mark();
    this.#onPeople(open);
    if (open) $('#people-close').focus();
    else if (had) this.#toggle.focus();
  }

  #leaveSheet(target) {
    if (this.covered && this.wide && $('#app').contains(target) && !this.#panel.contains(target) && !this.#toggle.contains(target)) this.people(false);
  }

  /** In each view one main part and one first heading, whatever is hidden. */
  #mark() {
    const narrow = !this.wide, people = narrow && this.peopleOpen, list = narrow && !people && this.#app.dataset.pane === 'threads', conversation = narrow && !people && !list;
    $('#threads').setAttribute('role', list ? 'main' : 'navigation');
    this.#panel.setAttribute('role', people ? 'main' : 'complementary');
    for (const [heading, first] of [[$('#people-title'), people], [$('#thread-title'), conversation], [$('#nothing-words'), conversation]]) {
      if (first) heading.setAttribute('aria-level', 1); else heading.removeAttribute('aria-level');
    }
  }
}
