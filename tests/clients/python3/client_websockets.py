"""A client program on the Python library `websockets`."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from lines import lines, opening, say


async def read(socket):
    try:
        while True:
            say("text", await socket.recv())
    except ConnectionClosed as closed:
        received = closed.rcvd
        say("closed", f"{received.code} {received.reason}" if received else "1006 ")


async def main():
    socket = reader = None
    async for word, rest in lines():
        if word == "open":
            url, authorization, protocols = opening(rest)
            headers = {"Authorization": authorization} if authorization else {}
            try:
                socket = await connect(url, additional_headers=headers, subprotocols=protocols or None, proxy=None)
            except (WebSocketException, OSError) as why:
                say("failed", repr(why))
                continue
            say("open", socket.subprotocol or "-")
            reader = asyncio.create_task(read(socket))
        elif word == "send":
            await socket.send(rest)
        elif word == "cut":
            socket.transport.abort()
            await reader
        elif word == "close":
            await socket.close(1000)
            await reader


asyncio.run(main())
