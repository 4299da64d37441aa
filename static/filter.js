// filter.js: whether a text has what somebody looks for, whatever the case and the accents. Pure.

/** Letters that are no other letter with a mark. */
const PLAIN = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ı: 'i', ς: 'σ' };
const MARKS = /\p{M}+/gu, SPECIAL = new RegExp(`[${Object.keys(PLAIN).join('')}]`, 'g');

/** "Ödön Straße" -> "odon strasse": what people type where they mean it. */
export const fold = (text) => text.normalize('NFKD').replace(MARKS, '').toLowerCase().replace(MARKS, '').replace(SPECIAL, (letter) => PLAIN[letter]);

/** @returns {(folded: string) => boolean} whether a folded text has every word of the query, in any order and place */
export function matcher(query) {
  const words = fold(query).split(/\s+/).filter(Boolean);
  return (folded) => words.every((word) => folded.includes(word));
}
