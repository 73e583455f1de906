"""The TLS settings of all connections."""

import os
import ssl
from functools import cache

import certifi

from clickpost_async.errors import FailureKind, NotSentError

# Not every OSError: a process out of file descriptors may have one later.
_UNREADABLE = (
    ssl.SSLError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


@cache
def verifying_context() -> ssl.SSLContext:
    """Return the TLS settings for every connection: TLS 1.2 and up, certificates checked.

    The environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name trusted authorities that
    replace certifi's. Raises `NotSentError` if they cannot be read.
    """
    # Not create_default_context(), which writes session keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    file = os.environ.get("SSL_CERT_FILE") or None
    directory = os.environ.get("SSL_CERT_DIR") or None
    try:
        if file is None and directory is None:
            file = certifi.where()
        context.load_verify_locations(file, directory)
    except _UNREADABLE as error:
        message = (
            f"the certificates in {file or directory} cannot be read:"
            f" {error.strerror or type(error).__name__}; correct SSL_CERT_FILE and SSL_CERT_DIR"
        )
        kind = FailureKind.NOT_SENDABLE
        raise NotSentError(message, transient=False, kind=kind) from None
    return context
