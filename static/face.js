// face.js: people as initials in a coloured circle: letters first, so that nobody has to tell them by colour.

import { el } from './dom.js';

const HUES = 12;   // steps around the circle of colours; the style sheet gives each the same lightness, and so the same contrast

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const first = (word) => graphemes.segment(word)[Symbol.iterator]().next().value?.segment ?? '';

/** Of the first and the last word of a name: "Ada M. Lovelace" is AL, "bob" is B. */
export function initials(name) {
  const words = name.split(/[\s_.-]+/u).map((word) => word.replace(/^[^\p{L}\p{N}\p{Emoji}]+/u, '')).filter(Boolean);
  return [words[0] ?? name, words.length > 1 ? words.at(-1) : ''].map(first).join('').toUpperCase();
}

/** The same user has the same colour everywhere, whatever they are called. */
export function hue(user_id) {
  let hash = 0;
  for (const character of user_id) hash = (Math.imul(hash, 31) + character.codePointAt(0)) >>> 0;
  return (hash % HUES) * (360 / HUES);
}

/** The name stands beside it, so those who listen to the page are not told the letters. */
export function faceElement(user_id, name) {
  const face = el('span', { class: 'face', 'aria-hidden': 'true' }, initials(name));
  face.style.setProperty('--hue', hue(user_id));
  return face;
}
