// dom.js: building and finding elements. Text goes in as text; there is no way here to write HTML.

export const $ = (selector, root = document) => root.querySelector(selector);
export const on = (target, name, listener, options) => target.addEventListener(name, listener, options);

/** `el('button', { class: 'quiet', onclick, data: { id } }, 'Delete')`; `null` and `false` among attributes and children are left out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'data') Object.assign(element.dataset, value);
    else if (name.startsWith('on')) on(element, name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Runs `work` once, soon, however often it is asked for: bursts of events are drawn together. */
export function soon(work) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    setTimeout(() => { due = false; work(); }, 16);
  };
}

/** Puts `wanted` into `list` in this order, touching only what is out of place, so that focus and selection stay. */
export function arrange(list, wanted) {
  const keep = new Set(wanted);
  for (const child of [...list.children]) if (!keep.has(child)) child.remove();
  let next = list.firstElementChild;
  for (const element of wanted) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

/** Tells people who listen to the page rather than look at it. */
export function announce(words) {
  const place = $('#announcer');
  place.append(el('p', {}, words));
  while (place.children.length > 5) place.firstElementChild.remove();
}
