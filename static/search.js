// search.js: finding people by the first letters of name or id, as a field with a list of buttons under it.

import { el, on } from './dom.js';

const PAUSE_MS = 250;        // the server takes five searches a second
const LETTERS_MIN = 2;

/** @param {{taken: (user_id) => boolean, onPick: (user) => void}} parts and the elements `field`, `results`, `words` */
export function peopleSearch({ hailgate, field, results, words, taken, onPick }) {
  let timer = null, asked = null;
  const clear = () => { clearTimeout(timer); asked?.abort(); results.replaceChildren(); words.textContent = ''; };
  const pick = (user) => { field.value = ''; clear(); field.focus(); onPick(user); };
  const row = (user) => el('li', {}, el('button', { type: 'button', data: { userId: user.user_id }, onclick: () => pick(user) },
    el('span', { dir: 'auto' }, user.name || user.user_id), ' ', el('span', { class: 'id' }, user.user_id)));

  const search = async (q) => {
    asked = new AbortController();
    const { signal } = asked;
    try {
      const { users } = await hailgate.users(q, { signal });
      if (signal.aborted) return;
      const free = users.filter(({ user_id }) => !taken(user_id));
      results.replaceChildren(...free.map(row));
      words.textContent = free.length ? '' : users.length ? 'Already chosen' : 'Nobody has that name';
    } catch (error) {
      if (!signal.aborted) words.textContent = error.words;
    }
  };

  on(field, 'input', () => {
    clear();
    const q = field.value.trim();
    if (q.length >= LETTERS_MIN) timer = setTimeout(() => search(q), PAUSE_MS);
  });
  on(field, 'keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();                       // in a form Enter picks the first found, never submits
    results.querySelector('button')?.click();
  });
  return { clear: () => { field.value = ''; clear(); } };
}
