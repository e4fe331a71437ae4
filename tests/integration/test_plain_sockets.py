"""The blocking sockets of every textbook at the other end."""

from __future__ import annotations

import socket

import trio

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    connect_socket,
    echo,
    read_all,
    start_server,
)
from trio_tcp import codecs


def send_byte_by_byte(port: int, data: bytes) -> bytes:
    """Send one byte per call, half-close, and return the answer."""
    with connect_socket(port) as sock:
        for byte in data:
            sock.sendall(bytes([byte]))
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def serve_one_client(listener: socket.socket) -> bytes:
    """Answer what a client sends in pieces of three bytes; return it all."""
    sock, _ = listener.accept()
    received = b""
    with sock:
        while chunk := sock.recv(3):
            received += chunk
            sock.sendall(chunk)
    return received


async def test_a_blocking_client_talks_to_our_server(nursery: trio.Nursery) -> None:
    """However it cuts its bytes, it gets an answer to each message."""
    server = await start_server(nursery, echo, codecs.Lines())
    data = "one\n\ngrüße\n".encode()
    assert await trio.to_thread.run_sync(send_byte_by_byte, server.port, data) == data
    assert server.statistics().messages_received == 3


async def test_our_client_talks_to_a_blocking_server() -> None:
    """Each message is answered before the next one, and none is cut differently."""
    messages = ["one", "", "grüße", "x" * 1000]
    received: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as listener:

        async def serve() -> None:
            received.append(await trio.to_thread.run_sync(serve_one_client, listener))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            port: int = listener.getsockname()[1]
            async with trio_tcp.connect_tcp(
                LOOPBACK, port, codec=codecs.Lines(newline="\r\n")
            ) as connection:
                for message in messages:
                    await connection.send(message)
                    assert await connection.receive() == message
    assert received == ["".join(f"{message}\r\n" for message in messages).encode()]


async def test_many_blocking_clients_talk_at_the_same_time(
    nursery: trio.Nursery,
) -> None:
    """One of them stays half-way in a message, and keeps none from being served."""
    server = await start_server(nursery, echo, codecs.LengthPrefixed())
    with connect_socket(server.port) as silent:
        silent.sendall(b"\0\0")
        async with trio.open_nursery() as clients:
            for number in range(10):
                clients.start_soon(exchange_in_a_thread, server.port, number)


async def exchange_in_a_thread(port: int, number: int) -> None:
    """Have a blocking client talk, and check what it gets."""
    data = b"".join(
        codecs.LengthPrefixed().encode(b"%d" % number * size) for size in range(50)
    )
    assert await trio.to_thread.run_sync(send_byte_by_byte, port, data) == data
