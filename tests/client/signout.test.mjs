// signout.test.mjs: a sign-out that the server has not heard of is told as soon as it can be, once, and ends no other session.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HailgateError } from '/hailgate.js';
import { SignOut } from '/static/signout.js';

/** One browser's storage, and a server that answers like this. */
function set(answer) {
  const kept = new Map(), asked = [];
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => { kept.set(name, value); }, removeItem: (name) => { kept.delete(name); } };
  const hailgate = { endSession: async (id) => { asked.push(id); const error = answer(id); if (error) throw new HailgateError(error); } };
  return { asked, hailgate, storage, window: () => new SignOut(hailgate, storage) };
}

test('nothing is told where nothing is due', async () => {
  const { asked, window } = set(() => null);
  assert.equal(await window().settle(), null);
  assert.deepEqual(asked, []);
});

test('another window, or the page loaded again, tells the server by the id of the session', async () => {
  let away = true;
  const { asked, window } = set(() => (away ? { code: 'network' } : null));
  assert.equal(window().remember({ session_id: 's1' }), true);
  const later = window();
  assert.equal(later.due, 's1');
  assert.equal((await later.settle()).code, 'network');
  assert.equal(later.due, 's1', 'it stays due');
  away = false;
  assert.equal(await later.settle(), null);
  assert.equal(later.due, null);
  assert.equal(await window().settle(), null);
  assert.deepEqual(asked, ['s1', 's1']);
});

test('an answer that it is over or not ours settles it; one that says later does not', async () => {
  for (const [status, code, settled] of [[401, 'unauthenticated', true], [404, 'not_found', true], [403, 'forbidden', true], [429, 'rate_limited', false], [503, 'busy', false], [502, 'http_502', false]]) {
    const { window } = set(() => ({ code, status }));
    window().remember({ session_id: 's1' });
    assert.equal(await window().settle() === null, settled, code);
    assert.equal(window().due === null, settled, code);
  }
});

test('where the browser keeps nothing the window says so and tells the server itself', async () => {
  const { asked, hailgate } = set(() => null);
  const signOut = new SignOut(hailgate, null);
  assert.equal(signOut.remember({ session_id: 's1' }), false);
  assert.equal(await signOut.settle(), null);
  assert.deepEqual([asked, signOut.due], [['s1'], null]);
});

test('a session that another window signed out meanwhile stays due', async () => {
  const { window, storage } = set(() => { storage.setItem('hailgate sign-out', 's2'); return null; });
  window().remember({ session_id: 's1' });
  await window().settle();
  assert.equal(window().due, 's2');
});
