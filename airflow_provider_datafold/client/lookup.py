"""Addresses of hosts, looked up for an event loop."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

from airflow_provider_datafold.client import errand

REMEMBERED = 10.0
"""Seconds that addresses are used without another look-up."""

Address = tuple[Any, ...]
"""As :func:`socket.getaddrinfo` returns it."""

_known: dict[tuple[str, int], tuple[float, list[Address]]] = {}


async def addresses(host: str, port: int) -> list[Address]:
    """Look up a host: one look-up for all who wait for it, in a thread of its own.

    :param host: a name or an address.
    :param port: the port.
    :return: its addresses, the best one first.
    :raises OSError: the name has no address, or could not be looked up.
    """
    found = _find(host, port)
    if found is None:
        found = await errand.run(("look-up", host, port), partial(_remember, host, port))
    return found


def _find(host: str, port: int) -> list[Address] | None:
    with suppress(ValueError):
        ip_address(host)
        # Needs no resolver, and so no thread.
        return _look_up(host, port)
    until, found = _known.get((host, port), (0.0, None))
    return found if time.monotonic() < until else None


def _remember(host: str, port: int) -> list[Address]:
    # By the thread itself: nobody may be waiting any more for a slow answer.
    found = _look_up(host, port)
    _known[host, port] = (time.monotonic() + REMEMBERED, found)
    return found


def _look_up(host: str, port: int) -> list[Address]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        # A label of the name is empty or too long.
        raise socket.gaierror(socket.EAI_NONAME, "no such host") from None
