"""The echo pair of every textbook, on blocking sockets, to compare with trio_tcp.

    python examples/plain_sockets.py server [PORT]
    python examples/plain_sockets.py client [PORT]

Each end speaks to ours as well: this client to echo_server.py, echo_client.py to this
server. Watch the segments that the comments name with ``tcpdump -i lo port 8888``.

What is missing here is what trio_tcp is for: a second client waits until the first has
gone, a silent one blocks everybody, one that resets its connection ends the server.
"""

import argparse
import socket
from collections.abc import Iterator
from contextlib import suppress

MAX_LINE_BYTES = 64 << 10


def read_lines(sock: socket.socket) -> Iterator[bytes]:
    """Cut the stream of bytes into lines: TCP itself knows no messages.

    What one `sendall` sends may come out of several `recv`, and several out of one.
    """
    unread = b""
    while True:
        line, newline, rest = unread.partition(b"\n")
        if newline:
            unread = rest
            yield line
        elif len(unread) > MAX_LINE_BYTES:
            raise ValueError("the peer never ends its line")
        # Waits for a data segment, which the kernel acknowledges on its own (ACK).
        # Empty: the peer's FIN is here, and everything before it has been read.
        elif chunk := sock.recv(4096):
            unread += chunk
        else:
            return


def serve(port: int) -> None:
    """Echo lines, one client after the other."""
    # No segment for any of the three: the kernel just begins to answer SYNs.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Else bind fails for a minute after the last run: see TIME_WAIT below.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(16)  # so many may wait, fully connected, to be accepted
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    while True:
        # No segment either: the handshake is over, this takes its result out of the
        # queue. The client may even have sent its first line by now.
        sock, (host, client_port) = listener.accept()
        print(f"{host}:{client_port} is here", flush=True)
        with sock:
            for line in read_lines(sock):
                # One data segment or more. It waits while the peer's window and our
                # send buffer are full; `send` would return with a part of it sent.
                sock.sendall(line + b"\n")
        # Third and fourth of the close: our FIN, and the ACK of it. (Had we left bytes
        # of the peer unread, RST, and the last reply might be lost.)
        print(f"{host}:{client_port} has gone", flush=True)


def talk(port: int) -> None:
    """Send two lines, and print what comes back."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # The handshake: our SYN; the server's SYN+ACK, at which this returns; our ACK.
    # No answer: SYN again after 1, 2, 4, … s. RST for an answer: connection refused.
    sock.connect(("127.0.0.1", port))
    with sock:
        sock.sendall(b"hello\nhow are you?\n")
        # The first half of the close: our FIN, and the server's ACK of it. We send no
        # more, and still receive: the server sees the end only after all lines.
        sock.shutdown(socket.SHUT_WR)
        for line in read_lines(sock):  # until the server's FIN, which we acknowledge
            print(line.decode(), flush=True)
    # No segment: both directions are closed already. Without the shutdown this would
    # be our FIN. Whoever sent the first FIN stays in TIME_WAIT for a minute, so that
    # late segments of this connection reach no new one on the same ports.


def main() -> None:
    """Be one of the two ends."""
    parser = argparse.ArgumentParser(description="Echo over blocking sockets.")
    parser.add_argument("end", choices=["server", "client"])
    parser.add_argument("port", nargs="?", type=int, default=8888)
    args = parser.parse_args()
    # After Ctrl-C the kernel closes what is open, as for any process that ends.
    with suppress(KeyboardInterrupt):
        serve(args.port) if args.end == "server" else talk(args.port)


if __name__ == "__main__":
    main()
