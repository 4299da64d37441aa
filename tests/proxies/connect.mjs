// A client of HTTP/2: asks for /health, says whether the server offers WebSockets over HTTP/2 (RFC 8441), and opens one if it does.
// Arguments: the server's address, the certificate of its authority (PEM), a bearer token. Prints one JSON object.

import { connect } from "node:http2";

const [url, ca, token] = process.argv.slice(2);
const session = connect(url, { ca });
const told = {};

const whole = (stream) =>
  new Promise((resolve, reject) => {
    stream.on("response", (headers) => resolve(headers[":status"]));
    stream.on("error", reject);
  });

const settings = new Promise((resolve) => session.once("remoteSettings", resolve));
const health = session.request({ ":path": "/health" });
health.resume();
told.health = await whole(health);
told.protocol = session.alpnProtocol;
told.offered = (await settings).enableConnectProtocol === true;
if (told.offered) {
  const socket = session.request(
    {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": "/ws",
      "sec-websocket-version": "13",
      authorization: `Bearer ${token}`,
    },
    { endStream: false },
  );
  const first = new Promise((resolve) => socket.once("data", (bytes) => resolve(bytes.toString("latin1"))));
  told.status = await whole(socket);
  if (told.status === 200) {
    told.first = await first;
  }
}
console.log(JSON.stringify(told));
session.destroy();
process.exit(0);
