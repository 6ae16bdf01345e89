"""Which proxy and which CAs the worker's environment names: chosen once, for both drivers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit


def ca_bundle(environ: Mapping[str, str]) -> str | None:
    """Find the CA bundle that ``requests`` would use.

    :param environ: the environment.
    :return: a path, ``None`` for none.
    """
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or None


def proxy(base_url: str, environ: Mapping[str, str]) -> str | None:
    """Find the proxy for a URL, as ``requests`` and curl do.

    :param base_url: scheme, host and perhaps port.
    :param environ: the environment: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``,
        in small letters as well, which come first.
    :return: the proxy's URL, ``None`` for a direct connection.
    """
    location = urlsplit(base_url)
    found = _variable(environ, f"{location.scheme}_proxy") or _variable(environ, "all_proxy")
    port = location.port or (443 if location.scheme == "https" else 80)
    if not found or _is_direct((location.hostname or "").rstrip("."), port, environ):
        return None
    return found if "://" in found else f"http://{found}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _is_direct(host: str, port: int, environ: Mapping[str, str]) -> bool:
    names = [name.strip().lower() for name in _variable(environ, "no_proxy").split(",")]
    return any(_covers(name, host, port) for name in names if name)


def _covers(name: str, host: str, port: int) -> bool:
    """Say whether an entry of NO_PROXY is about a host."""
    if name == "*":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name.strip("[]"), strict=False)
    # A dot at the end of a host means no other host.
    wanted = name.strip(".").replace(".:", ":")
    names = (host, f"{host}:{port}", f"[{host}]:{port}")
    return any(found == wanted or found.endswith(f".{wanted}") for found in names)
