"""TLS, where it costs the server much and the attacker little."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.integration.attacks._attack import Attack, Service, Visit, reset

__all__ = ["ATTACKS", "Records"]

BATCH: Final = 500
"""Records that are made, and sent, at a time."""


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Records:
    """A client's TLS records, made by hand: Python's TLS makes no KeyUpdates.

    Args:
        log: `ssl.SSLContext.keylog_filename` of the client, which has sent nothing but
            its handshake, with TLS_AES_256_GCM_SHA384.
    """

    def __init__(self, log: Path) -> None:
        [self._secret] = [
            bytes.fromhex(line.split()[2])
            for line in log.read_text(encoding="ascii").splitlines()
            if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")
        ]
        self._number = 0

    def key_update(self, *, asks: bool = True) -> bytes:
        """Make a KeyUpdate, which may ask for one in return (RFC 8446, 4.6.3)."""
        record = self._record(b"\x18\0\0\1" + bytes([asks]), b"\x16")
        self._secret = self._expand("traffic upd", 48)  # 7.2
        self._number = 0
        return record

    def data(self, plaintext: bytes) -> bytes:
        """Make a record with data."""
        return self._record(plaintext, b"\x17")

    def _record(self, content: bytes, kind: bytes) -> bytes:
        cipher, iv = AESGCM(self._expand("key", 32)), self._expand("iv", 12)
        nonce = (int.from_bytes(iv, "big") ^ self._number).to_bytes(12, "big")
        self._number += 1
        head = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2, "big")
        return head + cipher.encrypt(nonce, content + kind, head)

    def _expand(self, label: str, size: int) -> bytes:
        """HKDF-Expand-Label (7.1)."""
        name = b"tls13 " + label.encode()
        info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
        return HKDFExpand(SHA384(), size, info).derive(self._secret)


def _key_updates(records: Records) -> Iterator[bytes]:
    while True:
        yield b"".join(records.key_update() for _ in range(BATCH))


async def ask_for_new_keys(visit: Visit) -> None:
    """Ask for new keys, again and again; half of the attackers read the answers."""
    with TemporaryDirectory() as folder:
        log = Path(folder, "keys")
        context = _context()
        context.keylog_filename = str(log)
        await _shake_hands(visit.stream, context)
        batches = _key_updates(Records(log))
    if visit.number % 2:
        await visit.pour(batches)
    else:
        for batch in batches:
            await visit.stream.send_all(batch)


async def _shake_hands(stream: trio.SocketStream, context: ssl.SSLContext) -> None:
    """Do the handshake and no more, so that the stream is free again."""
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent)
    while True:
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            await stream.send_all(sent.read())
            received.write(await stream.receive_some())
        else:
            await stream.send_all(sent.read())
            return


async def shake_hands_and_go(visit: Visit) -> None:
    """Make the server do a handshake, for nothing."""
    await _shake_hands(visit.stream, CONTEXT)
    reset(visit.stream)


CONTEXT: Final = _context()

ATTACKS: Final = [
    Attack(
        name="KeyUpdates without end, their answers read or not",
        misbehave=ask_for_new_keys,
        ends=("reset (ConnectionBroken)",),
        growth=30,
        services=(Service(tls=True),),
        crowd=10,
    ),
    Attack(
        name="TLS handshakes for nothing",
        misbehave=shake_hands_and_go,
        ends=("reset (ConnectionBroken)", "TLS (TlsHandshakeError)"),
        growth=30,
        services=(Service(tls=True),),
        crowd=20,
    ),
]
