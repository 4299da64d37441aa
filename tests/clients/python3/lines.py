"""The client programs' line protocol on stdin and stdout; tests/clients/program.rs says what the lines mean."""

import asyncio
import sys


def say(word, text=""):
    """Prints one line."""
    sys.stdout.write(f"{word} {text}\n")
    sys.stdout.flush()


def split(line):
    """The first word of a line and the rest."""
    word, _, rest = line.rstrip("\n").partition(" ")
    return word, rest


def opening(rest):
    """Address, `Authorization` header or None, and subprotocols of an `open` line."""
    url, token, protocols = rest.split(" ")
    return url, None if token == "-" else f"Bearer {token}", [] if protocols == "-" else protocols.split(",")


async def lines():
    """Every line of stdin, as word and rest."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield split(line)
