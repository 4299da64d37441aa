// scroll.js: the list of messages as it is scrolled: whether it is at its end, what is in view, and the place that must not move.

import { on } from './dom.js';

const END_PX = 40;       // closer than this counts as being at the end
const MARGIN_PX = 48;    // left above a message that is brought into view, for the line over it

export class Scroll {
  #box;
  #onMove;
  #size = '';
  #last = null;     // the place as it was when we last looked
  rows = new Map(); // key -> {element}, in the order of the page
  /** The element of the first unread message: what came while the box was not shown is not passed over. */
  firstUnread = () => undefined;
  /** Whether the end is in view, and stays so when messages come or the box changes its size. */
  atEnd = true;

  constructor(box, onMove) {
    this.#box = box;
    this.#onMove = onMove;
    on(box, 'scroll', () => this.#moved(), { passive: true });
    new ResizeObserver(() => this.#moved()).observe(box);
  }

  /** A box of another size is moved by the browser, not by the reader. */
  #moved() {
    const { clientWidth, clientHeight } = this.#box, size = `${clientWidth} ${clientHeight}`;
    if (size !== this.#size && this.rows.size) { if (this.atEnd) this.toEnd(this.firstUnread()); else if (this.#last) this.keep(this.#last); }
    this.#size = size;
    this.#onMove();
  }

  /** @param {boolean} newer whether there is more than what is drawn @returns distances in pixels to either end */
  look(newer) {
    const { scrollTop, scrollHeight, clientHeight } = this.#box, below = scrollHeight - scrollTop - clientHeight;
    if (!clientHeight) return { above: Infinity, below: Infinity };   // not shown at all
    this.atEnd = below < END_PX && !newer;
    this.#last = this.place();
    return { above: scrollTop, below };
  }

  /** To the end, but with `first` still in view: what arrives does not push out of view what was not seen. */
  toEnd(first) {
    this.#box.scrollTop = this.#box.scrollHeight;
    if (!first) return;
    const over = this.#top + MARGIN_PX - first.getBoundingClientRect().top;
    if (over > 0) this.#box.scrollTop -= over;
  }

  /** Brings an element into the upper part. */
  bring(element) { this.#box.scrollTop += element.getBoundingClientRect().top - this.#top - this.#box.clientHeight / 4; }

  /** The first message in view, and where it is: what must not move. */
  place() {
    const rows = [...this.rows], at = firstAfter(rows, this.#top), row = rows[at];
    return row ? { key: row[0], element: row[1].element, top: row[1].element.getBoundingClientRect().top } : null;
  }

  keep({ key, top }) {
    const element = this.rows.get(key)?.element;
    if (element) this.#box.scrollTop += element.getBoundingClientRect().top - top;
  }

  /** Sequences of what is in view: after the message above it, up to the last one whose end is in view. `null` if that is nothing. */
  inView() {
    const { top, bottom } = this.#box.getBoundingClientRect();
    if (bottom <= top) return null;
    const rows = [...this.rows].filter(([, { element }]) => element.dataset.sequence);
    const sequence = (index) => Number(rows[index][1].element.dataset.sequence);
    const first = firstAfter(rows, top), end = this.atEnd ? rows.length : firstAfter(rows, bottom + 1);
    if (end <= first) return null;
    return { after: first > 0 ? sequence(first - 1) : sequence(0) - 1, to: sequence(end - 1) };
  }

  get #top() { return this.#box.getBoundingClientRect().top; }
}

/** Index of the first row that ends below this height. Rows are in order, so few have to be measured. */
function firstAfter(rows, y) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][1].element.getBoundingClientRect().bottom > y) high = middle; else low = middle + 1;
  }
  return low;
}
