// keys.js: what keys do wherever the focus is, and the dialog that tells them.

import { $, on } from './dom.js';
import { FIND_KEY, isFindKey } from './finder.js';

/** @param {{finder, panes, onEscape: () => void}} parts a `Finder`, `Panes`, and what Escape does elsewhere */
export function pageKeys({ finder, panes, onEscape }) {
  const help = $('#keys'), show = () => help.showModal();
  $('#keys-find').textContent = FIND_KEY;
  on($('#keys-open'), 'click', show);
  on($('#keys-close'), 'click', () => help.close());

  on(document, 'keydown', (event) => {
    const { target, key } = event;
    if (event.defaultPrevented || event.isComposing || !$('#app').checkVisibility() || $('dialog[open]')) return;
    if (isFindKey(event)) {
      event.preventDefault();   // browsers have a use of their own for it
      finder.focus();
    } else if (key === '?' && !target.closest('input, textarea')) {
      show();
    } else if (key === 'Escape' && !target.closest('.editor')) {   // which has just ended by it
      if (panes.peopleOpen && (panes.covered || target.closest('#people'))) panes.people(false);
      else if (!finder.leave()) onEscape();
    }
  });
}
