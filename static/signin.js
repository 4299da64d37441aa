// signin.js: the sign-in view: name and password, or a one-time link that brings its code in the fragment.

import { $, el, on } from './dom.js';
import { SENTENCES, span } from './words.js';

/** Takes `#signin=CODE` out of the address before anything else, so that it is neither kept nor used twice. */
export function codeInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get('signin');
  if (code !== null) history.replaceState(null, '', location.pathname);
  return code;
}

/** Failures at a provider that the general sentences do not fit. */
const AT_PROVIDER = {
  bad_credentials: 'What the provider said about you could not be verified. Try again',
  token_expired: 'What the provider said about you came too late. Try again',
  invalid: 'The provider sent you back with something that cannot be read. Try again',
  rate_limited: 'Too many failed sign-ins: wait a minute and try again',
  busy: 'Too many people are signing in. Try again',
};

/** The same for `#signin-error=CODE`, with which a sign-in at a provider ends that did not succeed. Anybody can write an address: of the code only our own words are shown. */
export function failureInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get('signin-error');
  if (code === null) return '';
  history.replaceState(null, '', location.pathname);
  const words = [AT_PROVIDER, SENTENCES].find((table) => Object.hasOwn(table, code));
  return words ? words[code] : 'The sign-in did not work. Try again';
}

/** Why a sign-in by password was refused: one sentence. */
function refusal(error) {
  if (error.code === 'rate_limited' && error.retryAfterMs) return `Too many failed sign-ins: wait ${span(error.retryAfterMs)} and try again`;
  return error.words;
}

export class SignIn {
  #form = $('#signin-form');
  #words = $('#signin-words');

  /** @param {{before: () => Promise<void>, onSignedIn: (me: object) => void}} parts `before` is what must come before every sign-in */
  constructor(hailgate, { before, onSignedIn }) {
    this.hailgate = hailgate;
    this.before = before;
    this.onSignedIn = onSignedIn;
    on(this.#form, 'submit', (event) => { event.preventDefault(); this.#submit(); });
  }

  /**
   * The form may have been in sight before; only now is it known that somebody must sign in, and nothing typed is lost.
   * @param {'error' | 'note'} [kind]
   * @param {boolean} [asks] whether the server is asked for other ways to sign in; not by a page that is about to be loaded again
   */
  show(words = '', kind = 'error', asks = true) {
    $('#signin').hidden = $('#signin-submit').disabled = false;
    this.#say(words, kind);
    const { username, password } = this.#form.elements;
    if (!this.#form.contains(document.activeElement)) (username.value ? password : username).focus();
    if (asks) this.hailgate.rest('GET', '/api/system/info').then(({ sign_in }) => {
      this.#offerDemo(sign_in.demo);
      const other = $('#signin-oidc');
      other.textContent = `Sign in with ${sign_in.oidc}`;
      other.hidden = !sign_in.oidc;
    }, () => {});   // whoever cannot be asked signs nobody in either
  }

  /** In a demo nobody has a password. `accounts` are those that this browser may choose; null: this is no demo. */
  #offerDemo(accounts = null) {
    const place = $('#signin-demo');
    place.hidden = accounts === null;
    if (accounts === null) return;
    place.replaceChildren(
      el('p', {}, accounts.length ? 'This is a demo. Go on as' : 'This is a demo. Open a sign-in link that it printed where it was started. Start it again for new links.'),
      ...accounts.map(({ user_id, name }) => el('button', { type: 'button', onclick: () => this.#enter(() => this.hailgate.demo(user_id), { wrong: 'Open a sign-in link of this demo first' }) }, name)));
  }

  hide() {
    $('#signin').hidden = true;
    this.#form.reset();
    this.#say('');
  }

  /** `fields` are what must be changed. */
  #say(words, kind = 'error', fields = []) {
    const { username, password } = this.#form.elements;
    for (const field of [username, password]) {
      const wrong = fields.includes(field);
      field.setAttribute('aria-invalid', wrong);
      if (wrong) field.setAttribute('aria-describedby', this.#words.id); else field.removeAttribute('aria-describedby');
    }
    this.#words.dataset.kind = kind;
    this.#words.textContent = words;
  }

  async #submit() {
    const { username, password } = this.#form.elements;
    const missing = [username, password].find((field) => !field.value.trim());
    if (missing) { this.#say(`Enter your ${missing === username ? 'name' : 'password'}`, 'error', [missing]); missing.focus(); return; }
    if (!await this.#enter(() => this.hailgate.login(username.value.trim(), password.value), { fields: [username, password] })) {
      password.focus();
      password.select();
    }
  }

  /** @returns {Promise<boolean>} whether somebody is signed in */
  async #enter(ask, { fields = [], wrong = SENTENCES.bad_login }) {
    const button = $('#signin-submit');
    button.disabled = true;
    this.#say('Signing in', 'note');
    try {
      await this.before();
      this.onSignedIn(await ask());
      return true;
    } catch (error) {
      if (error.code === 'bad_login') this.#say(wrong, 'error', fields); else this.#say(refusal(error));
      return false;
    } finally {
      button.disabled = false;
    }
  }
}
