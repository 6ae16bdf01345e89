"""Read and pack files that dbt wrote, on the worker's disk or in a bucket."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldInputError,
    DatafoldTransientError,
)
from airflow_provider_datafold.redaction.redactor import mask
from airflow_provider_datafold.redaction.secret import Secret

_FINAL = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    ValueError,
)
"""What a retry does not change, even if the file is in a bucket."""

_SHORTEST_SIGNATURE = 16
_PASSWORD = re.compile(r"(?<=://)([^/:@]*):(.*)@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def _is_url(place: str) -> bool:
    """Return whether a place is a URL, and not a path on the worker."""
    return "://" in place


def _object_at(place: str) -> Any:
    """Return Airflow's ``ObjectStoragePath`` of a URL."""
    # Slow to import.
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(place)


def _display(place: str) -> str:
    """Return a path or URL without what may be a secret: a query, a password."""
    if not _is_url(place):
        return place
    return _PASSWORD.sub(r"\1:***@", _QUERY.sub("", place))


def _unreadable(field: str, place: str, error: Exception) -> DatafoldError:
    """Return the error for what cannot be read."""
    kind = type(error).__name__
    if not _is_url(place):
        why = getattr(error, "strerror", None) or kind
        found = os.path.abspath(os.path.expanduser(place))
        where = "" if found == place else f" at {found}"
        return _input_error(
            field,
            place,
            f"cannot be read{where} ({why}). A plain path is a file of the worker that runs the "
            f"task; a file in a bucket needs its URL, e.g. s3://aws_default@bucket/manifest.json",
        )
    if isinstance(error, _FINAL):
        return _input_error(
            field,
            place,
            f"cannot be read ({kind}). Check the URL, the Airflow connection that it names, and "
            f"that this Airflow has the provider for its scheme",
        )
    return DatafoldTransientError(
        f"{field}: {_display(place)} cannot be read ({kind}). If that stays, check the URL and the "
        f"Airflow connection that it names. Nothing was sent."
    )


def _input_error(field: str, place: str, what: str) -> DatafoldInputError:
    """Return the error for what can be read, and is of no use."""
    return DatafoldInputError(f"{field}: {_display(place)} {what}. Nothing was sent.")


def _secrets_in(place: str) -> Iterator[Secret]:
    """Find what must not be logged by a library that opens a URL."""
    if not _is_url(place):
        return
    for password in _PASSWORD.finditer(place):
        yield Secret(password[2])
    for query in _QUERY.findall(place):
        parts = re.split("[?#&=]", query)
        yield from (Secret(part) for part in parts if len(part) >= _SHORTEST_SIGNATURE)


LARGEST_FILE = 512 * 1024 * 1024
"""A dbt project of some thousand models has a manifest of 100 MB."""

_OLDEST = {"manifest": 9}
"""The manifest's version of dbt 1.5."""

_SCHEMA = re.compile(r"/dbt/([\w-]+)/v(\d+)\.json$")


def read_artifact(field: str, place: str, kind: str) -> Mapping[str, Any]:
    """Read a file that dbt wrote."""
    content = read_object(field, place)
    schema = _SCHEMA.search(str(metadata(content).get("dbt_schema_version")))
    problem = None
    if schema and schema[1] != kind:
        found, wanted = (f"{each.replace('-', '_')}.json" for each in (schema[1], kind))
        problem = f"is dbt's {found}, not its {wanted}"
    elif schema and int(schema[2]) < (oldest := _OLDEST.get(kind, 0)):
        problem = (
            f"is a {kind} of version {schema[2]}; versions from {oldest} on can be read (dbt 1.5 "
            f"and newer)"
        )
    if problem:
        raise DatafoldInputError(f"{field}: {problem}. Nothing was sent.")
    return content


def metadata(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what dbt says about the run that wrote a file."""
    found = content.get("metadata")
    return found if isinstance(found, Mapping) else {}


def read_object(field: str, place: str) -> Mapping[str, Any]:
    """Read a file that contains a JSON object."""
    content = _read(field, place)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        # Not the error's own text: it may quote the file.
        where = getattr(error, "pos", 0)
    else:
        if isinstance(found, dict):
            return found
        raise _input_error(field, place, "is not a JSON object")
    raise _input_error(
        field,
        place,
        f"is not valid JSON from character {where} on. Perhaps it was not written or copied to its "
        f"end ({len(content)} bytes)",
    )


def read_text(field: str, place: str) -> str:
    """Read a file of text. Its arguments and errors are those of :func:`read_object`."""
    try:
        return _read(field, place).decode("utf-8-sig")
    except UnicodeDecodeError:
        failure = _input_error(field, place, "is not text in UTF-8")
    raise failure


def _read(field: str, place: str) -> bytes:
    mask(_secrets_in(place))
    try:
        path = _object_at(place) if _is_url(place) else Path(place).expanduser()
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except Exception as error:  # Each kind of bucket has errors of its own.
        failure = _unreadable(field, place, error)
    else:
        if len(content) <= LARGEST_FILE:
            return content
        failure = _input_error(field, place, f"has more than {LARGEST_FILE // 1024**2} MB")
    # Not raised in the handler, because the replaced error may quote the URL.
    raise failure


MANIFEST = "manifest.json"

LARGEST_FOLDER = 1024 * 1024 * 1024
"""Of all files, before they are packed."""

MOST_FILES = 50_000

_PROJECT = "dbt_project.yml"

_SECRET = re.compile(r"(^|/)(\.|profiles\.yml$)|\.(key|p8|pem)$", re.IGNORECASE)
"""The names of files that may hold secrets: hidden ones, dbt's profiles and private keys."""

_TARGET = (
    "It must be the folder into which dbt writes: 'target' in the project, unless dbt's "
    "target-path says otherwise"
)
_CHOOSE = "choose files with the argument 'include' of DatafoldUploadDbtArtifactsOperator"
_TOO_LARGE = (
    f"has more than {LARGEST_FOLDER // 1024**2} MB. Choose the files that Datafold needs with "
    f"'include'"
)

_BLOCK = 1024 * 1024
_LOCAL = re.compile(r"(?:file|local)://", re.IGNORECASE)
"""Schemes of the worker's own files: a URL, too, may lead to a link."""

Files = Mapping[str, Callable[[], Any]]
"""How to open each file, by its path in the folder."""


@contextmanager
def packed(field: str, place: str, include: Sequence[str] | None) -> Iterator[IO[bytes]]:
    """Pack a target folder into an archive, which takes no memory and is gone afterwards."""
    mask(_secrets_in(place))
    files = _chosen(field, place, include)
    with tempfile.TemporaryFile() as archive:
        _pack(field, place, files, archive)
        yield archive


def _chosen(field: str, place: str, include: Sequence[str] | None) -> Files:
    files: Files = _attempted(field, place, lambda: _files(field, place))
    if MANIFEST not in files:
        raise _input_error(field, place, f"has no {MANIFEST}. {_TARGET}")
    if include is None:
        for name in files:
            if name.rpartition("/")[2] == _PROJECT:
                what = f"has a dbt project in it ({name}). {_TARGET}; or {_CHOOSE}"
                raise _input_error(field, place, what)
        include = ["*"]
    for pattern in include:
        if not any(fnmatchcase(name, pattern) for name in files):
            raise _input_error("include", pattern, f"fits no file in {field}")
    chosen = {
        name: opener
        for name, opener in files.items()
        if any(fnmatchcase(name, pattern) for pattern in include)
    }
    if MANIFEST not in chosen:
        raise _input_error("include", ", ".join(include), f"leaves out {MANIFEST}")
    _refuse_secrets(field, place, chosen)
    return chosen


def _refuse_secrets(field: str, place: str, names: Iterable[str]) -> None:
    if secret := [_printable(name) for name in names if _SECRET.search(name)]:
        what = (
            f"has files that may hold secrets, which are never uploaded: "
            f"{fields.format_names(secret)}. Move them out of the folder, or {_CHOOSE}"
        )
        raise _input_error(field, place, what)


def _files(field: str, place: str) -> Files:
    found: dict[str, Callable[[], Any]] = {}
    for name, opener in _listed(field, place):
        found[name] = opener
        if len(found) > MOST_FILES:
            raise _input_error(field, place, f"has more than {MOST_FILES} files")
    return found


def _listed(field: str, place: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    if _is_url(place) and not _LOCAL.match(place):
        yield from _objects(field, place)
        return
    root = Path(_LOCAL.sub("", place, count=1)).expanduser().resolve()
    for folder, folders, names in os.walk(root, onerror=_raise):
        for name in sorted([*folders, *names]):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            # A link that leads out is an error only if it is chosen.
            if not Path(os.path.realpath(path)).is_relative_to(root) or _attempted(
                field, _inside(place, relative), partial(_is_regular, path)
            ):
                yield relative, partial(_open, field, place, root, relative)


def _open(field: str, place: str, root: Path, name: str) -> IO[bytes]:
    """Open a file of the worker, unless by now it is a link to what must not be uploaded."""
    real = Path(os.path.realpath(root / name))
    if not real.is_relative_to(root):
        raise _input_error(field, place, f"has a link that leads out of it ({_printable(name)})")
    _refuse_secrets(field, place, [real.relative_to(root).as_posix()])
    return real.open("rb")


def _state(file: IO[bytes]) -> tuple[int, int] | None:
    """Return what differs once something writes to a file, ``None`` for one in a bucket."""
    with suppress(AttributeError, OSError):
        found = os.fstat(file.fileno())
        return found.st_size, found.st_mtime_ns
    return None


def _is_regular(path: Path) -> bool:
    """Whether a path is a file, and not e.g. a folder or a pipe, which would never end."""
    try:
        return S_ISREG(path.stat().st_mode)
    except FileNotFoundError:  # A link that leads nowhere.
        return False


def _objects(field: str, place: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    root = _object_at(place)
    start = root.path.rstrip("/") + "/"
    for found in root.fs.find(root.path):
        relative = found.removeprefix(start)
        # The keys of a bucket may be any text.
        if relative.startswith("/") or {"", ".", ".."} & {*relative.split("/")}:
            raise _input_error(field, place, f"has a file whose path leads out of it ({relative})")
        yield relative, partial(root.fs.open, found, "rb")


def _pack(field: str, place: str, files: Files, archive: IO[bytes]) -> None:
    left = LARGEST_FOLDER
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
                before = _state(file)
                while block := _attempted(field, within, partial(file.read, _BLOCK)):
                    into.write(block)
                    left -= len(block)
                    if left < 0:
                        raise _input_error(field, place, _TOO_LARGE)
                if _state(file) != before:
                    raise DatafoldTransientError(
                        f"{field}: {within} changed while it was read. Upload once dbt has ended. "
                        f"Nothing was sent."
                    )


def _inside(place: str, name: str) -> str:
    return f"{_display(place).rstrip('/')}/{_printable(name)}"


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
        failure = _unreadable(field, place, error)
    # Not raised in the handler, because the replaced error may quote the URL.
    raise failure


def _raise(error: OSError) -> None:
    raise error
