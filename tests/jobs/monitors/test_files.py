"""Monitors as code: where files are found, how they are read, what is refused."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_datafold
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.monitors.files import read_documents
from airflow_provider_datafold.jobs.monitors.problems import Problems
from tests.conftest import API_KEY
from tests.sending import failure

pytestmark = pytest.mark.usefixtures("connections")

PACKAGE = str(Path(airflow_provider_datafold.__file__).parent)
PLANTED = "planted-in-a-file-6b21"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Next to a DAG's file."""
    folder = tmp_path / "dags"
    (folder / "monitors" / "deep").mkdir(parents=True)
    (tmp_path / "more").mkdir()
    for place, name in enumerate(
        (
            "dags/a.yaml",
            "dags/monitors/b.yml",
            "dags/monitors/c.json",
            "dags/monitors/deep/d.yaml",
            "dags/[x].yaml",
            "more/a.yaml",
            "more/e.yaml",
        )
    ):
        (tmp_path / name).write_text(json.dumps({"monitors": place}))
    return folder


def read(folder: Path, files: Any = None, spec: Any = None, render: Any = str) -> Any:
    with JobHook() as hook:
        problems = Problems(hook.redactor(), DatafoldInputError)
        documents = read_documents(
            hook,
            files,
            spec,
            problems,
            folders=[str(folder), str(folder.parent / "more")],
            render=render,
        )
        problems.raise_all("Nothing was sent.")
    return documents


def names(documents: Any) -> list[str]:
    return [name for name, _ in documents]


def refused(call: Callable[[], Any]) -> list[str]:
    return str(failure(DatafoldInputError, call)).split("\n- ")[1:]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ("a.yaml", ["a.yaml"]),
        ("monitors/*", ["monitors/b.yml", "monitors/c.json"]),
        ("monitors/**/*.y*ml", ["monitors/b.yml", "monitors/deep/d.yaml"]),
        ("[x].yaml", ["[x].yaml"]),
        ("[a-b].yaml", ["a.yaml"]),
        ("e.yaml", ["e.yaml"]),
        (("*.yaml", "a.yaml"), ["[x].yaml", "a.yaml"]),
        ("['a.yaml', 'e.yaml']", ["a.yaml", "e.yaml"]),
        (Path("a.yaml"), ["a.yaml"]),
        ([Path("a.yaml")], ["a.yaml"]),
        ("{0}/*.yaml", ["{0}/[x].yaml", "{0}/a.yaml"]),
        ("file://{0}/a.yaml", ["file://{0}/a.yaml"]),
        ("file://{0}/monitors/*", ["file://{0}/monitors/b.yml", "file://{0}/monitors/c.json"]),
    ],
    ids=repr,
)
def test_where_files_are_found(files: Any, found: list[str], folder: Path) -> None:
    given = files.replace("{0}", str(folder)) if isinstance(files, str) else files
    assert names(read(folder, given)) == [each.replace("{0}", str(folder)) for each in found]


def test_the_folder_of_the_dag_comes_first(folder: Path) -> None:
    assert read(folder, "a.yaml") == [("a.yaml", {"monitors": 0})]


def test_a_file_of_object_storage(folder: Path) -> None:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    path = ObjectStoragePath(f"file://{folder}/a.yaml")
    assert read(folder, path) == read(folder, [path]) == [(str(path), {"monitors": 0})]


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ("nowhere.yaml", "files: 'nowhere.yaml': there is no such file in {0} or {1}."),
        ("/nowhere/*.yaml", "files: '/nowhere/*.yaml': there is no such file."),
        ("monitors", "files: 'monitors': is a folder. Name its files, e.g. with '*.yaml'."),
        ("file:///nowhere/*.yaml", "files: 'file:///nowhere/*.yaml': there is no such file."),
        (
            "file://ann:planted-5d20@host/a?sig=planted-5d20",
            "files: 'file://***@host/a?***': there is no such file.",
        ),
    ],
)
def test_a_file_that_is_not_there(files: str, line: str, folder: Path) -> None:
    places = (folder, folder.parent / "more")
    assert refused(lambda: read(folder, files)) == [line.format(*places)]


@pytest.mark.parametrize(
    ("files", "spec", "message"),
    [
        (None, None, "files, spec: exactly one of them must be given."),
        ("None", None, "files, spec: exactly one of them must be given."),
        ("a.yaml", {}, "files, spec: exactly one of them must be given."),
        ([], None, "files: is empty."),
        (7, None, "files: must be a list, not 7 (int)."),
        ([""], None, "files[0]: must be a name, not '' (str)."),
        (["a.yaml", None], None, "files[1]: must be a string"),
    ],
)
def test_wrong_arguments(files: Any, spec: Any, message: str, folder: Path) -> None:
    error = failure(DatafoldInputError, lambda: read(folder, files, spec))
    assert str(error).startswith(message)


@pytest.mark.parametrize(
    "spec",
    [
        {"monitors": {"a": None}},
        "{'monitors': {'a': None}}",
        "\n {'monitors': {'a': null}}",
        '{"monitors": {"a": null}}',
        "monitors:\n  a:",
    ],
)
def test_ways_to_write_a_spec(spec: Any, folder: Path) -> None:
    assert read(folder, spec=spec) == [("spec", {"monitors": {"a": None}})]


@pytest.mark.parametrize("spec", ["monitors: [", '{"a": 1, "a": 2}', f"{API_KEY}: ["])
def test_a_wrong_spec(spec: str, folder: Path) -> None:
    (line,) = refused(lambda: read(folder, spec=spec))
    assert line.startswith("spec: ")


def test_all_files_are_read_before_an_error(folder: Path) -> None:
    (folder / "a.yaml").write_text("monitors: [")
    (folder / "b.yaml").write_text(f"monitors: {{}} # {API_KEY}\nmonitors: 1")
    (folder / "c.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "e.yaml").symlink_to("gone")
    (folder / "d.yaml").write_bytes(b"\xef\xbb\xbfmonitors: {}")
    assert refused(lambda: read(folder, ["*.yaml", "nowhere.yaml"])) == [
        f"files: 'nowhere.yaml': there is no such file in {folder} or {folder.parent / 'more'}.",
        "a.yaml: is neither valid YAML nor JSON (line 1).",
        "b.yaml: has the key 'monitors' twice (line 2).",
        "c.yaml: is not UTF-8.",
        "e.yaml: cannot be read (FileNotFoundError).",
    ]
    assert read(folder, "d.yaml") == [("d.yaml", {"monitors": {}})]


def test_a_template_that_cannot_be_rendered(folder: Path) -> None:
    (folder / "a.yaml").write_text(f"a: 1\nb: {PLANTED}\n")

    class BrokenError(Exception):
        lineno = 2

    def render(text: str) -> str:
        raise BrokenError(f"{API_KEY} is undefined")

    (line,) = refused(lambda: read(folder, "a.yaml", render=render))
    assert (
        line == "a.yaml: its template cannot be rendered (line 2): BrokenError: *** is undefined."
    )
    del BrokenError.lineno
    (line,) = refused(lambda: read(folder, "a.yaml", render=render))
    assert line == "a.yaml: its template cannot be rendered: BrokenError: *** is undefined."


@pytest.mark.parametrize(
    "text", ["a: [{}", '{{"a": "{}", "a": 1}}', "a: !x {}", "&a [*a, {}]", "{{{{ {} }}}}"]
)
def test_no_traceback_shows_a_file(text: str, folder: Path) -> None:
    (folder / "a.yaml").write_text(text.format(PLANTED))

    def render(text: str) -> str:
        if text.startswith("{{"):
            raise ValueError("It is undefined")
        return text

    with pytest.raises(DatafoldInputError) as caught:
        read(folder, "a.yaml", render=render)

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert PLANTED not in "".join(
        f"{frame.locals}" for frame in shown.stack if frame.filename.startswith(PACKAGE)
    )
    assert PLANTED not in "".join(traceback.format_exception(caught.value))
