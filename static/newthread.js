// newthread.js: the dialog that starts a thread with people.

import { newKey } from './hailgate.js';
import { $, el, on } from './dom.js';
import { peopleSearch } from './search.js';

/** @param {(thread: object) => void} onCreated */
export function newThreadDialog(hailgate, onCreated) {
  const dialog = $('#new-thread-dialog'), form = $('form', dialog), words = $('#new-thread-words'), chosen = new Map();
  let key = null;   // one retry key an opening: a second press never makes a second thread

  const drawChosen = () => $('#new-thread-people').replaceChildren(...[...chosen.values()].map(({ user_id, name }) => el('li', {},
    el('span', { dir: 'auto' }, name || user_id),
    el('button', { type: 'button', class: 'quiet', 'aria-label': `Leave out ${name || user_id}`, onclick: () => { chosen.delete(user_id); drawChosen(); $('#new-thread-search').focus(); } }, '×'))));

  const search = peopleSearch({
    hailgate, words, field: $('#new-thread-search'), results: $('#new-thread-results'),
    taken: (user_id) => chosen.has(user_id) || user_id === hailgate.user.user_id,
    onPick: (user) => { chosen.set(user.user_id, user); drawChosen(); },
  });

  on(form, 'submit', async (event) => {
    event.preventDefault();
    const title = $('#new-thread-title').value.trim();
    if (!title && !chosen.size) { words.textContent = 'Add a person or a title'; return; }
    const button = $('#new-thread-create');
    button.disabled = true;
    try {
      const thread = await hailgate.createThread({ ...(title ? { title } : {}), members: [...chosen.keys()] }, key);
      dialog.close();
      onCreated(thread);
    } catch (error) {
      if (error.status && error.code !== 'rate_limited') key = newKey();   // refused: the next try is another request
      words.textContent = error.words;
    } finally {
      button.disabled = false;
    }
  });
  on($('.cancel', dialog), 'click', () => dialog.close());

  return () => {
    key = newKey();
    chosen.clear();
    drawChosen();
    search.clear();
    form.reset();
    words.textContent = '';
    dialog.showModal();
  };
}
