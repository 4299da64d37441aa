// ws.mjs: a client program on the npm package `ws`.

import { load, obey, say } from './lines.mjs';

const WebSocket = load('ws');
let socket;

await obey({
  open(url, headers, protocols) {
    let opened = false;
    socket = new WebSocket(url, protocols, { headers });
    socket.on('open', () => {
      opened = true;
      say('open', socket.protocol || '-');
    });
    socket.on('message', (data) => say('text', data));
    socket.on('error', (error) => opened || say('failed', error.message));
    socket.on('close', (code, reason) => opened && say('closed', `${code} ${reason}`));
  },
  send: (text) => socket.send(text),
  cut: () => socket.terminate(),
  close: () => socket.close(1000),
});
