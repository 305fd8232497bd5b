"""Node's codes for the errors of TLS.

``ssl.SSLError`` has the name of OpenSSL's reason, and ``ssl.SSLCertVerificationError`` the number
of what is wrong with a certificate; nothing of :mod:`ssl` is needed to translate them. The
interpreter tells of one error only, where OpenSSL has several.
"""

from __future__ import annotations

from typing import Any

from ..errors import printable

__all__ = ["annotate_tls", "tls_code"]

# The numbers of OpenSSL's <openssl/x509_vfy.h>, with the names of Node's documentation, *X509
# certificate error codes*; where Node has none, OpenSSL's own without its X509_V_ERR_.
_VERIFY_CODES = {
    2: "UNABLE_TO_GET_ISSUER_CERT",
    3: "UNABLE_TO_GET_CRL",
    4: "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
    5: "UNABLE_TO_DECRYPT_CRL_SIGNATURE",
    6: "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
    7: "CERT_SIGNATURE_FAILURE",
    8: "CRL_SIGNATURE_FAILURE",
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    11: "CRL_NOT_YET_VALID",
    12: "CRL_HAS_EXPIRED",
    13: "ERROR_IN_CERT_NOT_BEFORE_FIELD",
    14: "ERROR_IN_CERT_NOT_AFTER_FIELD",
    15: "ERROR_IN_CRL_LAST_UPDATE_FIELD",
    16: "ERROR_IN_CRL_NEXT_UPDATE_FIELD",
    17: "OUT_OF_MEM",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    22: "CERT_CHAIN_TOO_LONG",
    23: "CERT_REVOKED",
    24: "INVALID_CA",
    25: "PATH_LENGTH_EXCEEDED",
    26: "INVALID_PURPOSE",
    27: "CERT_UNTRUSTED",
    28: "CERT_REJECTED",
    62: "ERR_TLS_CERT_ALTNAME_INVALID",  # The host's name
    63: "ERR_TLS_CERT_ALTNAME_INVALID",  # an address of mail
    64: "ERR_TLS_CERT_ALTNAME_INVALID",  # an IP address
    66: "EE_KEY_TOO_SMALL",
    67: "CA_KEY_TOO_SMALL",
    68: "CA_MD_TOO_WEAK",
}


def tls_code(exc: BaseException) -> str:
    """Node's ``code`` for an error of :mod:`ssl`.

    :param exc: an :class:`ssl.SSLError`.
    :returns: for example ``"CERT_HAS_EXPIRED"`` or ``"ERR_SSL_WRONG_VERSION_NUMBER"``.
    """
    number = getattr(exc, "verify_code", None)
    if number:
        return _VERIFY_CODES.get(number, f"ERR_TLS_CERT_{number}")
    reason = getattr(exc, "reason", None)
    if type(exc).__name__ == "SSLEOFError":
        # By whatever name the versions of the interpreter have it.
        reason = "UNEXPECTED_EOF_WHILE_READING"
    return f"ERR_SSL_{reason}" if isinstance(reason, str) else "ERR_SSL_SSL_ERROR"


def annotate_tls(exc: OSError, address: str | None = None, port: int | None = None) -> OSError:
    """Add ``code`` and the peer's address to an error of :mod:`ssl`, and to its message.

    :param exc: an :class:`ssl.SSLError`; it is changed in place, its class stays.
    :param address: the peer's address or path.
    :param port: its port, or ``None`` for a path.
    :returns: ``exc`` itself.
    """
    fields: Any = exc
    if not isinstance(getattr(exc, "code", None), str):
        fields.code = tls_code(exc)
    if address is not None and not hasattr(exc, "address"):
        place = printable(address)
        fields.address = address
        if port is not None:
            fields.port = port
            place += f":{port}"
        # OpenSSL's text names the line of the interpreter's source, which is left as it is.
        message = f"{exc.strerror} - {place}"
        exc.args = (exc.errno, message)
        exc.strerror = message
    return exc
