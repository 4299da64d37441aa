// menu.js: a button that opens a menu of actions: by mouse, touch and keyboard, in the top layer, so that no scrolling box cuts it.

import { el, on } from './dom.js';

const MARGIN_PX = 8;   // to the edges of the window
const GAP_PX = 4;      // to the button

let open = null;       // {menu, opener, to, end: AbortController}

/**
 * A button with three dots for the actions of one thing.
 * @param {string} label names it for those who do not see what it stands beside: "More for Bob"
 * @param {{words: string, act: () => void, danger?: boolean, name?: string}[]} items `name` becomes a class, for style and tests
 * @param {{note?: string, back?: () => Element}} [more] see `openMenu`
 */
export const moreButton = (label, items, more) => el('button', {
  type: 'button', class: 'quiet more', 'aria-label': label, title: label, 'aria-haspopup': 'menu', 'aria-expanded': 'false',
  onclick: ({ currentTarget }) => openMenu(currentTarget, label, items, more),
}, el('span', { 'aria-hidden': 'true' }, '⋯'));

/**
 * Opens the menu beside its button, or closes it if it is open. The focus goes to the first action and comes back to the button, or to
 * what `back` finds. `note` is a line above the actions.
 */
export function openMenu(opener, label, items, { note, back = () => opener } = {}) {
  const again = open?.opener === opener;
  closeMenu();
  if (again) return;
  const menu = el('div', { class: 'menu', role: 'menu', popover: 'manual', 'aria-label': label, 'aria-description': note, data: note ? { note } : {} }, ...items.map(({ words, act, danger, name = '' }) => el('button', {
    type: 'button', role: 'menuitem', tabindex: '-1', class: `${name}${danger ? ' danger' : ''}`, onclick: () => { closeMenu({ back: true }); act(); } }, words)));
  const end = new AbortController(), { signal } = end;
  open = { menu, opener, to: back, end };
  opener.after(menu);   // beside it in reading order, and gone with it
  opener.setAttribute('aria-expanded', 'true');
  menu.showPopover();
  place(menu, opener);
  menu.firstElementChild.focus();
  on(menu, 'keydown', keys, { signal });
  on(document, 'pointerdown', ({ target }) => !menu.contains(target) && !opener.contains(target) && closeMenu(), { signal, capture: true });
  on(menu, 'focusout', ({ relatedTarget }) => relatedTarget && !menu.contains(relatedTarget) && relatedTarget !== opener && closeMenu(), { signal });
  for (const name of ['scroll', 'resize']) on(window, name, () => place(menu, opener), { signal, capture: true });
}

/** Closes the menu that is open, if any. */
export function closeMenu({ back = false } = {}) {
  if (!open) return;
  const { menu, opener, to, end } = open;
  open = null;
  end.abort();
  if (back) to()?.focus({ preventScroll: true });
  menu.remove();
  opener.setAttribute('aria-expanded', 'false');
}

/** Below the button, or above it where there is no room; its right edge at the button's, inside the window. */
function place(menu, opener) {
  const { top, bottom, right } = opener.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = menu;
  const below = bottom + GAP_PX, above = top - GAP_PX - height;
  menu.style.left = `${Math.max(MARGIN_PX, Math.min(right - width, innerWidth - width - MARGIN_PX))}px`;
  menu.style.top = `${below + height > innerHeight - MARGIN_PX && above >= MARGIN_PX ? above : below}px`;
}

function keys(event) {
  const items = [...event.currentTarget.children], at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
  if (to === undefined && event.key !== 'Escape' && event.key !== 'Tab') return;
  event.stopPropagation();   // Escape closes this and nothing around it
  if (event.key === 'Tab') { closeMenu({ back: true }); return; }   // the browser goes on from the button
  event.preventDefault();
  if (event.key === 'Escape') closeMenu({ back: true }); else items[to % items.length].focus();
}
