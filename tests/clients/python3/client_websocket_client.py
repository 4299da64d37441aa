"""A client program on the Python library `websocket-client`."""

import sys
import threading

import websocket

from lines import opening, say, split


def read(socket):
    try:
        while True:
            opcode, data = socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_TEXT:
                say("text", data.decode())
            elif opcode == websocket.ABNF.OPCODE_CLOSE:
                code = int.from_bytes(data[:2], "big") if data else 1005
                say("closed", f"{code} {data[2:].decode()}")
                socket.shutdown()
                return
    except (websocket.WebSocketException, OSError):
        say("closed", "1006 ")


def main():
    socket = reader = None
    for line in sys.stdin:
        word, rest = split(line)
        if word == "open":
            url, authorization, protocols = opening(rest)
            header = [f"Authorization: {authorization}"] if authorization else []
            try:
                # The library would send an Origin of its own making, which a browser's page alone needs.
                socket = websocket.create_connection(url, header=header, subprotocols=protocols, suppress_origin=True)
            except (websocket.WebSocketException, OSError) as why:
                say("failed", repr(why))
                continue
            say("open", socket.getsubprotocol() or "-")
            reader = threading.Thread(target=read, args=(socket,))
            reader.start()
        elif word == "send":
            socket.send(rest)
        elif word == "cut":
            # Closing the socket alone would not wake the thread that reads.
            socket.abort()
            reader.join()
            socket.shutdown()
        elif word == "close":
            socket.send_close(1000)
            reader.join()


main()
