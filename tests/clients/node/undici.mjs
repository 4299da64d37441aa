// undici.mjs: a client program on the npm package `undici`, whose WebSocket is the one of browsers and of Node.js itself, with headers.

import { load, obey, say } from './lines.mjs';

const { Agent, WebSocket, buildConnector } = load('undici');
const connect = buildConnector({});
let socket;
let stream;

// The standard's WebSocket cannot break its connection off, so that the stream below it is kept.
const dispatcher = new Agent({
  connect(options, done) {
    connect(options, (error, connected) => {
      stream = connected;
      done(error, connected);
    });
  },
});

await obey({
  open(url, headers, protocols) {
    let opened = false;
    socket = new WebSocket(url, { protocols, headers, dispatcher });
    socket.addEventListener('open', () => {
      opened = true;
      say('open', socket.protocol || '-');
    });
    socket.addEventListener('message', ({ data }) => say('text', data));
    socket.addEventListener('close', ({ code, reason }) => {
      if (opened) say('closed', `${code} ${reason}`);
      else say('failed', `code ${code}`);
    });
  },
  send: (text) => socket.send(text),
  cut: () => stream.destroy(),
  close: () => socket.close(1000),
});
