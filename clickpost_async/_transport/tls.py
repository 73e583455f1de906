"""The TLS settings of every connection, whichever library makes it."""

import ssl
from functools import cache

import certifi


@cache
def verified() -> ssl.SSLContext:
    """Return the TLS settings for every connection: TLS 1.2 and up, certificates checked."""
    # Not create_default_context(), which writes the session's keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
