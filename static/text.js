// text.js: what is written, and when: links and code found in messages, characters counted, times in words. Pure.

// In this order: a fence over several lines, code in a line, an address with a scheme, one without, and one of mail. Each alternative looks
// at a character a bounded number of times: a message of 8,000 characters that means ill is cut as fast as any other.
const PIECES = new RegExp([
  '(?<fence>\\n?```(?<block>[^\\n`]*\\n[^]*?)```[ \\t]*\\n?)',
  '```(?<three>[^`\\n]+)```|``(?<two>(?:[^`\\n]|`(?!`))+)``|`(?<one>[^`\\n]+)`',
  '(?<web>(?:https?://|(?<![\\p{L}\\p{N}@./:_-])www\\.)[^\\s<>"`]+)',
  '(?<mail>(?<![\\p{L}\\p{N}@/._%+-])[\\p{L}\\p{N}_+][\\p{L}\\p{N}._+-]{0,63}@(?:[\\p{L}\\p{N}-]{1,63}\\.)+\\p{L}{2,63}(?![\\p{L}\\p{N}_@-]|:\\S))',
].join('|'), 'giu');
const LANGUAGE = /^([\w+#.-]{1,20})?[ \t]*\n/;

/**
 * Cuts content into `{kind: 'text' | 'link' | 'code', source, text, ...}`. The sources joined are the content, character by character;
 * `text` is what is shown, which is the source without the backticks of code. A link has `href`, code over several lines `block`,
 * and `language` where its first line names one.
 */
export function pieces(content) {
  const found = [];
  const text = (from, to) => to > from && found.push({ kind: 'text', source: content.slice(from, to), text: content.slice(from, to) });
  let done = 0;
  for (const { 0: match, index, groups } of content.matchAll(PIECES)) {
    const piece = groups.web ? webLink(match) : groups.mail ? mailLink(match) : code(match, groups);
    if (!piece) continue;
    text(done, index);
    found.push(piece);
    done = index + piece.source.length;
  }
  text(done, content.length);
  return found;
}

/** Code without its backticks, and of a block without the line breaks that belong to them. Null where nothing would be left to see. */
function code(source, { fence, block, three, two, one }) {
  if (!fence) {
    const inner = three ?? two ?? one, text = /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner;   // `` `a` `` is how code has backticks
    return text.trim() ? { kind: 'code', source, text } : null;
  }
  const [first, language] = LANGUAGE.exec(block) ?? [''];
  const text = block.slice(first.length).replace(/\n[ \t]*$/, '');
  return text.trim() ? { kind: 'code', source, text, block: true, ...(language && { language }) } : null;
}

/** A link without the punctuation of the sentence around it. What begins with `www.` is read as https. */
function webLink(match) {
  const text = withoutPunctuation(match), scheme = /^https?:/i.test(text);
  try {
    const url = new URL(scheme ? text : `https://${text}`);
    // `www.bank.example@evil.example` is an address of evil.example: what looks like another host is no link.
    if (!url.hostname || url.username || url.password) return null;
    if (!scheme && !/^www\.[^.]+(\.[^.]+)+$/.test(url.hostname)) return null;
    return { kind: 'link', source: text, text, href: url.href };
  } catch {
    return null;
  }
}

/** The characters that an address of mail is found by hold none that could add a header to it. */
const mailLink = (source) => ({ kind: 'link', source, text: source, href: `mailto:${source}` });

/** Ends where the sentence goes on; a closing bracket stays if it was opened inside. */
function withoutPunctuation(text) {
  let end = text.length, closedMore = text.split(')').length - text.split('(').length;
  for (; end > 0; end -= 1) {
    const last = text[end - 1];
    if (last === ')' && closedMore > 0) closedMore -= 1;
    else if (!'.,;:!?\'*_~]}…’”»'.includes(last)) break;
  }
  return text.slice(0, end);
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
const SHOWN_MAX = 99;

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

/** "99+" for more than anybody counts. */
export const capped = (n) => (n > SHOWN_MAX ? `${SHOWN_MAX}+` : String(n));

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
