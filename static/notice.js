// notice.js: one line about what was just done, in sight until the person does the next thing.

import { $, on } from './dom.js';

const place = $('#notice');

export function notice(words) { place.textContent = words; }

for (const name of ['pointerdown', 'keydown']) on(document, name, () => { place.textContent = ''; }, { capture: true, passive: true });
