"""A header with a checksum: CRC32c, over all of it, wherever it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proxy_protocol.headers import bit_by_bit, decode, tlv, with_checksum
from trio_tcp import InvalidFrameError
from trio_tcp._proxy_header import _crc32c


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        # Known from RFC 3720, appendix B.4, and from every catalogue of checksums.
        pytest.param(b"123456789", 0xE3069283, id="digits"),
        pytest.param(bytes(32), 0x8A9136AA, id="zeros"),
        pytest.param(b"\xff" * 32, 0x62A8AB43, id="ones"),
        pytest.param(bytes(range(32)), 0x46DD794E, id="counting up"),
    ],
)
def test_the_checksum_is_that_of_iscsi(data: bytes, crc: int) -> None:
    assert _crc32c(data) == bit_by_bit(data) == crc


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_checksum_may_stand_anywhere_among_the_tlvs(
    before: bytes, behind: bytes
) -> None:
    stream = with_checksum(tlv(5, before), tlv(0xE1, behind))
    header, _, error = decode(stream)
    assert error is None
    assert header is not None
    assert [kind for kind, _ in header.tlvs] == [5, 3, 0xE1]


@given(st.data())
def test_no_flipped_bit_gets_past_a_checksum(data: st.DataObject) -> None:
    stream = bytearray(with_checksum(tlv(2, b"name"), tlv(5, b"id")))
    # Behind the command and the family, which may say that nothing is to be read.
    bit = data.draw(st.integers(8 * 16, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    header, _, error = decode(bytes(stream))
    # A type that is flipped leaves no checksum to check.
    if header is None:
        assert isinstance(error, InvalidFrameError)
    else:
        assert all(kind != 3 for kind, _ in header.tlvs)
