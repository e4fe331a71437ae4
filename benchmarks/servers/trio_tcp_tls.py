# lab: trio_tcp for=tls
"""Framed echo over TLS, with a certificate that is made now."""

import ssl
import sys

import trustme

import trio_tcp
from trio_tcp import codecs


async def echo(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
identity = trustme.CA().issue_cert("localhost")
with identity.private_key_and_cert_chain_pem.tempfile() as path:
    context.load_cert_chain(path)

trio_tcp.run_server(
    echo,
    int(sys.argv[1]),
    host="127.0.0.1",
    codec=codecs.LengthPrefixed(),
    tls=context,
)
