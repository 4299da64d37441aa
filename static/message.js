// message.js: one message as an element: text, links, code, times, its fate, and what can be done with it.

import { el } from './dom.js';
import { count, exact, minute, pieces } from './text.js';

const LINES_SHOWN = 30;
const CHARACTERS_SHOWN = 3_000;

/**
 * @param {object} message as stored, or an entry of the outbox
 * @param {{own: boolean, author: string, folded: boolean, removable: boolean, editor?: Element, on: {edit, remove, retry, discard, unfold}}} view
 */
export function messageElement(message, { own, author, folded, removable, editor, on }) {
  const { message_id, client_message_id, sequence, state = 'sent', deleted_at } = message;
  const at = message.created_at;
  const item = el('li', {
    class: `message ${own ? 'own' : 'other'}${deleted_at ? ' deleted' : ''}`,
    data: { messageId: message_id ?? client_message_id, state, ...(sequence ? { sequence } : {}), ...(own && client_message_id ? { clientMessageId: client_message_id } : {}) },
  });
  item.append(
    el('p', { class: 'meta' },
      el('span', { class: own ? 'author sr' : 'author', dir: 'auto' }, own ? 'You' : author), ' ',
      el('time', { datetime: at, title: exact(at) }, minute(at))),
    editor ?? el('div', { class: 'row' },
      deleted_at ? el('p', { class: 'bubble' }, own ? 'You deleted this message' : 'Message deleted') : bubble(message, folded, on),
      state === 'sent' && !deleted_at && deeds(message, { own, author, removable, on })),
  );
  if (state === 'waiting' || state === 'failed') item.append(fate(message, on));
  return item;
}

/** What can be done with it. */
function deeds(message, { own, author, removable, on }) {
  const which = `${own ? 'your message' : `the message by ${author}`} of ${minute(message.created_at)}`;
  const button = (name, words) => el('button', { type: 'button', class: `quiet ${name}`, onclick: () => on[name](message), 'aria-label': `${words} ${which}` }, words);
  return removable && el('span', { class: 'deeds' }, own && button('edit', 'Edit'), button('remove', 'Delete'));
}

function bubble(message, folded, on) {
  const { content, created_at, edited_at } = message;
  const lines = content.split('\n').length;
  const long = lines > LINES_SHOWN || content.length > CHARACTERS_SHOWN;
  return el('div', { class: `bubble${long && folded ? ' folded' : ''}`, title: exact(created_at) },
    el('div', { class: 'text', dir: 'auto' }, ...pieces(content).map(pieceElement)),
    edited_at && el('time', { class: 'edited', datetime: edited_at, title: `Edited ${exact(edited_at)}` }, 'edited'),
    long && folded && el('button', { type: 'button', class: 'quiet unfold', onclick: () => on.unfold(message) }, lines > LINES_SHOWN ? `Show all ${count(lines, 'line')}` : 'Show the whole message'));
}

function pieceElement({ kind, text, href }) {
  if (kind === 'code') return el('code', { class: text.includes('\n') ? 'block' : null }, text);
  if (kind === 'link') return el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, text);
  return text;
}

function fate({ client_message_id, state, reason }, on) {
  if (state === 'waiting') return el('p', { class: 'fate' }, reason);
  return el('p', { class: 'fate' }, `Not sent: ${reason}. `,
    el('button', { type: 'button', class: 'quiet retry', onclick: () => on.retry(client_message_id) }, 'Try again'), ' ',
    el('button', { type: 'button', class: 'quiet discard', onclick: () => on.discard(client_message_id) }, 'Discard'));
}
