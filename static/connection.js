// connection.js: the state of the connection in words, one line that appears only when it matters.

import { $, on } from './dom.js';
import { STOPS } from './rules.js';

const CALM_MS = 1_000;   // a connection made sooner is not worth a word

/** `onAgain` is what the button does where only a person can go on. Returns a way to show a state by hand. */
export function showConnection(hailgate, onAgain) {
  const line = $('#connection'), words = $('#connection-words'), button = $('#connection-again');
  let timer = null;
  on(button, 'click', onAgain);
  const show = (state, text, code = null) => {
    clearTimeout(timer);
    line.dataset.state = state;
    const matters = state !== 'live' && !(state === 'signed_out' && !hailgate.user);   // on the first visit nothing has ended
    const draw = () => {
      words.textContent = matters ? text : '';
      button.hidden = state !== 'stopped' || STOPS.includes(code);   // another try would hear the same
      line.classList.toggle('shown', matters);
    };
    if (state === 'connecting' && !line.classList.contains('shown')) timer = setTimeout(draw, CALM_MS);
    else draw();
  };
  on(hailgate, 'state', ({ detail }) => show(detail.state, detail.words, detail.code));
  show('connecting', 'Connecting');
  return show;
}
