"""A DuckDB file that the sandbox cannot read is refused when it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb

from dev.comparison.table import check
from tests.conftest import ROOT


def test_a_file_of_another_storage_version(tmp_path: Path) -> None:
    file = tmp_path / "shop.duckdb"
    duckdb.connect(str(file)).close()
    content = bytearray(file.read_bytes())
    content[12:20] = (999).to_bytes(8, "little")  # The version, after the magic bytes.
    file.write_bytes(content)

    command = [sys.executable, "-m", "dev.sandbox", "--database", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)

    assert done.returncode == 2
    assert f"--database: DuckDB {duckdb.__version__}, which compares here, cannot" in done.stderr
    assert "install the same version of DuckDB for both" in done.stderr


def test_a_file_that_is_being_written_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "shop.duckdb"
    hold = f"import duckdb; c = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        check(str(file))
        writer.communicate(b"\n")
