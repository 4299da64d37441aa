// words.js: what people read of a failure: one sentence for each code of the server (src/error.rs), without a stop at its end. Pure.
//
// The `detail` that a server sends beside a code may name headers, fields or settings. It is shown only where the code says too little and
// the text holds nothing of that kind.

export const SENTENCES = {
  // Nobody can do this as it is asked.
  invalid: 'The server did not accept this', unknown_type: 'This page and the server do not understand each other. Load the page again',
  several_credentials: 'The sign-in could not be read. Sign in again', bad_upgrade: 'Something on the way to the server changes what this page sends',
  method_not_allowed: 'This page and the server do not understand each other. Load the page again',
  not_acceptable: 'This page and the server do not understand each other. Load the page again',
  unsupported_media_type: 'This page and the server do not understand each other. Load the page again',
  upgrade_required: 'Something on the way to the server blocks its connections', too_big: 'This is too long for the server',
  key_reused: 'This was sent before with other content', forbidden: 'You are not allowed to do that',
  not_found: 'It is gone, or you are not in this thread any more', unknown_user: 'There is no account of that name',
  no_signing_key: 'The server is not set up for this', foreign_origin: 'The server does not accept this address. Ask whoever runs it to allow it',
  // Signing in, and its end.
  unauthenticated: 'Your sign-in ended. Sign in again', bad_credentials: 'Your sign-in could not be verified. Sign in again',
  token_expired: 'Your sign-in ended. Sign in again', not_a_token: 'Your sign-in could not be renewed. Sign in again',
  credentials_expired: 'Your sign-in ended. Sign in again', signed_out: 'Your sign-in ended. Sign in again',
  bad_login: 'Name or password is wrong', signin_lost: 'That sign-in took too long or began elsewhere. Try again',
  signin_refused: 'The provider did not sign you in', disabled: 'Your account is switched off. Ask whoever runs this server',
  another_user: 'Another user signed in here. Sign in again',
  // Later.
  rate_limited: 'That was too much at once', too_many_connections: 'Too many windows are open. Close one', request_timeout: 'The connection is too slow. Try again',
  internal: 'The server made a mistake. Try again', stack_broken: 'The server is not set up correctly. Tell whoever runs it',
  busy: 'The server is busy. Try again in a moment', issuer_unavailable: 'The sign-in provider does not answer. Try again',
  store_unavailable: 'The server cannot reach its storage. Try again in a moment', storage_full: 'The server has no space left. Tell whoever runs it',
  draining: 'The server is restarting. Try again in a moment', over_capacity: 'The server is full. Try again later',
  epoch_changed: 'The server lost its latest history', expired: 'You were away for long', bad_cursor: 'The server lost its latest history',
  too_many: 'You missed many messages',
  // Ends of a connection.
  done: 'The server ended this connection', going_away: 'The server is restarting', protocol_error: 'Something on the way to the server damages what is sent',
  binary_frame: 'Something on the way to the server damages what is sent', not_utf8: 'Something on the way to the server damages what is sent',
  frame_too_big: 'This is too long for the server', slow_reader: 'Your connection is too slow', no_sign_of_life: 'The connection was lost',
  flooding: 'Too much was sent at once', contract_broken: 'This page and the server do not understand each other. Load the page again',
  // From this side.
  network: 'The server cannot be reached', timeout: 'The server did not answer in time', aborted: 'It was given up', closed: 'The connection closed',
  backlog: 'Too much is waiting to be sent', not_json: 'Something else than the server answered',
};

/** Codes that tell too little: the server's own text says what is not allowed. */
const DETAILED = ['forbidden'];

/** The fields that people fill in, as the subject of what the server says about them ("must be at most ..."). */
const FIELDS = { content: 'The message', title: 'The title', members: 'The list of people', q: 'The search', owner: 'The new owner' };

/** Header names, names in snake case, and code. */
const NOT_FOR_PEOPLE = /[`_{}]|\b[A-Z][a-z]+-[A-Z]|HTTP|JSON|REST|cursor|token/;
const forPeople = (text) => (text && !NOT_FOR_PEOPLE.test(text) ? bare(text) : null);

/** Without the stop at its end, so that a text can go on behind it. */
export const bare = (text) => text.trim().replace(/[.\s]+$/, '');

/** Several sentences as one text: one stop between two, none at the end, and empty ones left out. */
export const joined = (...sentences) => sentences.map((sentence) => bare(sentence ?? '')).filter(Boolean).map((sentence, i, all) => (i + 1 < all.length && !/[?!]$/.test(sentence) ? `${sentence}.` : sentence)).join(' ');

/** `7 seconds`, `2 minutes`: never too short. */
export function span(ms) {
  const seconds = Math.ceil(ms / 1_000), [count, unit] = seconds > 90 ? [Math.ceil(seconds / 60), 'minute'] : [Math.max(seconds, 1), 'second'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** @param {{code: string, status?: number, detail?: string, errors?: {field: string, reason: string}[], retryAfterMs?: number}} error */
export function wordsOf({ code, status = 0, detail, errors = [], retryAfterMs = 0 }) {
  const field = errors.find((told) => Object.hasOwn(FIELDS, told.field) && forPeople(told.reason));
  if (field) return `${FIELDS[field.field]} ${bare(field.reason)}`;
  const known = Object.hasOwn(SENTENCES, code) ? SENTENCES[code] : null, told = forPeople(detail);
  if (code === 'rate_limited' && retryAfterMs) return `${known}. Try again in ${span(retryAfterMs)}`;
  if (known) return DETAILED.includes(code) && told ? told : known;
  if (code?.startsWith('http_')) return status >= 500 ? 'The server does not answer as it should' : 'The server refused this';
  return told ?? 'That did not work';
}
