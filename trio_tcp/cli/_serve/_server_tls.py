"""TLS for a server: from files to a context, and what can be wrong with them."""

from __future__ import annotations

import os
import ssl
import stat
from typing import Final, Literal

import attrs

from trio_tcp.cli._serve._problems import WrongValueError

__all__ = ["ServerTls"]

VERSIONS: Final = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}

NOT_YET_VALID: Final = 9
HAS_EXPIRED: Final = 10
"""``X509_V_ERR_CERT_…`` of OpenSSL (X509_STORE_CTX_get_error(3))."""


@attrs.frozen(kw_only=True)
class ServerTls:
    """The files, and what clients must be capable of.

    Attributes:
        cert: a file with the certificate, and those between it and the authority (PEM).
        key: its key; None if that is in the same file.
        client_ca: a file with the authorities whose certificates clients must have;
            None: they need none.
        alpn: protocols to agree on, the preferred one first (RFC 7301).
        min_version: the oldest of TLS. RFC 8996 forbids those before 1.2.
    """

    cert: str
    key: str | None = None
    client_ca: str | None = None
    alpn: tuple[str, ...] = ()
    min_version: Literal["1.2", "1.3"] = "1.2"

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            WrongValueError: one of them is missing, or is not what it should be, or
                the certificate is not valid now.
        """
        for name in ("cert", "key", "client_ca"):
            self._check_readable(name)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = VERSIONS[self.min_version]
        self._load_certificate(context)
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError:
                wrong = f"{self.client_ca} holds no certificate (PEM)"
                raise WrongValueError(wrong, ("client_ca",)) from None
            context.verify_mode = ssl.CERT_REQUIRED
        if self.alpn:
            try:
                context.set_alpn_protocols(self.alpn)
            except (ssl.SSLError, UnicodeEncodeError):
                wrong = "names are of 1 to 255 characters of ASCII"
                raise WrongValueError(wrong, ("alpn",)) from None
        return context

    def warnings(self) -> list[str]:
        """Say what is dangerous, though it works."""
        key = self.key or self.cert
        mode = os.stat(key).st_mode
        if mode & stat.S_IROTH:
            return [f"everybody on this machine can read the key in {key}: chmod o-r"]
        return []

    def _check_readable(self, name: str) -> None:
        file: str | None = getattr(self, name)
        if file is None:
            return
        try:
            with open(file, "rb") as opened:
                opened.read(1)
        except OSError as error:
            wrong = f"cannot read {file} ({error.strerror})"
            raise WrongValueError(wrong, (name,)) from error

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.cert, self.key, password=_refuse_password)
        except ssl.SSLError as error:
            raise self._fault(error) from error
        found = _verify_error(self.cert, self.key)
        if found is not None and found.verify_code in (NOT_YET_VALID, HAS_EXPIRED):
            raise WrongValueError(f"{self.cert}: {found.verify_message}", ("cert",))

    def _fault(self, error: ssl.SSLError) -> WrongValueError:
        """Say which of the two files OpenSSL does not take, and why."""
        if error.reason == "KEY_VALUES_MISMATCH":
            key = self.key or self.cert
            wrong = f"the key in {key} is not that of the certificate in {self.cert}"
            return WrongValueError(wrong, ("key",) if self.key else ("cert",))
        try:
            ssl.create_default_context(cafile=self.cert)
        except ssl.SSLError:
            wrong = f"{self.cert} holds no certificate (PEM)"
            return WrongValueError(wrong, ("cert",))
        if self.key is None:
            wrong = f"{self.cert} holds no key (PEM); where it is, says 'key'"
            return WrongValueError(wrong, ("cert",))
        if error.reason and error.reason != "PEM_LIB":
            wrong = f"OpenSSL does not take these: {error.reason}"
            return WrongValueError(wrong, ("cert",))
        return WrongValueError(f"{self.key} holds no key (PEM)", ("key",))


def _refuse_password() -> str:
    wrong = "the key is encrypted, and a service has nobody to ask for the password"
    raise WrongValueError(wrong, ("key",))


def _verify_error(cert: str, key: str | None) -> ssl.SSLCertVerificationError | None:
    """Let a client look at the certificate who trusts it: only its dates can be wrong.

    In memory, as `ssl` has no other way to look at a certificate in a file.
    """
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(cert, key, password=_refuse_password)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client_context.load_verify_locations(cert)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error
        except ssl.SSLError:
            return None  # nothing about dates: no client has come so far yet
    return None
