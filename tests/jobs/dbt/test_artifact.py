"""Files of other programs, on the worker and in a bucket."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError, DatafoldTransientError
from airflow_provider_datafold.jobs.dbt import artifact
from airflow_provider_datafold.jobs.dbt.artifact import read_object

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
def bucket(monkeypatch: pytest.MonkeyPatch) -> type[Bucket]:
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
        monkeypatch.setattr(artifact, "MOST_BYTES", 10)

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
    error: Exception, is_final: bool, bucket: type[Bucket]
) -> None:
    bucket.error = error
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
    bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(
        "airflow_provider_datafold.redaction.redactor._mask_secret",
        lambda text: masked.append(text),
    )
    bucket.error = OSError()
    with pytest.raises(DatafoldTransientError):
        read_object("manifest", SIGNED)
    # Not the short names and values, which would be masked everywhere.
    assert masked == ["planted-password", "planted-signature-1"]
