// dialogs.js: questions asked in a real dialog, which traps the focus and gives it back.

import { $, on } from './dom.js';

/** @returns {Promise<boolean>} whether the person agreed; Escape and Cancel say no */
export const confirmed = async (question, action) => (await answer(question, action, 'danger')) !== null;

/** @returns {Promise<string | null>} the text, or null for Cancel */
export const asked = (question, value) => answer(question, 'Save', 'main', value);

function answer(question, action, look, value) {
  const dialog = $('#question'), field = $('#question-field'), yes = $('#question-yes');
  $('#question-words').textContent = question;
  yes.textContent = action;
  yes.className = look;
  field.hidden = value === undefined;
  field.value = value ?? '';
  return new Promise((resolve) => {
    const abort = new AbortController(), { signal } = abort;
    const end = (told) => { abort.abort(); dialog.close(); resolve(told); };
    on($('form', dialog), 'submit', (event) => { event.preventDefault(); end(field.value.trim()); }, { signal });
    on($('.cancel', dialog), 'click', () => end(null), { signal });
    on(dialog, 'close', () => end(null), { signal });
    dialog.showModal();
    field.select();
  });
}
