// filter.test.mjs: what somebody types finds what they mean, whatever the case, the accents and the order of the words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fold, matcher } from '/static/filter.js';

test('case, accents and letters with a stroke do not keep a text from being found', () => {
  for (const [text, typed] of [
    ['Ödön Straße', 'odon strasse'], ['ÖDÖN STRASSE', 'ödön straße'], ['Ødegård', 'odegard'], ['Łódź', 'lodz'], ['İstanbul', 'istanbul'], ['Çelik Işık', 'celik isik'],
    ['Ångström', 'angstrom'], ['e\u0301te\u0301', 'été'], ['ﬁnance', 'finance'], ['Ｐｌａｎ', 'plan'], ['Đặng', 'dang'], ['ΣΟΦΟΣ', 'σοφοσ'],
  ]) assert.equal(matcher(typed)(fold(text)), true, `${typed} finds ${text}`);
});

test('every word must be there, in any order and at any place', () => {
  const finds = (query) => matcher(query)(fold('Budget für Köln 2027\nBob\nbob'));
  for (const query of ['koln budget', '2027 bob', 'udge', ' für ', '']) assert.equal(finds(query), true, query);
  for (const query of ['koln berlin', 'budgets', 'bobby']) assert.equal(finds(query), false, query);
});

test('a text of another script is found as it is written', () => {
  for (const [text, typed] of [['مشروع جديد', 'جديد'], ['東京の計画', '計画'], ['Проект', 'проект'], ['🚀 launch', '🚀']]) assert.equal(matcher(typed)(fold(text)), true, text);
  assert.equal(matcher('café')(fold('cafeteria')), true, 'an accent too many finds, too');
});
