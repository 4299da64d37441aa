// text.js: what is written, and when: links and code found in messages, characters counted, times in words. Pure.

const PIECES = /```[^]+?```|`[^`\n]+`|https?:\/\/[^\s<>"`]+/gi;

/** Cuts content into `{kind: 'text' | 'link' | 'code', text, href?}`. The texts joined are the content: nothing typed is lost. */
export function pieces(content) {
  const found = [];
  let done = 0;
  for (const { 0: match, index } of content.matchAll(PIECES)) {
    const piece = match[0] === '`' ? { kind: 'code', text: match } : link(match);
    if (!piece) continue;
    if (index > done) found.push({ kind: 'text', text: content.slice(done, index) });
    found.push(piece);
    done = index + piece.text.length;
  }
  if (done < content.length) found.push({ kind: 'text', text: content.slice(done) });
  return found;
}

/** A link without the punctuation of the sentence around it; a closing bracket stays if it was opened inside. */
function link(match) {
  const trim = (text) => text.replace(/[.,;:!?'*_~\]}]+$/, '');
  let text = trim(match);
  while (text.endsWith(')') && text.split('(').length < text.split(')').length) text = trim(text.slice(0, -1));
  try {
    const url = new URL(text);
    return ['http:', 'https:'].includes(url.protocol) && url.hostname ? { kind: 'link', text, href: url.href } : null;
  } catch {
    return null;
  }
}

/** Unicode scalar values, which is what the server counts: an emoji of one is one. */
export function characters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const exactTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const thisYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const otherYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const shortDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export const minute = (at) => clock.format(new Date(at));
export const exact = (at) => exactTime.format(new Date(at));

export const dayOf = (at) => new Date(at).toDateString();

/** "Today", "Yesterday", or the date, with the year where it is another. */
export function dayInWords(at, now = new Date()) {
  const day = new Date(at), yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (dayOf(at) === now.toDateString()) return 'Today';
  if (dayOf(at) === yesterday.toDateString()) return 'Yesterday';
  return (day.getFullYear() === now.getFullYear() ? thisYear : otherYear).format(day);
}

/** For a list: the time if today, else the day. */
export const brief = (at, now = new Date()) => (dayOf(at) === now.toDateString() ? minute(at) : shortDay.format(new Date(at)));

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
