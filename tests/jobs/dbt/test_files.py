"""Files that dbt wrote, read and packed, on the worker and in a bucket."""

from __future__ import annotations

import io
import json
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import fsspec
import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError, DatafoldTransientError
from airflow_provider_datafold.jobs.dbt import files
from airflow_provider_datafold.jobs.dbt.files import packed, read_object
from airflow_provider_datafold.redaction.secret import Secret
from tests.artifacts import FILES, target, unpacked

SIGNED = (
    "s3://key:planted-password@bucket/folder/manifest.json?X-Signature=planted-signature-1#part"
)
SHOWN = "s3://key:***@bucket/folder/manifest.json"


class Bucket:
    """Stands in for ObjectStoragePath. Each opening fails."""

    error: Exception

    def __init__(self, url: str) -> None:
        assert url == SIGNED

    def open(self, mode: str) -> Any:
        raise self.error


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[Bucket]:
    monkeypatch.setattr("airflow.providers.common.compat.sdk.ObjectStoragePath", Bucket)
    return Bucket


@pytest.mark.parametrize("place", ["{}/a: b.json", "file://{}/a: b.json", "~/a: b.json"])
def test_reads_a_file(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a: b.json").write_text(json.dumps({"name": "Grüße"}), encoding="utf-8")
    assert read_object("manifest", place.format(tmp_path)) == {"name": "Grüße"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory). A plain path is a file of the worker"),
        (
            b'{"nodes": {"a": "planted',
            "is not valid JSON from character 16 on. Perhaps it was not written or copied to its "
            "end (24 bytes).",
        ),
        (b"", "is not valid JSON from character 0 on"),
        (b"\xff\xfe", "is not valid JSON from character 0 on"),
        (b"[" * 100_000, "is not valid JSON from character 0 on"),
        (b"[]", "is not a JSON object."),
        (b'{"a": 1234}', "has more than 0 MB."),
    ],
)
def test_a_file_that_cannot_be_used(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "manifest.json"
    if content is not None:
        file.write_bytes(content)
    if "MB" in said:
        monkeypatch.setattr(files, "LARGEST_FILE", 10)

    with pytest.raises(DatafoldInputError) as caught:
        read_object("run_results", str(file))

    assert str(caught.value).startswith(f"run_results: {file} {said}")
    assert str(caught.value).endswith("Nothing was sent.")
    assert caught.value.__context__ is None


def test_where_a_relative_path_was_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "target").mkdir()
    place = f"target cannot be read at {tmp_path}/target (Is a directory). A plain path"
    with pytest.raises(DatafoldInputError, match=re.escape(f"manifest: {place}")):
        read_object("manifest", "target")


@pytest.mark.parametrize(
    ("error", "is_final"),
    [
        (FileNotFoundError("planted-signature-1"), True),
        (PermissionError("planted-signature-1"), True),
        (ImportError("planted-signature-1"), True),
        (ValueError("planted-signature-1"), True),
        (OSError("planted-signature-1"), False),
        (RuntimeError("planted-signature-1"), False),
    ],
)
def test_a_bucket_that_fails_shows_no_secret(
    error: Exception, is_final: bool, broken: type[Bucket]
) -> None:
    broken.error = error
    with pytest.raises(DatafoldInputError if is_final else DatafoldTransientError) as caught:
        read_object("manifest", SIGNED)
    text = str(caught.value)
    assert text.startswith(f"manifest: {SHOWN} cannot be read ({type(error).__name__}). ")
    assert text.endswith("Nothing was sent.")
    assert caught.value.__context__ is None


def test_a_scheme_that_airflow_lacks() -> None:
    with pytest.raises(DatafoldInputError, match="has the provider for its scheme"):
        read_object("manifest", "nowhere://bucket/manifest.json")


def test_logs_show_no_secret_of_a_url(
    broken: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(
        "airflow_provider_datafold.redaction.redactor._mask_secret",
        lambda text: masked.append(text),
    )
    broken.error = OSError()
    with pytest.raises(DatafoldTransientError):
        read_object("manifest", SIGNED)
    # Not the short names and values, which would be masked everywhere.
    assert masked == ["planted-password", "planted-signature-1"]


# The archive of a target folder.

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
    memory = fsspec.filesystem("memory")
    attach(protocol="memory", fs=memory)
    yield memory
    memory.store.clear()


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

    monkeypatch.setattr(files, "mask", lambda found: hidden.extend(map(Secret.reveal, found)))
    monkeypatch.setattr(files, "_object_at", fails)
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


def test_a_link_that_is_not_chosen_may_lead_anywhere(tmp_path: Path) -> None:
    folder = target(tmp_path / "target")
    (folder / "python").symlink_to("/usr/bin/python3")
    assert {*pack(folder, ["manifest.json", "compiled/*"])} == {*FILES} - {"run_results.json"}


SECRETS = (
    *("profiles.yml", ".user.yml", ".env", ".git/config", "conf/Profiles.YML", ".dbt/profiles.yml"),
    *("keys/rsa.p8", "keys/tls.key", "warehouse.PEM"),
)


def a_project(place: str, tmp_path: Path, bucket: Any) -> str:
    """Write a dbt project whose target-path is its own folder."""
    more = dict.fromkeys((*SECRETS, "dbt_project.yml", "models/orders.sql"), b"planted")
    folder = target(tmp_path / "shop", **more)
    if place == "folder":
        return str(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            bucket.pipe(f"/bucket/target/{file.relative_to(folder)}", file.read_bytes())
    return BUCKET


PLACES = pytest.mark.parametrize("place", ["folder", "bucket"])


@PLACES
def test_a_project_is_uploaded_only_by_what_is_included(
    place: str, tmp_path: Path, bucket: Any
) -> None:
    project = a_project(place, tmp_path, bucket)
    with pytest.raises(DatafoldInputError) as caught:
        pack(project)
    assert str(caught.value) == (
        f"target: {project} has a dbt project in it (dbt_project.yml). It must be the folder into "
        "which dbt writes: 'target' in the project, unless dbt's target-path says otherwise; or "
        "choose files with the argument 'include' of DatafoldUploadDbtArtifactsOperator. Nothing "
        "was sent."
    )
    found = pack(project, ["manifest.json", "run_results.json", "compiled/*", "models/*"])
    assert {*found} == {*FILES, "models/orders.sql"}


@PLACES
@pytest.mark.parametrize("name", SECRETS)
def test_no_file_with_secrets_is_uploaded(
    name: str, place: str, tmp_path: Path, bucket: Any
) -> None:
    project = a_project(place, tmp_path, bucket)
    with pytest.raises(DatafoldInputError) as caught:
        pack(project, ["manifest.json", name])
    assert str(caught.value) == (
        f"target: {project} has files that may hold secrets, which are never uploaded: {name}. "
        "Move them out of the folder, or choose files with the argument 'include' of "
        "DatafoldUploadDbtArtifactsOperator. Nothing was sent."
    )


def test_all_files_with_secrets_are_named(tmp_path: Path, bucket: Any) -> None:
    project = a_project("folder", tmp_path, bucket)
    with pytest.raises(DatafoldInputError) as caught:
        pack(project, ["*"])
    assert [name for name in SECRETS if name not in str(caught.value)] == []


def test_no_link_leads_to_a_file_with_secrets(tmp_path: Path) -> None:
    folder = target(tmp_path, **{".env": b"planted"})
    (folder / "env.json").symlink_to(".env")
    with pytest.raises(DatafoldInputError, match=r"never uploaded: \.env\. "):
        pack(folder, ["*.json"])


def test_a_file_that_becomes_a_link_once_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_text("planted")

    def replaced(path: Path) -> bool:
        if path.name == "manifest.json":
            path.unlink()
            path.symlink_to(tmp_path / "other")
        return path.is_file()

    folder = target(tmp_path / "target")
    monkeypatch.setattr(files, "_is_regular", replaced)
    with pytest.raises(DatafoldInputError, match=r"leads out of it \(manifest\.json\)"):
        pack(folder)


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Written(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            manifest.write_bytes(b"{}")
            return found

    manifest = target(tmp_path) / "manifest.json"
    monkeypatch.setattr(files, "_open", lambda *asked: Written(manifest))
    said = re.escape(f"target: {manifest} changed while it was read. Upload once dbt has ended.")
    with pytest.raises(DatafoldTransientError, match=said):
        pack(tmp_path)


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    os.truncate(target(tmp_path) / "manifest.json", 64 * 1024**2)
    tracemalloc.start()
    try:
        with packed("target", str(tmp_path), None):
            assert tracemalloc.get_traced_memory()[1] < 8 * 1024**2
    finally:
        tracemalloc.stop()


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

    monkeypatch.setattr(files, "_object_at", lambda place: Root)
    with pytest.raises(DatafoldInputError, match="has a file whose path leads out of it"):
        pack("s3://bucket/target")


@pytest.mark.parametrize("limit", ["MOST_FILES", "LARGEST_FOLDER"])
def test_too_much(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, limit, 2)
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
