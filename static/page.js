// page.js: the page: signs in, reads what is, follows what comes, and hands each event to the view that shows it.
// Decisions: src/docs/decisions/page.md.

import { Hailgate } from './hailgate.js';
import { codeInAddress, failureInAddress, SignIn } from './signin.js';
import { showConnection } from './connection.js';
import { confirmed } from './dialogs.js';
import { $, on } from './dom.js';
import { answerFiles } from './files.js';
import { Conversations } from './conversations.js';
import { keepPage } from './offline.js';
import { troubleOf, WORDS } from './rules.js';
import { Shelf } from './shelf.js';
import { joined } from './words.js';

const RETRY_MS = 3_000;

const hailgate = new Hailgate();
const signIn = new SignIn(hailgate, signedIn);
const windows = new BroadcastChannel('hailgate-sign-in');   // windows share the cookie: none may go on as another user
const shelf = new Shelf();
let conversations = null;
let me = null;
let leaving = false;

async function begin() {
  const code = codeInAddress();
  let trouble = failureInAddress();
  if (code !== null) {
    try { await signedIn(await hailgate.link(code)); return; } catch (error) { trouble = error.code === 'bad_login' ? 'This sign-in link has been used or has expired' : error.words; }
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

async function signedIn(who) {
  if (me && me.user_id !== who.user_id) { await shelf.wipe(); leave(); return; }   // nothing of the last user may stay
  if (!me) windows.postMessage(who.user_id);
  me = who;
  await shelf.claim({ user_id: me.user_id, name: me.name ?? me.user_id });
  show();
  conversations.start();
  keepPage();
}

function show() {
  signIn.hide();
  $('#app').hidden = $('#app').inert = false;   // inert: the frame that the page begins with
  conversations ??= new Conversations(hailgate, { user_id: me.user_id, name: me.name ?? me.user_id }, shelf);
}

function askWho(words) {
  $('#app').hidden = true;
  $('#app').inert = false;
  signIn.show(words);
}

/** Nothing of the conversations stays in sight once the sign-in has ended; what is unsent waits for the same user. */
function signedOut() {
  if (!me || leaving) return;
  shelf.wipe();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  askWho();   // the connection line says why
}

function leave() {
  leaving = true;
  history.replaceState(null, '', location.pathname);
  location.reload();
}

const sayConnection = showConnection(hailgate, () => hailgate.start());
on(hailgate, 'state', ({ detail }) => {
  if (detail.state === 'signed_out' || detail.code === 'disabled') signedOut();
  else if (me && $('#app').hidden && ['live', 'fallback'].includes(detail.state)) { signIn.hide(); $('#app').hidden = false; }   // the same user signed in again in another window
});
on(hailgate, 'welcome', ({ detail: { epoch } }) => me && !leaving && shelf.claim({ user_id: me.user_id, name: me.name ?? me.user_id }, epoch));
on(windows, 'message', ({ data }) => me && data !== me.user_id && leave());
on($('#signout'), 'click', async () => {
  if (conversations.unsent && !await confirmed('What you wrote and did not send will be lost. Sign out?', 'Sign out')) return;
  if (conversations.staying && !await confirmed(`${conversations.staying} Sign out?`, 'Sign out')) return;
  for (let sure = true; sure;) {
    leaving = true;
    const error = await hailgate.logout().then(() => null, (refused) => refused);
    if (!error || error.status === 401) { await shelf.wipe(); windows.postMessage(null); leave(); return; }
    leaving = false;
    sure = await confirmed(`${joined('You are still signed in', error.words)}.`, 'Try again');
  }
});
on(window, 'hashchange', () => location.hash.startsWith('#signin') && begin());   // a link that is opened where the page is loaded already
on(window, 'beforeunload', (event) => !leaving && conversations?.unsent && event.preventDefault());
answerFiles();
begin();
