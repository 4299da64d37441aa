// first.js: runs before the first paint and guesses what it shows: the frame of the conversations, or the form to sign in. Who is here only the
// server knows; its answer comes later, and page.js follows it. The one script that is no module: modules run after the first paint.

{
  const AT_PROVIDER = 'hailgate at provider';   // set on the way to a provider of sign-ins, from which one comes back signed in
  const remembered = (storage, name) => { try { return storage().getItem(name) !== null; } catch { return false; } };   // storage may be refused
  const { hash } = location;
  const known = !hash.startsWith('#signin-error=') && (hash.startsWith('#signin=')
    || remembered(() => localStorage, 'hailgate shelf') || remembered(() => sessionStorage, AT_PROVIDER));
  document.documentElement.dataset.first = known ? (hash.startsWith('#thread=') ? 'thread' : 'threads') : 'signin';

  addEventListener('click', ({ target }) => {
    try { if (target.id === 'signin-oidc') sessionStorage.setItem(AT_PROVIDER, ''); else sessionStorage.removeItem(AT_PROVIDER); } catch { /* then the form is shown first */ }
  });

  // A file that does not come would leave the frame empty for ever. Such an error does not bubble.
  addEventListener('error', ({ target }) => {
    if (target.tagName !== 'SCRIPT') return;
    document.querySelector('#connection-words').textContent = 'This page could not be loaded whole. Load it again.';
    document.querySelector('#connection').classList.add('shown');
  }, true);
}
