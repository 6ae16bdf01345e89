"""The trial of a real account, against the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev import trial
from tests.conftest import API_KEY
from tests.dev.sandbox.test_comparison import fill_duckdb


def test_a_trial(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    sandbox.state.data_sources.connect(1, fill_duckdb(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("DATAFOLD_API_KEY", API_KEY)
    monkeypatch.setattr(trial, "SECONDS_BETWEEN_READS", 0.05)
    output = tmp_path / "trial.jsonl"
    arguments = ["--data-source", "1", "--host", sandbox.url, "--table", "orders"]
    assert trial.main([*arguments, "--output", str(output)]) == 0

    said = capsys.readouterr().out
    assert not [line for line in said.splitlines() if line.startswith(("  WRONG", "  FAILED"))]
    assert "match_ratio 0.25 is equal rows by all keys, 1/4" in said
    assert "rows in diff_stats are counted after filters: [1, 1]" in said
    assert "after a cancel the status is cancelled" in said
    assert "keys of orders [['id']]" in said
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert {record["case"] for record in records} == {*trial.CASES} | {
        *("start", "list", "cancel", "test", "key", "clean up")
    }
    # The sandbox has data diffs of others, too.
    for secret in ("CUSTOMERS", API_KEY, "share-", sandbox.state.data_sources.sources[1]["name"]):
        assert secret not in output.read_text() + said
    diffs = sandbox.state.data_diffs
    mine = [diff for diff in map(diffs.peek, diffs.diffs) if diff["tags"] == [trial.TAG]]
    assert [(diff["done"], diff["archived"]) for diff in mine] == [(True, True)] * 5
