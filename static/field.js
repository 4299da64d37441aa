// field.js: a field that grows with what is written in it, to the height the style sheet allows, and counts near the limit.

import { characters, count } from './text.js';

const NEAR_LIMIT = 500;   // characters left from which the counter shows

/** Fits the field to its text and says how much is left. @returns {number} characters left, `Infinity` far from the limit */
export function fit(field, counter, max) {
  if (getComputedStyle(field).fieldSizing !== 'content') measure(field);
  const left = field.value.length < max - NEAR_LIMIT ? Infinity : max - characters(field.value);
  counter.textContent = left > NEAR_LIMIT ? '' : left >= 0 ? `${count(left, 'character')} left` : `${count(-left, 'character')} too many. Shorten it or send it in parts`;
  counter.classList.toggle('over', left < 0);
  field.setAttribute('aria-invalid', left < 0);
  return left;
}

/** For browsers whose fields do not grow by themselves. What is around the field keeps its height meanwhile: else what scrolls beside it would move. */
function measure(field) {
  const around = field.parentElement;
  around.style.height = `${around.offsetHeight}px`;
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  around.style.height = '';
}

/** Enter does `then`, Shift+Enter breaks the line. */
export const onEnter = (then) => (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;   // Enter that ends an input method's word is not ours
  event.preventDefault();
  then();
};
