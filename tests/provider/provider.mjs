// provider.mjs: a certified OpenID Connect provider for the tests, on a free port of this machine; ends with its stdin.
// node provider.mjs DIRECTORY SETTINGS: where its package is installed, and clients and lives as JSON.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [directory, settings] = process.argv.slice(2);
const { clients, names = {} } = JSON.parse(settings);
const entry = createRequire(`${directory}/`).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(entry).href);

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const told = { ...names };
const provider = new Provider(issuer, {
  clients,
  pkce: { required: () => true },
  claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
  conformIdTokenClaims: false,
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: told[sub] ?? `Name of ${sub}`, email: `${sub.replaceAll(/\W/g, '')}@provider.test` }),
  }),
});
const answer = provider.callback();
server.on('request', (request, response) => {
  // What the tests change while it runs: somebody's name.
  const renamed = request.url.match(/^\/renamed\/([^/]+)\/([^/]+)$/);
  if (!renamed) return answer(request, response);
  told[decodeURIComponent(renamed[1])] = decodeURIComponent(renamed[2]);
  response.end();
});
process.stdin.resume().on('end', () => process.exit(0));
console.log(`issuer ${issuer}`);
