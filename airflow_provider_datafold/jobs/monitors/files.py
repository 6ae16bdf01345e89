"""Monitors as code: find the files, read them, render their templates."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from glob import escape, glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.monitors import yaml_text
from airflow_provider_datafold.jobs.monitors.problems import Problems
from airflow_provider_datafold.redaction.secret import Secret

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.redaction.redactor import Redactor

Render = Callable[[str], str]
"""Renders a file as a template."""


class _File(Protocol):
    def read_bytes(self) -> bytes: ...


def read_documents(
    hook: JobHook,
    files: Any,
    spec: Any,
    problems: Problems,
    *,
    folders: Sequence[str],
    render: Render,
) -> list[tuple[str, Any]]:
    """Read what the two arguments name: exactly one of them is given.

    Of the folders, the first one that has a file counts. Returned is what errors call each
    document, and its value.
    """
    redactor = hook.redactor()
    files, spec = fields.undo_none(files), fields.undo_none(spec)
    if (files is None) == (spec is None):
        raise DatafoldInputError(
            "files, spec: exactly one of them must be given. Nothing was sent."
        )
    if spec is not None:
        with problems.collected():
            return [("spec", hook.checked(_spec, spec))]
        return []
    found: dict[str, tuple[str, _File]] = {}
    for pattern in _patterns(files):
        with problems.collected():
            # Two patterns may name the same file.
            found |= {key: (name, file) for key, name, file in _find(pattern, folders)}
    documents = []
    for name, file in found.values():
        with problems.collected():
            text = Secret(_rendered(name, file, render, redactor))
            documents.append((name, _read(hook, name, text)))
    return documents


def _read(hook: JobHook, name: str, text: Secret) -> Any:
    return hook.checked(lambda content: yaml_text.read(name, Secret(content)), text.reveal())


def _spec(spec: Any) -> Any:
    if not isinstance(spec, str):
        return spec
    if spec.lstrip().startswith("{'"):
        # A dictionary that Airflow has rendered, in which null is None. YAML can read most of it.
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return ast.literal_eval(spec.strip())
    return yaml_text.read("spec", Secret(spec))


def _patterns(files: Any) -> list[str]:
    if isinstance(files, str) and files.lstrip().startswith("["):
        files = fields.literal(files)  # A list that Airflow has rendered, or a glob.
    is_one = isinstance(files, str) or _is_path(files)
    patterns = [files] if is_one else fields.sequence("files", files)
    if not patterns:
        raise DatafoldInputError("files: is empty. Nothing was sent.")
    return [
        fields.name(f"files[{index}]", str(pattern) if _is_path(pattern) else pattern)
        for index, pattern in enumerate(patterns)
    ]


def _is_path(value: Any) -> bool:
    # ObjectStoragePath has no base class in common with Path.
    return hasattr(value, "read_bytes")


def _find(pattern: str, folders: Sequence[str]) -> Iterator[tuple[str, str, _File]]:
    """Find files, each with a key that no other file has, and what errors call it."""
    found = list(_remote(pattern) if "://" in pattern else _local(pattern, folders))
    if found:
        yield from found
        return
    shown = f"files: {_shown(pattern)!r}"
    place = "" if "://" in pattern or os.path.isabs(pattern) else f" in {' or '.join(folders)}"
    if any(os.path.isdir(os.path.join(folder, pattern)) for folder in folders):
        raise DatafoldInputError(f"{shown}: is a folder. Name its files, e.g. with '*.yaml'.")
    raise DatafoldInputError(f"{shown}: there is no such file{place}.")


def _local(pattern: str, folders: Sequence[str]) -> Iterator[tuple[str, str, _File]]:
    for folder in folders:
        paths = [os.path.join(folder, pattern)]
        if has_magic(pattern) and not os.path.isfile(paths[0]):
            paths = sorted(glob(os.path.join(escape(folder), pattern), recursive=True))
        # With links that lead nowhere: to leave one out may delete its monitors.
        files = [path for path in paths if os.path.lexists(path) and not os.path.isdir(path)]
        for path in files:
            name = path if os.path.isabs(pattern) else os.path.relpath(path, folder)
            yield os.path.realpath(path), name, Path(path)
        if files:
            return


def _remote(url: str) -> Iterator[tuple[str, str, _File]]:
    # Slow to import, and needed only for URLs.
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    # A question mark is not magic here: it begins the query of a URL.
    folder = url.partition("*")[0].rpartition("/")[0]
    if "*" in url:
        paths = sorted(ObjectStoragePath(folder).glob(url[len(folder) + 1 :]), key=str)
    else:
        paths = [ObjectStoragePath(url)]
    for path in paths:
        if path.is_file():
            yield str(path), _shown(str(path)), path


def _shown(pattern: str) -> str:
    """Return a path, or a URL without what may be a secret in it."""
    if "://" not in pattern:
        return pattern
    parts = urlsplit(pattern)
    user, _, host = parts.netloc.rpartition("@")
    # A user without a password is the id of a connection.
    netloc = f"***@{host}" if ":" in user else parts.netloc
    return parts._replace(netloc=netloc, query="***" if parts.query else "").geturl()


def _rendered(name: str, file: _File, render: Render, redactor: Redactor) -> str:
    try:
        content = Secret(file.read_bytes())
    except OSError as error:
        raise DatafoldInputError(f"{name}: cannot be read ({type(error).__name__}).") from None
    try:
        return render(content.reveal().decode("utf-8-sig"))
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    # Also whatever a macro raises.
    except Exception as error:
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        reason = (
            f"its template cannot be rendered{place}: {type(error).__name__}: "
            f"{redactor.excerpt(str(error))}"
        )
    # Not raised in the handlers, because frames there show the file.
    raise DatafoldInputError(f"{name}: {reason}.")
