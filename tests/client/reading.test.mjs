// reading.test.mjs: what counts as read when it was in view, jumped over, read in another window or not held at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '/static/history.js';
import { Reading, UNREAD_MAX } from '/static/reading.js';

const message = (sequence, author = 'bob', more = {}) => ({ message_id: `m${sequence}`, sequence, author, deleted_at: null, ...more });
const messages = (from, to, author) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i, author));
const held = (from, to, more) => ({ messages: messages(from, to), older: from > 1, newer: false, ...more });

test('what was in view is read, and what is below it is not', () => {
  const reading = new Reading('alice', 10), all = messages(1, 50);
  assert.equal(reading.first(all).sequence, 11);
  assert.equal(reading.saw(all, { after: 8, to: 18 }, { unread: 40, whole: true }), 32);
  assert.equal(reading.marker, 18);
  assert.equal(reading.first(all).sequence, 19);
  assert.equal(reading.skipped, 0);
});

test('looking back at what was read changes nothing', () => {
  const reading = new Reading('alice', 30), all = messages(1, 50);
  assert.equal(reading.saw(all, { after: 2, to: 12 }, { unread: 20, whole: true }), 20);
  assert.equal(reading.marker, 30);
});

test('own and deleted messages are not counted', () => {
  const all = [message(1), message(2, 'alice'), message(3, 'bob', { deleted_at: 'now' }), message(4), message(5)];
  const reading = new Reading('alice', 0);
  assert.equal(reading.saw(all, { after: 0, to: 3 }, { unread: 3, whole: true }), 2);
  assert.equal(reading.first(all).sequence, 4);
});

test('a jump to the end reads all, and the way back goes until all was in view', () => {
  const reading = new Reading('alice', 0), all = messages(1, 100);
  assert.equal(reading.saw(all, { after: 0, to: 10 }, { unread: 100, whole: true }), 90);
  assert.equal(reading.saw(all, { after: 90, to: 100 }, { unread: 90, whole: true }), 0);
  assert.deepEqual([reading.marker, reading.through, reading.skipped], [100, 10, 80]);
  assert.equal(reading.first(all).sequence, 11);
  assert.equal(reading.firstUnread([...all, message(101)]).sequence, 101, 'what was jumped over is not unread');
  assert.equal(reading.saw(all, { after: 10, to: 40 }, { unread: 0, whole: true }), 0);
  assert.deepEqual([reading.through, reading.skipped], [40, 50]);
  reading.saw(all, { after: 40, to: 92 }, { unread: 0, whole: true });
  assert.deepEqual([reading.through, reading.skipped, reading.first(all)], [100, 0, undefined]);
});

test('a jump over what is not held counts by what the server told', () => {
  const reading = new Reading('alice', 0);
  reading.saw(messages(1, 100), { after: 0, to: 10 }, { unread: 400, whole: false });
  assert.equal(reading.saw(messages(301, 400), { after: 390, to: 400 }, { unread: 390, whole: true }), 0);
  assert.equal(reading.skipped, 380);
});

test('several jumps leave several stretches, each shown once', () => {
  const reading = new Reading('alice', 0), all = messages(1, 100), known = { unread: 0, whole: true };
  for (const [after, to] of [[0, 10], [40, 50], [90, 100]]) reading.saw(all, { after, to }, { ...known, unread: 100 - after });
  assert.equal(reading.skipped, 70);
  reading.saw(all, { after: 55, to: 65 }, known);
  assert.equal(reading.skipped, 60);
  reading.saw(all, { after: 10, to: 40 }, known);
  assert.deepEqual([reading.through, reading.skipped], [50, 30]);
});

test('a capped count stays until the end is held', () => {
  const reading = new Reading('alice', 0);
  assert.equal(reading.saw(messages(1, 100), { after: 0, to: 10 }, { unread: UNREAD_MAX, whole: false }), UNREAD_MAX);
  assert.equal(reading.saw(messages(2_901, 3_000), { after: 2_980, to: 2_990 }, { unread: UNREAD_MAX, whole: true }), 10);
});

test('what another window has read is read here', () => {
  const reading = new Reading('alice', 0), all = messages(1, 100);
  reading.saw(all, { after: 80, to: 90 }, { unread: 100, whole: true });
  assert.equal(reading.skipped, 80);
  reading.readElsewhere(100);
  assert.deepEqual([reading.marker, reading.through, reading.skipped], [100, 100, 0]);
});

test('the first unread message is held if nothing lies between it and the marker', () => {
  const reading = new Reading('alice', 100);
  assert.equal(reading.holdsFirst(held(90, 150), 50), true);
  assert.equal(reading.holdsFirst(held(101, 150), 50), true);
  assert.equal(reading.holdsFirst(held(120, 150), 50), false, 'something is missing before it');
  assert.equal(reading.holdsFirst(held(120, 150), 31), true, 'all that is unread is here');
  assert.equal(reading.holdsFirst(held(60, 100), 5), false, 'it is not here');
  assert.equal(reading.holdsFirst(held(60, 100), 0), true, 'nothing is unread');
  assert.equal(reading.holdsFirst(held(1_500, 2_600), UNREAD_MAX), false, 'the count stands for more');
});

test('a page around the marker is joined by what came while it was read', () => {
  const history = new History();
  history.put(message(61));
  history.restartAt({ messages: messages(20, 60), has_more: false });
  assert.deepEqual([history.first, history.last, history.newer], [20, 61, false]);
});

test('an event that came while a later page was read joins it', () => {
  const history = new History();
  history.restartAt({ messages: messages(1, 100), has_more: true });
  history.put(message(151));
  assert.equal(history.last, 100);
  history.append({ messages: messages(101, 150), has_more: false });
  assert.deepEqual([history.last, history.newer, history.messages.length], [151, false, 151]);
});

test('an event that comes before the newest page, which was read before it, is shown after that page', () => {
  const history = new History();
  history.restartAt({ messages: messages(1, 100), has_more: true });
  history.put(message(301));
  history.put({ ...message(301), content: 'edited', edited_at: '2026-01-02T00:00:00.000Z' });
  history.restart({ messages: messages(251, 300), has_more: true });
  assert.deepEqual([history.first, history.last, history.newer], [251, 301, false]);
  assert.equal(history.messages.at(-1).content, 'edited');
});

test('more events than are kept beside what is held are asked for again', () => {
  const history = new History();
  history.restartAt({ messages: messages(1, 100), has_more: true });
  for (const late of messages(301, 450)) history.put(late);
  history.restart({ messages: messages(251, 300), has_more: true });
  assert.deepEqual([history.last, history.newer], [300, true]);
  history.append({ messages: messages(301, 400), has_more: false });
  assert.deepEqual([history.last, history.newer, history.messages.length], [450, false, 200]);
});
