// files.js: files that are dropped or pasted get an answer: only text can be sent. Nothing that is dropped makes the browser leave the page.

import { on } from './dom.js';
import { notice } from './notice.js';

const WORDS = 'Only text can be sent. To share a file, put it online and send its link.';

const hasFiles = ({ types }) => types.includes('Files');
const ofField = (target) => target instanceof Element && target.closest('textarea, input') !== null;

/** Text goes into a field as ever; anything else, or anywhere else, the browser would open in place of the page. */
function taken(event) {
  if (!hasFiles(event.dataTransfer) && ofField(event.target)) return false;
  event.preventDefault();
  return true;
}

export function answerFiles() {
  on(document, 'dragover', (event) => { if (taken(event) && !hasFiles(event.dataTransfer)) event.dataTransfer.dropEffect = 'none'; });
  on(document, 'drop', (event) => taken(event) && hasFiles(event.dataTransfer) && notice(WORDS));
  on(document, 'paste', (event) => {
    const { types } = event.clipboardData;
    if (!hasFiles(event.clipboardData) || types.includes('text/plain')) return;   // a spreadsheet copies its cells as a picture too
    event.preventDefault();
    notice(WORDS);
  });
}
