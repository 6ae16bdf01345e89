"""A package whose modules load when they are first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_datafold import jobs
from airflow_provider_datafold.lazy_modules import modules_of

PROGRAM = """
import sys
from airflow_provider_datafold import jobs
assert "airflow_provider_datafold.jobs.hook" not in sys.modules
assert jobs.hook.JobHook
"""


def test_a_module_loads_when_it_is_first_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_a_name_that_is_no_module_is_no_attribute() -> None:
    assert not hasattr(jobs, "no_such_module")


def test_a_module_that_lacks_one_of_its_own_imports_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "room"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "broken.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        modules_of("room")("broken")
