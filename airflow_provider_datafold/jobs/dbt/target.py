"""Pack the files that dbt wrote, from the worker's disk or from a bucket, for Datafold."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.jobs.dbt.place import (
    display,
    input_error,
    is_url,
    object_at,
    secrets_in,
    unreadable,
)
from airflow_provider_datafold.redaction.redactor import mask

MANIFEST = "manifest.json"

MOST_BYTES = 1024 * 1024 * 1024
"""Of all files, before they are packed."""

MOST_FILES = 50_000

_NO_MANIFEST = (
    f"has no {MANIFEST}. It must be the folder into which dbt writes: 'target' in the project, "
    f"unless dbt's target-path says otherwise"
)
_TOO_LARGE = (
    f"has more than {MOST_BYTES // 1024**2} MB. Choose the files that Datafold needs with 'include'"
)

_BLOCK = 1024 * 1024
_LOCAL = re.compile(r"(?:file|local)://", re.IGNORECASE)
"""Schemes of the worker's own files: a URL, too, may lead to a link."""

Files = Mapping[str, Callable[[], Any]]
"""How to open each file, by its path in the folder."""


@contextmanager
def packed(field: str, place: str, include: Sequence[str] | None) -> Iterator[IO[bytes]]:
    """Pack a target folder into an archive, which takes no memory and is gone afterwards."""
    mask(secrets_in(place))
    files = _chosen(field, place, include)
    with tempfile.TemporaryFile() as archive:
        _pack(field, place, files, archive)
        yield archive


def _chosen(field: str, place: str, include: Sequence[str] | None) -> Files:
    files: Files = _attempted(field, place, lambda: _files(field, place))
    if MANIFEST not in files:
        raise input_error(field, place, _NO_MANIFEST)
    if include is None:
        return files
    for pattern in include:
        if not any(fnmatchcase(name, pattern) for name in files):
            raise input_error("include", pattern, f"fits no file in {field}")
    chosen = {
        name: opener
        for name, opener in files.items()
        if any(fnmatchcase(name, pattern) for pattern in include)
    }
    if MANIFEST not in chosen:
        raise input_error("include", ", ".join(include), f"leaves out {MANIFEST}")
    return chosen


def _files(field: str, place: str) -> Files:
    found: dict[str, Callable[[], Any]] = {}
    for name, opener in _listed(field, place):
        found[name] = opener
        if len(found) > MOST_FILES:
            raise input_error(field, place, f"has more than {MOST_FILES} files")
    return found


def _listed(field: str, place: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    if is_url(place) and not _LOCAL.match(place):
        yield from _objects(field, place)
        return
    root = Path(_LOCAL.sub("", place, count=1)).expanduser().resolve()
    for folder, folders, names in os.walk(root, onerror=_raise):
        for name in sorted([*folders, *names]):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not Path(os.path.realpath(path)).is_relative_to(root):
                raise input_error(
                    field, place, f"has a link that leads out of it ({_printable(relative)})"
                )
            if _attempted(field, _inside(place, relative), partial(_is_regular, path)):
                yield relative, partial(path.open, "rb")


def _is_regular(path: Path) -> bool:
    """Whether a path is a file, and not e.g. a folder or a pipe, which would never end."""
    try:
        return S_ISREG(path.stat().st_mode)
    except FileNotFoundError:  # A link that leads nowhere.
        return False


def _objects(field: str, place: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    root = object_at(place)
    start = root.path.rstrip("/") + "/"
    for found in root.fs.find(root.path):
        relative = found.removeprefix(start)
        # The keys of a bucket may be any text.
        if relative.startswith("/") or {"", ".", ".."} & {*relative.split("/")}:
            raise input_error(field, place, f"has a file whose path leads out of it ({relative})")
        yield relative, partial(root.fs.open, found, "rb")


def _pack(field: str, place: str, files: Files, archive: IO[bytes]) -> None:
    left = MOST_BYTES
    with ZipFile(archive, "w") as packing:
        for name, opener in files.items():
            entry = ZipInfo(name)
            entry.compress_type = ZIP_DEFLATED
            opening = partial(packing.open, entry, "w")
            within = _inside(place, name)
            with (
                # Its name may be one that no archive can have.
                _attempted(field, within, opening) as into,
                _attempted(field, within, opener) as file,
            ):
                while block := _attempted(field, within, partial(file.read, _BLOCK)):
                    into.write(block)
                    left -= len(block)
                    if left < 0:
                        raise input_error(field, place, _TOO_LARGE)


def _inside(place: str, name: str) -> str:
    return f"{display(place).rstrip('/')}/{_printable(name)}"


def _printable(name: str) -> str:
    """Return a name that may not be UTF-8 as one that a log can have."""
    return name.encode(errors="backslashreplace").decode()


def _attempted(field: str, place: str, read: Callable[[], Any]) -> Any:
    """Read something, whatever errors a kind of bucket has."""
    try:
        return read()
    except DatafoldError:
        raise
    except Exception as error:
        failure = unreadable(field, place, error)
    # Not raised in the handler, because the replaced error may quote the URL.
    raise failure


def _raise(error: OSError) -> None:
    raise error
