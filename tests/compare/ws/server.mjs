// The server beside ours on Node.js: `ws` as its documentation shows it, a room an address, each message to all in the room.
// node server.mjs DIRECTORY-WITH-NODE_MODULES
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(`${process.argv[2]}/`)("ws");
const rooms = new Map();
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", backlog: 8192, perMessageDeflate: false });

server.on("listening", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
server.on("connection", (socket, request) => {
    if (!rooms.has(request.url)) rooms.set(request.url, new Set());
    const room = rooms.get(request.url);
    room.add(socket);
    socket.on("message", (data) => room.forEach((each) => each.send(data, { binary: false })));
    socket.on("close", () => room.delete(socket));
    socket.on("error", () => room.delete(socket));
});
// It ends with its parent.
process.stdin.resume().on("end", () => process.exit());
