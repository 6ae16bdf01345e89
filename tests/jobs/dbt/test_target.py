"""The archive of a target folder, on the worker and in a bucket."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import fsspec
import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError, DatafoldTransientError
from airflow_provider_datafold.jobs.dbt import target as module
from airflow_provider_datafold.jobs.dbt.target import packed
from airflow_provider_datafold.redaction.secret import Secret
from tests.artifacts import FILES, target, unpacked

BUCKET = "memory://bucket/target"


def pack(place: Any, include: Any = None) -> dict[str, bytes]:
    with packed("target", str(place), include) as archive:
        archive.seek(0)
        return unpacked(archive.read())


@pytest.fixture
def bucket() -> Any:
    """A bucket in memory."""
    try:
        from airflow.sdk.io import attach
    except ImportError:  # Airflow 2
        from airflow.io.store import attach
    files = fsspec.filesystem("memory")
    attach(protocol="memory", fs=files)
    yield files
    files.store.clear()


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_folder_of_the_worker(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = target(tmp_path / "target")
    (folder / "empty").mkdir()
    assert pack(f"{prefix}{folder}") == FILES
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pack("~/target") == FILES


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_of_a_bucket(end: str, bucket: Any) -> None:
    for name, content in FILES.items():
        bucket.pipe(f"/bucket/target/{name}", content)
    bucket.pipe("/bucket/targeted/other.json", b"{}")
    assert pack(BUCKET + end) == FILES


def test_what_is_secret_in_a_url_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: list[str] = []

    def fails(place: str) -> None:
        raise OSError(place)

    monkeypatch.setattr(module, "mask", lambda found: hidden.extend(map(Secret.reveal, found)))
    monkeypatch.setattr(module, "object_at", fails)
    with pytest.raises(DatafoldTransientError) as caught:
        pack("s3://me:planted-password@bucket/target?signature=planted-signature")
    assert hidden == ["planted-password", "planted-signature"]
    assert "planted" not in str(caught.value)
    assert caught.value.__context__ is None


def test_links_to_files_within_the_folder_are_followed(tmp_path: Path) -> None:
    folder = target(tmp_path / "target")
    for name, to in (("copy.json", "manifest.json"), ("broken", "nothing"), ("circle", ".")):
        (folder / name).symlink_to(to)
    os.mkfifo(folder / "pipe")
    # The folder itself may be one.
    (tmp_path / "link").symlink_to("target")
    assert pack(tmp_path / "link") == {**FILES, "copy.json": FILES["manifest.json"]}


@pytest.mark.parametrize("prefix", ["", "file://", "FILE://", "local://"])
@pytest.mark.parametrize("to", ["file", "folder", "nowhere"])
def test_no_link_leads_out(to: str, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("planted")
    folder = f"{prefix}{target(tmp_path / 'target')}"
    (tmp_path / "target" / "compiled" / "x").symlink_to(tmp_path / to)
    with pytest.raises(DatafoldInputError) as caught:
        pack(folder)
    assert str(caught.value) == (
        f"target: {folder} has a link that leads out of it (compiled/x). Nothing was sent."
    )


def test_a_file_that_cannot_be_packed_is_named(tmp_path: Path) -> None:
    folder = target(tmp_path)
    odd = folder / "compiled" / os.fsdecode(b"caf\xe9")
    odd.write_bytes(b"")
    wanted = f"target: {folder}/compiled/caf\\udce9 cannot be read (UnicodeEncodeError)."
    with pytest.raises(DatafoldInputError, match=re.escape(wanted)):
        pack(folder)
    odd.unlink()
    (folder / "itself").symlink_to("itself")
    wanted = f"target: {folder}/itself cannot be read (Too many levels of symbolic links)."
    with pytest.raises(DatafoldInputError, match=re.escape(wanted)):
        pack(folder)


@pytest.mark.parametrize("key", ["../x", "a//x", "/x", "a/./x"])
def test_no_key_leads_out(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Root:
        path = "bucket/target"

        class fs:  # noqa: N801
            find = staticmethod(lambda path: [f"{path}/{key}"])

    monkeypatch.setattr(module, "object_at", lambda place: Root)
    with pytest.raises(DatafoldInputError, match="has a file whose path leads out of it"):
        pack("s3://bucket/target")


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_too_much(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, limit, 2)
    with pytest.raises(DatafoldInputError, match=r"^target: .* has more than [\d]+ (files|MB)\b"):
        pack(target(tmp_path))


@pytest.mark.parametrize("place", ["", "memory://bucket/nothing"])
def test_without_a_manifest(place: str, tmp_path: Path, bucket: Any) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        pack(place or tmp_path)
    assert str(caught.value) == (
        f"target: {place or tmp_path} has no manifest.json. It must be the folder into which dbt "
        "writes: 'target' in the project, unless dbt's target-path says otherwise. Nothing was "
        "sent."
    )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatafoldInputError, match=r"cannot be read \(Not a directory\)"):
        pack(target(tmp_path) / "manifest.json")
