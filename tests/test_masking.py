from __future__ import annotations

import logging

import pytest

from airflow_provider_datafold import masking


def test_masks_in_airflows_own_log(capfd: pytest.CaptureFixture[str]) -> None:
    masking.mask_secret("to-be-masked-3f6a")
    from airflow.providers.common.compat.sdk import redact

    assert redact("this is to-be-masked-3f6a") == "this is ***"
    logging.getLogger("airflow.task").info("this is %s", "to-be-masked-3f6a")
    assert "to-be-masked-3f6a" not in capfd.readouterr().out


def test_looks_where_older_versions_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = ("no.such.module", "json", "airflow_provider_datafold.masking")
    monkeypatch.setattr(masking, "_HOMES", homes)
    assert masking._find() is masking.mask_secret


def test_says_so_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_HOMES", ("no.such.module", "json"))
    with pytest.raises(ImportError, match="mask_secret in any of no.such.module, json"):
        masking._find()
