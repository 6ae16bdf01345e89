"""The CA certificates that an event loop trusts, read again whenever their file changes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any

import certifi

from airflow_provider_datafold.client import errand, failure

_contexts: dict[bool | str, tuple[Any, ssl.SSLContext]] = {}
"""For each way to verify the last one that was made, and the state of its files then."""


async def context(verify: bool | str) -> ssl.SSLContext:
    """Return the TLS context for new connections: the same one until its files change.

    :param verify: as in :class:`~airflow_provider_datafold.connection.settings.Settings`.
    :raises DatafoldConfigurationError: the files cannot be read, or are not certificates.
    :raises DatafoldUnreachableError: no thread could be started.
    """
    try:
        # Before they are read: a change meanwhile is noticed the next time.
        state = _state_of(_path(verify))
        known, found = _contexts.get(verify, (None, None))
        if found is None or known != state:
            # Takes tens of milliseconds.
            found = await errand.run(("CA", verify, state), partial(_make_context, verify))
            _contexts[verify] = (state, found)
        return found
    except OSError:
        pass
    raise failure.ca_bundle()


def _path(verify: bool | str) -> str | None:
    if verify is False:
        return None
    return certifi.where() if verify is True else verify


def _state_of(path: str | None) -> Any:
    """Return what is another value as soon as the certificates at a path are others."""
    if path is None:
        return None
    if not os.path.isdir(path):
        return _state(os.stat(path))
    with os.scandir(path) as entries:
        # Some of them may lead nowhere.
        return tuple(sorted((entry.name, *_states(entry)) for entry in entries))


def _states(entry: os.DirEntry[str]) -> Iterable[Any]:
    try:
        return _state(os.stat(entry.path))
    except OSError:
        return ()


def _state(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _make_context(verify: bool | str) -> ssl.SSLContext:
    path = _path(verify)
    is_folder = path is not None and os.path.isdir(path)
    made = ssl.create_default_context(
        cafile=None if is_folder else path, capath=path if is_folder else None
    )
    if verify is False:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    return made
