"""Outgoing connections: trusted certificates, and explanations of failures."""

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx

_EXPIRED, _NOT_YET_VALID, _OTHER_HOST = (10,), (9,), (62, 64)
"""OpenSSL's error numbers (`X509_V_ERR_…`)."""
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21, 27)
_CLOCK = "Check this machine's clock; if it is right, the server, or a proxy on the way, needs a new certificate."


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a connection failed, and what to do about it."""

    what: str
    remedy: str


def tls_context(cert_file: str | None = None, cert_dir: str | None = None) -> ssl.SSLContext:
    """Return the context for all connections to Slack and Cloudflare: the system's trust store plus these certificates.

    If Python has no system store, as when installed from python.org on macOS, use the one that comes with httpx. Raises
    OSError if a file cannot be read or contains no certificate.
    """
    context = ssl.create_default_context()
    if cert_file:
        context.load_verify_locations(cafile=cert_file)
    for folder in cert_dir.split(os.pathsep) if cert_dir else ():
        context.load_verify_locations(capath=folder)
    if not cert_file and not cert_dir and not _has_certificates(context):
        return httpx.create_ssl_context(trust_env=False)
    return context


def problem(error: BaseException) -> Problem | None:
    """Return the problem with certificates, TLS or the proxy that caused this error; None for other causes."""
    for each in _chain(error):
        if isinstance(each, aiohttp.ClientConnectorCertificateError):
            continue  # the error from `ssl` in the same chain has the reason
        if isinstance(each, ssl.SSLCertVerificationError):
            return _certificate_problem(each)
        if isinstance(each, aiohttp.ClientConnectorSSLError | ssl.SSLError):
            return Problem("there is no TLS at that address", "Check the address, and whether a proxy is on the way.")
        if isinstance(each, aiohttp.ClientHttpProxyError):
            if each.status == 407:
                return Problem(
                    "the proxy wants a name and a password (407)",
                    "Put them into HTTPS_PROXY: http://name:password@proxy.example.com:3128.",
                )
            return Problem(f"the proxy refuses ({each.status})", "Have the proxy allow this address.")
        if isinstance(each, aiohttp.ClientProxyConnectionError):
            return Problem("the proxy can't be reached", "Check HTTPS_PROXY.")
    return None


def describe(error: BaseException) -> str:
    """Describe what went wrong, for a log: as `problem` explains it, or by the error's name."""
    found = problem(error)
    return found.what if found else type(error).__name__


def _certificate_problem(error: ssl.SSLCertVerificationError) -> Problem:
    if error.verify_code in _EXPIRED:
        return Problem("its certificate has expired", _CLOCK)
    if error.verify_code in _NOT_YET_VALID:
        return Problem("its certificate is not valid yet", _CLOCK)
    if error.verify_code in _OTHER_HOST:
        return Problem("its certificate is for another host", "Check the address, and whether a proxy is on the way.")
    if error.verify_code in _UNKNOWN_ISSUER:
        return Problem(
            "its certificate is from an authority that this machine does not trust",
            "Where your company inspects TLS, add its CA certificate to the system's trust store, or set SSL_CERT_FILE "
            "to a file that has it.",
        )
    return Problem(f"its certificate is not accepted ({error.verify_message})", _CLOCK)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all its causes, including suppressed ones."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting and len(seen) < 20:
        each = waiting.pop()
        if each in seen:
            continue
        seen.append(each)
        yield each
        of_aiohttp = getattr(each, "certificate_error", None)
        waiting += [one for one in (each.__context__, each.__cause__, of_aiohttp) if isinstance(one, BaseException)]


def _has_certificates(context: ssl.SSLContext) -> bool:
    if context.cert_store_stats()["x509_ca"]:
        return True
    folder = ssl.get_default_verify_paths().capath or ""
    return folder != "" and any(Path(folder).iterdir())
