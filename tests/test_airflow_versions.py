"""What differs between versions of Airflow, with stand-ins for those that are not installed."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_datafold.redaction.secret import Secret
from tests.stand_ins import reimport

MASKER = "airflow_provider_datafold.redaction.redactor"
HOMES = ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker")
OLDEST = "airflow.utils.log.secrets_masker"


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace a module of Airflow, with or without ``mask_secret``."""

    def put(name: str, *, masks: bool) -> list[str]:
        masked: list[str] = []
        module = ModuleType(name)
        if masks:
            module.mask_secret = masked.append  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
        return masked

    return put


@pytest.mark.parametrize("is_there", [False, True], ids=["no module", "no function"])
@pytest.mark.parametrize("home", [*HOMES, OLDEST])
def test_masker_is_found_where_this_airflow_keeps_it(
    home: str, is_there: bool, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [*HOMES, OLDEST]
    for newer in homes[: homes.index(home)]:
        if is_there:
            put(newer, masks=False)
        else:
            monkeypatch.setitem(sys.modules, newer, None)
    older = [put(name, masks=True) for name in homes[homes.index(home) + 1 :]]
    masked = put(home, masks=True)
    reimport(MASKER, monkeypatch).mask([Secret({"a": ["planted ", 5, "abcd"]}), Secret("another")])
    assert masked == ["planted", "another"]
    # If there are two, the newer one is used.
    assert older == [[]] * len(older)


def test_airflow_without_a_masker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*HOMES, OLDEST):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="no mask_secret in any of airflow.sdk.log, "):
        reimport(MASKER, monkeypatch)


def test_older_airflow_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "airflow_provider_datafold.triggers.monitors"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "airflow.triggers.base", ModuleType("airflow.triggers.base"))
    with pytest.raises(Exception, match=r"needs Apache Airflow 3\.0 or newer"):
        importlib.import_module(name)
