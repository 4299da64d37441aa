// lines.mjs: the client programs' line protocol on stdin and stdout; tests/clients/program.rs says what the lines mean.

import { createRequire } from 'node:module';

// A package of the directory that the program is given as its first argument.
export const load = (name) => createRequire(`${process.argv[2]}/`)(name);

export const say = (word, text = '') => process.stdout.write(`${word} ${text}\n`);

// Every line of stdin. (node:readline would end lines at U+2028, too.)
async function* lines() {
  let begun = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const parts = (begun + chunk).split('\n');
    begun = parts.pop();
    yield* parts;
  }
}

// Calls the command of each line with the rest of the line; `open` gets address, headers and subprotocols.
export async function obey(commands) {
  for await (const line of lines()) {
    const [word] = line.split(' ', 1);
    const rest = line.slice(word.length + 1);
    if (word !== 'open') {
      commands[word](rest);
      continue;
    }
    const [url, token, protocols] = rest.split(' ');
    const headers = token === '-' ? {} : { Authorization: `Bearer ${token}` };
    commands.open(url, headers, protocols === '-' ? [] : protocols.split(','));
  }
}
