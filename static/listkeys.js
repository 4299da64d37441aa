// listkeys.js: the list of messages as one tab stop: arrow keys move between messages, Tab goes into the one that has the focus.

import { on, soon } from './dom.js';

const OVERLAP_PX = 60;   // of a page with the next

const MOVES = {
  ArrowUp: (keys, from) => keys.step(from, -1),
  ArrowDown: (keys, from) => keys.step(from, 1),
  PageUp: (keys) => keys.page(-1),
  PageDown: (keys) => keys.page(1),
  Home: (keys) => keys.go(keys.items[0]),
  End: (keys) => keys.go(keys.items.at(-1)),
};

export class ListKeys {
  #stop = null;     // the message that Tab reaches
  #inside = null;   // the message whose links and buttons Tab reaches: only while it has the focus

  /** @param {{list: Element, scroller: Element, onLeave: () => void}} parts `onLeave`: Escape */
  constructor(parts) {
    Object.assign(this, parts);
    on(this.list, 'keydown', (event) => this.#pressed(event));
    on(this.list, 'focusin', ({ target }) => this.#entered(target.closest('.message')));
    on(this.list, 'focusout', ({ relatedTarget }) => this.#left(relatedTarget));
    on(this.list, 'contextmenu', (event) => event.pointerType === '' && !event.target.closest('.editor') && event.preventDefault());   // by key: ours is open
    const follow = soon(() => this.#follow());
    on(this.scroller, 'scroll', follow, { passive: true });
  }

  get items() { return [...this.list.querySelectorAll(':scope > .message')]; }

  /** Changes the list by `work` and keeps the focus on the message that has it, though its element be made again. */
  keep(work) {
    const had = this.list.contains(document.activeElement) ? document.activeElement.closest('.message') : null;
    const place = had && this.items.indexOf(had);
    work();
    if (had && !this.list.contains(document.activeElement)) (this.#same(had) ?? this.items.at(Math.min(place, this.items.length - 1)))?.focus({ preventScroll: true });
    this.#follow();
  }

  /** A message that was just sent has another name than while it was on its way. */
  #same({ dataset: { messageId, clientMessageId } }) {
    return this.items.find(({ dataset }) => dataset.messageId === messageId || (clientMessageId && dataset.clientMessageId === clientMessageId));
  }

  /** From outside Tab leads to the last message in sight, so that nobody loses the place where they read. */
  #follow() {
    if (this.list.contains(document.activeElement)) return;
    const { bottom } = this.scroller.getBoundingClientRect();
    let item = this.list.lastElementChild;
    while (item && !(item.matches('.message') && item.getBoundingClientRect().top < bottom)) item = item.previousElementSibling;
    this.#reach(item);
  }

  #reach(item) {
    if (item === this.#stop) return;
    this.#stop?.setAttribute('tabindex', -1);
    item?.setAttribute('tabindex', 0);
    this.#stop = item;
  }

  #entered(item) {
    this.#reach(item);
    if (item === this.#inside) return;
    this.#close();
    this.#inside = item;
    for (const part of partsOf(item)) part.removeAttribute('tabindex');
  }

  #left(to) {
    if (to && this.#inside?.contains(to)) return;
    this.#close();
    if (to && !this.list.contains(to)) this.#follow();
  }

  #close() {
    if (this.#inside) for (const part of partsOf(this.#inside)) part.setAttribute('tabindex', -1);
    this.#inside = null;
  }

  #pressed(event) {
    const { key, target } = event, item = target.closest('.message');
    if (!item || target.closest('.editor') || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (key === 'Escape') this.onLeave();
    else if (key === 'ContextMenu' || (key === 'F10' && event.shiftKey) || (key === 'Enter' && target === item)) item.querySelector('.more')?.click();
    else if (MOVES[key] && !event.shiftKey) MOVES[key](this, item);
    else return;
    event.preventDefault();
  }

  // Moves

  go(item) {
    item?.focus({ preventScroll: true });
    item?.scrollIntoView({ block: 'nearest' });
  }

  /** To the next one; a message longer than the window is first read to its end. Whoever scrolled away goes on from what is in sight. */
  step(from, way) {
    const { top, bottom } = this.scroller.getBoundingClientRect(), box = from.getBoundingClientRect();
    if (box.bottom <= top || box.top >= bottom) { this.go(this.#inSight().at(way < 0 ? -1 : 0)); return; }
    if (box.height > bottom - top && (way > 0 ? box.bottom > bottom + 1 : box.top < top - 1)) { this.#scroll(way); return; }
    const items = this.items, to = items[items.indexOf(from) + way];
    if (to) this.go(to);
    else this.scroller.scrollTop = way < 0 ? 0 : this.scroller.scrollHeight;
  }

  page(way) {
    this.#scroll(way);
    this.#inSight().at(way < 0 ? 0 : -1)?.focus({ preventScroll: true });
  }

  #scroll(way) { this.scroller.scrollTop += way * (this.scroller.clientHeight - OVERLAP_PX); }

  /** The messages that are whole in sight; where there is none, those of which there is a part. */
  #inSight() {
    const { top, bottom } = this.scroller.getBoundingClientRect();
    const boxes = this.items.map((item) => ({ item, box: item.getBoundingClientRect() }));
    const part = boxes.filter(({ box }) => box.bottom > top && box.top < bottom), whole = part.filter(({ box }) => box.top >= top - 1 && box.bottom <= bottom + 1);
    return (whole.length ? whole : part).map(({ item }) => item);
  }
}

/** An editor keeps its own tab stops: whoever writes in it must find its buttons. */
const partsOf = (item) => [...item.querySelectorAll('a, button')].filter((part) => !part.closest('.editor'));
