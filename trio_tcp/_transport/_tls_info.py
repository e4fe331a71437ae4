"""What TLS has agreed on, as a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["TlsInfo"]


@attrs.frozen(kw_only=True)
class TlsInfo:
    """What TLS has agreed on with the peer.

    Attributes:
        version: of the protocol, as in ``"TLSv1.3"``.
        cipher: the suite's name, as in ``"TLS_AES_256_GCM_SHA384"``.
        alpn: the protocol that ALPN (RFC 7301) chose, if it chose one.
        server_name: the name of the server: the one that a client has asked for (RFC
            6066, section 3), if it did; in a client, its ``server_hostname``. Whoever
            connects may ask for anything: it is no proof.
        peer_certificate: as `ssl.SSLSocket.getpeercert` decodes it; None if the peer
            has none, or if it was not verified.
        peer_certificate_der: the same, or the unverified one, as it was sent.
    """

    version: str
    cipher: str
    alpn: str | None
    server_name: str | None
    peer_certificate: Mapping[str, Any] | None
    peer_certificate_der: bytes | None
