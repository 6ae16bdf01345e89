"""docs/errors.md: each class of error is there, with when it comes and what to do."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldFinalError,
    DatafoldNotFoundError,
    DatafoldTransientError,
)
from tests import documents
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "errors.md"
SECTIONS = {
    "Nothing was sent": DatafoldFinalError,
    "Datafold refuses the request": DatafoldFinalError,
    "A verdict, or a job that cannot end well": DatafoldFinalError,
    "Temporary trouble": DatafoldTransientError,
}
ROOTS = {DatafoldError, DatafoldFinalError, DatafoldTransientError}


def test_each_class_is_there_once_and_in_the_right_section() -> None:
    found = []
    for heading, kind in SECTIONS.items():
        for error, when, what_to_do in documents.rows(documents.section(PAGE, heading)):
            found.append(getattr(exceptions, error.strip("`")))
            assert issubclass(found[-1], kind)
            assert when
            assert what_to_do
    classes = {
        value
        for _, value in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(value, DatafoldError)
    }
    assert len(found) == len(set(found))
    assert set(found) | ROOTS == classes
    for error in ROOTS:
        assert f"`{error.__name__}`" in PAGE.read_text()


def test_attributes_are_there() -> None:
    error = DatafoldNotFoundError("Nothing there.")
    for names, _ in documents.rows(documents.section(PAGE, "In your own code")):
        for name in names.split(", "):
            assert hasattr(error, name.strip("`"))


@pytest.mark.usefixtures("connections")
def test_snippet_tells_what_is_there(sandbox: Any) -> None:
    (source,) = documents.blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(source, names)
    assert names["is_there"](1)
    assert not names["is_there"](999)
