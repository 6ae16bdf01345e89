from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_datafold import masking


def test_airflow_knows_the_secret_from_then_on() -> None:
    masking.mask_secret("to-be-masked-3f6a")
    assert redact("this is to-be-masked-3f6a") == "this is ***"


def test_looks_where_older_versions_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = ("no.such.module", "json", "airflow_provider_datafold.masking")
    monkeypatch.setattr(masking, "_HOMES", homes)
    assert masking._find() is masking.mask_secret


def test_says_so_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_HOMES", ("no.such.module", "json"))
    with pytest.raises(ImportError, match="mask_secret in any of no.such.module, json"):
        masking._find()
