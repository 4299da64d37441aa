// offline.js: asks the browser to keep the page's files (worker.js), so that it opens without the server.

/** The only script address that the page ever makes out of text; the content security policy allows this one policy. */
const policy = globalThis.trustedTypes?.createPolicy('hailgate', { createScriptURL: () => '/static/worker.js' });

/** The page names all its files: those that it loads at once, and those that it preloads for them. */
const FILES = 'link[rel=icon], link[rel=stylesheet], link[rel=modulepreload], script[src]';

export async function keepPage() {
  const workers = navigator.serviceWorker;   // none on plain http away from loopback
  if (!workers) return;
  try {
    const script = policy?.createScriptURL('') ?? '/static/worker.js';
    await workers.register(script, { scope: '/', updateViaCache: 'none' });
    const { active } = await workers.ready;
    active.postMessage({ files: [...document.querySelectorAll(FILES)].map((file) => file.href || file.src) });
  } catch { /* a browser that refuses keeps nothing, and the page works without */ }
}

/** Whether the page can be loaded again now, with or without the server: it is kept only once all its files are. */
export async function opensWithoutServer() {
  try { return Boolean(navigator.serviceWorker.controller && await caches.match('/')); } catch { return false; }
}
