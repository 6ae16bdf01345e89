"""Build the small dbt project with the dbt of this environment, and keep what it writes.

Run by ``nox -s dbt-1.11 dbt-1.5``: dbt and Airflow do not get on in one environment.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent
TARGETS = {"production": False, "staging": True}
"""What is built, and whether it has the model that is new."""


def main(version: str) -> None:
    """Write the artifacts of both targets into a folder that is named for dbt's version."""
    for target, has_new in TARGETS.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder).resolve() / "shop"
            shutil.copytree(
                PROJECT, copy, ignore=shutil.ignore_patterns("artifacts", Path(__file__).name)
            )
            build(copy, target, has_new=has_new)
            kept = PROJECT / "artifacts" / version / target
            kept.mkdir(parents=True, exist_ok=True)
            for name in ("manifest.json", "run_results.json"):
                content = json.loads((copy / "target" / name).read_text())
                (kept / name).write_text(trimmed(content, copy))
        print(f"Wrote {kept}.")


def build(project: Path, target: str, *, has_new: bool) -> None:
    """Run dbt in the project, so that all paths are relative; one model is new."""
    dbt = Path(sys.executable).with_name("dbt")
    options = ["--project-dir=.", "--profiles-dir=.", "--target-path=target", "--log-path=logs"]
    variables = json.dumps({"with_new": has_new})
    subprocess.run(
        [dbt, "build", *options, f"--target={target}", f"--vars={variables}"],
        cwd=project,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        check=True,
    )


def trimmed(content: Any, project: Path) -> str:
    """Leave out this machine's paths, and dbt's own macros, which are nine tenths of a manifest."""
    if "macros" in content:
        macros = content["macros"].items()
        content["macros"] = {name: each for name, each in macros if name.startswith("macro.shop.")}
        content["docs"] = {}
    text = json.dumps(content, indent=1).replace(f"{project}/", "")
    private = [word for word in (project.parent.name, getpass.getuser()) if f"{word}/" in text]
    if private:
        raise SystemExit(f"An artifact names {', '.join(private)}.")
    return text + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
