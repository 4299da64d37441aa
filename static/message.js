// message.js: one message as an element: text, links, code, times, its fate, and what can be done with it.

import { el } from './dom.js';
import { faceElement } from './face.js';
import { moreButton } from './menu.js';
import { notice } from './notice.js';
import { count, exact, minute, pieces } from './text.js';

const LINES_SHOWN = 30;
const CHARACTERS_SHOWN = 3_000;

/**
 * The element can have the focus; nothing in it is a tab stop until it has (listkeys.js).
 *
 * @param {object} message as stored, or an entry of the outbox
 * @param {{own: boolean, author: string, face: boolean, folded: boolean, removable: boolean, editor?: Element, on: {edit, remove, retry, discard, unfold}}} view
 */
export function messageElement(message, { own, author, face, folded, removable, editor, on }) {
  const { message_id, client_message_id, sequence, state = 'sent', deleted_at } = message;
  const at = message.created_at;
  return el('li', {
    class: `message ${own ? 'own' : 'other'}${deleted_at ? ' deleted' : ''}`, tabindex: -1,
    data: { messageId: message_id ?? client_message_id, state, ...(sequence ? { sequence } : {}), ...(own && client_message_id ? { clientMessageId: client_message_id } : {}) },
  },
    face && faceElement(message.author, author),
    el('p', { class: 'meta' },
      el('span', { class: own ? 'author sr' : 'author', dir: 'auto' }, own ? 'You' : author), ' ',
      el('time', { datetime: at, title: exact(at) }, minute(at))),
    editor ?? el('div', { class: 'row' },
      deleted_at ? el('p', { class: 'bubble' }, own ? 'You deleted this message' : 'Message deleted') : bubble(message, folded, on),
      !deleted_at && actionsButton(message, { own, author, removable, on })),
    (state === 'waiting' || state === 'failed') && fate(message, on));
}

const button = (name, words, onclick) => el('button', { type: 'button', class: `quiet ${name}`, tabindex: -1, onclick }, words);

/** Opens the menu of what can be done with it, which also tells its exact time: there is no hovering with a finger. */
function actionsButton(message, { own, author, removable, on }) {
  const { content, created_at, state = 'sent' } = message;
  const label = `Actions for ${own ? 'your message' : `the message by ${author}`} of ${minute(created_at)}`;
  const items = [
    state === 'sent' && own && { name: 'edit', words: 'Edit', act: () => on.edit(message) },
    { name: 'copy', words: 'Copy text', act: () => copy(content) },
    state === 'sent' && removable && { name: 'remove', words: 'Delete', danger: true, act: () => on.remove(message) },
  ].filter(Boolean);
  const button = moreButton(label, items, { note: exact(created_at), back: () => button.closest('.message') });
  button.tabIndex = -1;
  return button;
}

/** As it was typed, with the backticks that the page does not show. */
async function copy(content) {
  try {
    await navigator.clipboard.writeText(content);
    notice('Copied.');
  } catch {
    notice('The browser does not let this page copy. Select the text and copy it yourself.');   // plain http away from loopback, or forbidden
  }
}

function bubble(message, folded, on) {
  const { content, created_at, edited_at } = message;
  const lines = content.split('\n').length;
  const long = lines > LINES_SHOWN || content.length > CHARACTERS_SHOWN;
  return el('div', { class: `bubble${long && folded ? ' folded' : ''}`, title: exact(created_at) },
    el('div', { class: 'text', dir: 'auto' }, ...pieces(content).map(pieceElement)),
    edited_at && el('time', { class: 'edited', datetime: edited_at, title: `Edited ${exact(edited_at)}` }, 'edited'),
    long && folded && button('unfold', lines > LINES_SHOWN ? `Show all ${count(lines, 'line')}` : 'Show the whole message', () => on.unfold(message)));
}

function pieceElement({ kind, text, href, block, language }) {
  if (kind === 'code') return el('code', { class: block && 'block', data: language ? { language } : {} }, text);
  if (kind === 'link') return el('a', { href, tabindex: -1, target: '_blank', rel: 'noopener noreferrer' }, text);
  return text;
}

function fate({ client_message_id, state, reason }, on) {
  if (state === 'waiting') return el('p', { class: 'fate' }, reason);
  return el('p', { class: 'fate' }, `Not sent: ${reason}. `,
    button('retry', 'Try again', () => on.retry(client_message_id)), ' ', button('discard', 'Discard', () => on.discard(client_message_id)));
}
