// worker.js: lets the page open without the server. Its files come from the network, and from here only where the network fails. Never an
// answer of the API: whatever is not a file of the page passes by untouched.

const SHELF = 'hailgate page';
const isOfPage = ({ origin, pathname }) => origin === location.origin && (pathname === '/' || pathname === '/hailgate.js' || pathname.startsWith('/static/'));

addEventListener('install', () => skipWaiting());   // a new version takes over at once
addEventListener('activate', (event) => event.waitUntil(clients.claim()));

addEventListener('fetch', (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method === 'GET' && isOfPage(url)) event.respondWith(answer(event, request, url.pathname));
});

async function answer(event, request, path) {
  try {
    const fresh = await fetch(request);
    if (fresh.ok) event.waitUntil(keep(path, fresh.clone()));
    return fresh;
  } catch (error) {
    const kept = await (await caches.open(SHELF)).match(path, { ignoreVary: true });
    if (!kept) throw error;
    return kept;
  }
}

const keep = async (path, file) => (await caches.open(SHELF)).put(path, file);

/** The page that has just been loaded without us names its files. */
addEventListener('message', (event) => event.waitUntil(Promise.all(event.data.files.map(async (file) => {
  const url = new URL(file, location.origin);
  if (!isOfPage(url)) return;
  const fresh = await fetch(url, { cache: 'no-cache' }).catch(() => null);
  if (fresh?.ok) await keep(url.pathname, fresh);
}))));
