// offline.js: asks the browser to keep the page's files (worker.js), so that it opens without the server.

/** The only script address that the page ever makes out of text; the content security policy allows this one policy. */
const policy = globalThis.trustedTypes?.createPolicy('hailgate', { createScriptURL: () => '/static/worker.js' });

export async function keepPage() {
  const workers = navigator.serviceWorker;   // none on plain http away from loopback
  if (!workers) return;
  try {
    const first = !workers.controller;   // of a page that it serves the worker has seen every file
    const script = policy?.createScriptURL('') ?? '/static/worker.js';
    await workers.register(script, { scope: '/', updateViaCache: 'none' });
    if (!first) return;
    const { active } = await workers.ready;
    const files = performance.getEntriesByType('resource').map(({ name }) => name);
    active.postMessage({ files: [location.origin + '/', ...files] });
  } catch { /* a browser that refuses keeps nothing, and the page works without */ }
}
