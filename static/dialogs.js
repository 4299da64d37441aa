// dialogs.js: questions asked in a real dialog, which traps the focus and gives it back.

import { $, on } from './dom.js';

let subject = null;   // of the question that is open

/**
 * @param {string} [about] what the question depends on, for `withdraw`
 * @returns {Promise<boolean>} whether the person agreed; Escape and Cancel say no
 */
export const confirmed = async (question, action, about) => (await answer({ question, action, about, look: 'danger' })) !== null;

/** @returns {Promise<string | null>} the text, or null for Cancel */
export const asked = (question, value, about) => answer({ question, value, about, action: 'Save', look: 'main' });

/** Takes back the question that is open if it depends on one of these: it makes no sense any more. */
export const withdraw = (...about) => { if (about.includes(subject)) $('#question').close(); };

function answer({ question, action, about, look, value }) {
  const dialog = $('#question'), field = $('#question-field'), yes = $('#question-yes');
  $('#question-words').textContent = question;
  yes.textContent = action;
  yes.className = look;
  field.hidden = value === undefined;
  field.value = value ?? '';
  subject = about ?? null;
  return new Promise((resolve) => {
    const abort = new AbortController(), { signal } = abort;
    const end = (told) => { abort.abort(); subject = null; dialog.close(); resolve(told); };
    on($('form', dialog), 'submit', (event) => { event.preventDefault(); end(field.value.trim()); }, { signal });
    on($('.cancel', dialog), 'click', () => end(null), { signal });
    on(dialog, 'close', () => end(null), { signal });
    dialog.showModal();
    field.select();
  });
}
