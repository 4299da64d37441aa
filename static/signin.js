// signin.js: the sign-in view: name and password, or a one-time link that brings its code in the fragment.

import { $, on } from './dom.js';

/** Takes `#signin=CODE` out of the address before anything else, so that it is neither kept nor used twice. */
export function codeInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get('signin');
  if (code !== null) history.replaceState(null, '', location.pathname);
  return code;
}

const FAILED = {
  signin_lost: 'That sign-in took too long or began elsewhere. Try again',
  signin_refused: 'The provider did not sign you in',
  issuer_unavailable: 'The provider does not answer. Try again',
  disabled: 'This account is disabled',
  rate_limited: 'Too many failed sign-ins. Wait a minute and try again',
  busy: 'Too many people are signing in. Try again',
  bad_credentials: 'What the provider said about you could not be verified',
  token_expired: 'What the provider said about you came too late. Try again',
  invalid: 'The provider sent you back with something that cannot be read. Try again',
};

/** The same for `#signin-error=CODE`, with which a sign-in at a provider ends that did not succeed: words, and the code, by which whoever runs the server finds the reason in its log. */
export function failureInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get('signin-error');
  if (code === null) return '';
  history.replaceState(null, '', location.pathname);
  // Anybody can write an address: only a code is repeated, never words.
  const name = /^[a-z_]{1,40}$/.test(code) ? code : 'unknown';
  const words = Object.hasOwn(FAILED, name) ? FAILED[name] : 'The sign-in did not work. Try again';
  return `${words} (${name})`;
}

export class SignIn {
  #form = $('#signin-form');
  #words = $('#signin-words');

  /** @param {(me: object) => void} onSignedIn */
  constructor(hailgate, onSignedIn) {
    this.hailgate = hailgate;
    this.onSignedIn = onSignedIn;
    on(this.#form, 'submit', (event) => { event.preventDefault(); this.#submit(); });
  }

  show(words = '') {
    $('#signin').hidden = false;
    this.#words.textContent = words;
    const { username, password } = this.#form.elements;
    password.value = '';
    (username.value ? password : username).focus();
    this.hailgate.rest('GET', '/api/system/info').then(({ sign_in }) => {
      const other = $('#signin-oidc');
      other.textContent = `Sign in with ${sign_in.oidc}`;
      other.hidden = !sign_in.oidc;
    }, () => {});   // whoever cannot be asked signs nobody in either
  }

  hide() {
    $('#signin').hidden = true;
    this.#form.reset();
    this.#words.textContent = '';
  }

  async #submit() {
    const { username, password } = this.#form.elements, button = $('#signin-submit');
    const missing = [username, password].find((field) => !field.value.trim());
    if (missing) { this.#words.textContent = `Enter your ${missing === username ? 'name' : 'password'}`; missing.focus(); return; }
    button.disabled = true;
    this.#words.textContent = 'Signing in';
    try {
      this.onSignedIn(await this.hailgate.login(username.value.trim(), password.value));
    } catch (error) {
      const wait = error.retryAfterMs ? `. Try again in ${Math.ceil(error.retryAfterMs / 1_000)} s` : '';
      this.#words.textContent = error.detail + wait;
      password.focus();
      password.select();
    } finally {
      button.disabled = false;
    }
  }
}
