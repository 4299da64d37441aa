"""A client program on the Python library `aiohttp`."""

import asyncio

import aiohttp

from lines import lines, opening, say


async def read(socket):
    """Reads until the end; whether the other side ended the connection."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            say("text", message.data)
    if socket.closed:
        say("closed", f"{socket.close_code or 1006} ")
    return socket.closed


async def main():
    session = socket = reader = None
    async for word, rest in lines():
        if word == "open":
            url, authorization, protocols = opening(rest)
            headers = {"Authorization": authorization} if authorization else {}
            if session:
                await session.close()
            session = aiohttp.ClientSession()
            try:
                socket = await session.ws_connect(url, headers=headers, protocols=protocols)
            except (aiohttp.ClientError, OSError) as why:
                say("failed", repr(why))
                continue
            say("open", socket.protocol or "-")
            reader = asyncio.create_task(read(socket))
        elif word == "send":
            await socket.send_str(rest)
        elif word == "cut":
            await session.close()
            await reader
        elif word == "close":
            # The reader ends at the library's own note that it is closing, before the server's answer is there.
            await socket.close(code=1000)
            if not await reader:
                say("closed", f"{socket.close_code or 1006} ")
    await session.close()


asyncio.run(main())
