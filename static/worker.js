// worker.js: lets the page open without the server. A page that has loaded whole names its files, which are kept then, all of one version; the page
// itself comes from the network, and from here only where the network fails. Never an answer of the API: whatever is not of the page passes by untouched.

const SHELF = 'hailgate page', PAGE = '/', NEXT = '/?next';
const VERSIONED = /^\/static\/[0-9a-f]+\/[^/]+$/;   // an address that names its content: what is kept of it is true for ever

addEventListener('install', () => skipWaiting());   // a new version takes over at once
addEventListener('activate', (event) => event.waitUntil(clients.claim()));

addEventListener('fetch', (event) => {
  const { request } = event, { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (pathname === PAGE) event.respondWith(page(event, request));
  else if (VERSIONED.test(pathname)) event.respondWith(file(request, pathname));
});

const shelf = () => caches.open(SHELF);
const kept = async (path) => (await shelf()).match(path, { ignoreVary: true });

/** From the network. It takes the place of the page that is kept when all its files are there. */
async function page(event, request) {
  try {
    const fresh = await fetch(request);
    if (fresh.ok) { const next = fresh.clone(); event.waitUntil(shelf().then((cache) => cache.put(NEXT, next))); }
    return fresh;
  } catch (error) {
    const last = await kept(PAGE);
    if (!last) throw error;
    return last;
  }
}

const file = async (request, path) => await kept(path) ?? fetch(request);

addEventListener('message', (event) => event.waitUntil(keep(event.data.files)));

/** Keeps the page that has just been loaded whole, with these files, and drops what was kept of other versions. Where it fails, what was kept before stays. */
async function keep(files) {
  const cache = await shelf(), paths = files.map((url) => new URL(url, location.origin).pathname).filter((path) => VERSIONED.test(path));
  await Promise.all(paths.map(async (path) => { if (!await kept(path)) await put(cache, path, await fetch(path)); }));
  const next = await kept(NEXT) ?? await fetch(PAGE, { cache: 'no-cache' });   // it was loaded before there was a worker
  const text = await next.clone().text();
  if (!paths.every((path) => text.includes(path))) return;   // the server has another version since
  await put(cache, PAGE, next);
  for (const { url } of await cache.keys()) {
    const { pathname, search } = new URL(url);
    if (pathname + search !== PAGE && !paths.includes(pathname)) await cache.delete(url);
  }
}

async function put(cache, path, answer) {
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  await cache.put(path, answer);
}
