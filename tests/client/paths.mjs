// paths.mjs: lets Node load the page's modules by the paths that browsers load them from. `node --import ./tests/client/paths.mjs`.

import { register } from 'node:module';

const folder = new URL('../../static/', import.meta.url).href;
const hook = `
  export function resolve(name, context, next) {
    const file = /^(?:\\/|\\.\\/|\\/static\\/)([a-z]+\\.js)$/.exec(name)?.[1];
    return file ? { url: ${JSON.stringify(folder)} + file, format: 'module', shortCircuit: true } : next(name, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
