// page.js: the page: signs in, reads what is, follows what comes, and hands each event to the view that shows it.
// Decisions: src/docs/decisions/page.md.

import { Hailgate } from './hailgate.js';
import { codeInAddress, failureInAddress, SignIn } from './signin.js';
import { showConnection } from './connection.js';
import { confirmed } from './dialogs.js';
import { $, on } from './dom.js';
import { answerFiles } from './files.js';
import { Conversations } from './conversations.js';
import { keepPage, opensWithoutServer } from './offline.js';
import { troubleOf, WORDS } from './rules.js';
import { Shelf } from './shelf.js';
import { SignOut } from './signout.js';

const RETRY_MS = 3_000, GOODBYE_MS = 5_000;
const SIGNED_OUT = 'You are signed out here. The server cannot be reached: your session there ends as soon as it can';
const SIGNED_OUT_OPEN = 'You are signed out here. Keep this window open: your session at the server ends as soon as it can be reached';

const hailgate = new Hailgate();
const signOut = new SignOut(hailgate);
const signIn = new SignIn(hailgate, { before: () => signOut.settle(), onSignedIn: signedInAnew });
const windows = new BroadcastChannel('hailgate-sign-in');   // windows share the cookie: none may go on as another user
const shelf = new Shelf();
let conversations = null;
let me = null;
let leaving = false;
let emptied = false;   // somebody signed out in this window, and it was not loaded again
let code = null;       // of a sign-in link, until it is used

async function begin() {
  code = codeInAddress() ?? code;
  let trouble = failureInAddress();
  if (!await signOutIsTold()) return;
  if (code !== null) {
    const link = code;
    code = null;
    try { await signedInAnew(await hailgate.link(link)); return; } catch (error) { trouble = error.code === 'bad_login' ? 'This sign-in link has been used or has expired' : error.words; }
  }
  try {
    await signedIn(await hailgate.me());
  } catch (error) {
    if (error.status && !error.retryable) {
      await shelf.wipe();
      if (me) signedOut(); else askWho(trouble);
      return;
    }
    if (error.status) sayConnection('offline', troubleOf(error)); else await unreachable(error);
    setTimeout(begin, Math.max(error.retryAfterMs, RETRY_MS));
  }
}

/** Before anything else the server hears of a sign-out that it could not be told. Until then nothing is asked or shown of that user. */
async function signOutIsTold() {
  if (signOut.due === null) return true;
  const error = await signOut.settle();
  if (!error) { sayConnection('signed_out', ''); return true; }
  await shelf.wipe();
  askWho(SIGNED_OUT, 'note');
  sayConnection('offline', troubleOf(error));
  setTimeout(begin, Math.max(error.retryAfterMs, RETRY_MS));
  return false;
}

/** The server cannot be asked who we are: whoever was here last may read on. */
async function unreachable(error) {
  const last = me ? null : await shelf.read();
  if (last) {
    me = hailgate.user = last.me;
    show();
    conversations.fill(last.kept);
  }
  sayConnection('offline', me ? WORDS.offline : troubleOf(error));
}

/** By a password or a link: the session of before is replaced, and nothing need be told of its end. */
async function signedInAnew(who) {
  signOut.forget();
  await signedIn(who);
}

async function signedIn(who) {
  if (emptied) { leave(); return; }
  if (me && me.user_id !== who.user_id) { await shelf.wipe(); leave(); return; }   // nothing of the last user may stay
  if (!me) windows.postMessage(who.user_id);
  me = who;
  await shelf.claim(me);
  show();
  conversations.start();
  keepPage();
}

/** From now on the page decides what is in sight, no longer the frame that it begins with. */
function leaveFrame() {
  $('#app').inert = false;
  document.documentElement.classList.add('begun');
}

function show() {
  signIn.hide();
  leaveFrame();
  $('#app').hidden = false;
  conversations ??= new Conversations(hailgate, { user_id: me.user_id, name: me.name ?? me.user_id }, shelf);
}

function askWho(words, kind) {
  $('#app').hidden = true;
  leaveFrame();
  signIn.show(words, kind);
}

/** Nothing of the conversations stays in sight once the sign-in has ended; what is unsent waits for the same user. */
function signedOut() {
  if (!me || leaving) return;
  shelf.wipe();
  $('#announcer').replaceChildren();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  askWho();   // the connection line says why
}

/** The same user signed in again in another window. A later sign-out has to end that session, not the one of before. */
async function signedInElsewhere() {
  const who = await hailgate.me().catch(() => me);
  if (!me || leaving || who.user_id !== me.user_id) return;
  me = who;
  shelf.claim(me, hailgate.epoch);
  signIn.hide();
  $('#app').hidden = false;
}

/** Somebody signed out, here or in another window: nothing of theirs stays in sight or kept, whether or not the server can be told now. */
async function goodbye(kept, told = signOut.settle(), tell = false) {
  leaving = true;
  hailgate.leaveUser({ tell });
  $('#announcer').replaceChildren();
  $('#app').hidden = true;
  leaveFrame();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  signIn.show('Signing out', 'note', false);
  const [, error] = await Promise.all([shelf.wipe(), told]);
  if (!error || (kept && await opensWithoutServer())) { leave(); return; }
  // To load the page again would show the browser's own error page.
  for (const part of document.querySelectorAll('#app :is(ul, ol, h2, #me, #told-words, #trouble-words)')) part.replaceChildren();
  [me, leaving, emptied] = [null, false, true];
  signIn.show(kept ? SIGNED_OUT : SIGNED_OUT_OPEN, 'note');
  setTimeout(begin, RETRY_MS);
}

function leave() {
  leaving = true;
  history.replaceState(null, '', location.pathname);
  location.reload();
}

const sayConnection = showConnection(hailgate, () => hailgate.start());
on(hailgate, 'state', ({ detail }) => {
  if (detail.state === 'signed_out' || detail.code === 'disabled') signedOut();
  else if (me && $('#app').hidden && ['live', 'fallback'].includes(detail.state)) signedInElsewhere();
});
on(hailgate, 'welcome', ({ detail: { epoch } }) => me && !leaving && shelf.claim(me, epoch));
on(windows, 'message', ({ data }) => {
  if (!me || data === me.user_id || leaving) return;
  if (data === null) goodbye(signOut.remember(me)); else leave();   // what that window has stored may not be here yet
});
on($('#signout'), 'click', async () => {
  if (conversations.unsent && !await confirmed('What you wrote and did not send will be lost. Sign out?', 'Sign out')) return;
  if (conversations.staying && !await confirmed(`${conversations.staying} Sign out?`, 'Sign out')) return;
  const kept = signOut.remember(me);
  windows.postMessage(null);
  const over = () => { signOut.forget(); return null; };
  goodbye(kept, hailgate.logout({ timeoutMs: GOODBYE_MS }).then(over, (error) => (error.status === 401 ? over() : error)), true);
});
on(window, 'hashchange', () => location.hash.startsWith('#signin') && begin());   // a link that is opened where the page is loaded already
on(window, 'beforeunload', (event) => !leaving && conversations?.unsent && event.preventDefault());
answerFiles();
begin();
