"""What the tests of a whole Airflow judge by: that nothing wrong can pass for right."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from dev.faults.fault import API_KEY, TOKEN
from dev.harness.cluster.plan import Key
from dev.harness.cluster.run import verdicts
from dev.harness.report import secrets, texts


def test_verdicts_are_read_from_all_tries(tmp_path: Path) -> None:
    folder = tmp_path / "task_id=gate" / "map_index=3"
    folder.mkdir(parents=True)
    (folder / "attempt=1.log").write_text('{"event":"Started data diff 7: http://..."}\n')
    error = '"exc_value":"Data diff 7 differs: rows added 3."'
    (folder / "attempt=2.log").write_text(f"{{{error}}}\n")

    assert verdicts(tmp_path, Key("gate", 3)) == {(7, False)}

    (folder / "attempt=3.log").write_text('{"event":"Run 8 of monitor 2 passes: ok."}\n')
    assert verdicts(tmp_path, Key("gate", 3)) == {(7, False), (8, True)}
    assert verdicts(tmp_path, Key("gate", 4)) == set()


@pytest.mark.parametrize(
    "leaked", [API_KEY, quote(TOKEN), f"x{b64encode(f'key: {API_KEY}'.encode()).decode()}"]
)
def test_a_secret_in_a_log_is_found(tmp_path: Path, leaked: str) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (tmp_path / "worker.log").write_text("nothing\n")
    assert secrets(texts(tmp_path)) == (1, 0)

    (folder / "attempt=1.log").write_text(f"sent {leaked}\n")

    assert secrets(texts(tmp_path)) == (2, 1)
