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

NODE = {
    *("alias", "attached_node", "columns", "compiled_code", "config", "constraints", "database"),
    *("depends_on", "fqn", "meta", "name", "original_file_path", "package_name", "primary_key"),
    *("relation_name", "resource_type", "schema", "tags", "test_metadata", "unique_id", "version"),
    "latest_version",
}
RESULT = {"adapter_response", "failures", "message", "relation_name", "status", "unique_id"}


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
    """Keep what somebody reads, an entry to a line, and no path of this machine."""
    kept = {"metadata": json.dumps(content["metadata"])}
    if "nodes" in content:
        nodes = {name: _kept(node, NODE) for name, node in content["nodes"].items()}
        disabled = {
            name: [_kept(node, NODE) for node in versions]
            for name, versions in content["disabled"].items()
        }
        kept |= {"nodes": _lines(nodes), "disabled": _lines(disabled)}
    else:
        results = (json.dumps(_kept(result, RESULT)) for result in content["results"])
        kept |= {"results": "[\n" + ",\n".join(results) + "\n]", "args": "{}"}
    text = "{\n" + ",\n".join(f'"{name}": {part}' for name, part in kept.items()) + "\n}\n"
    text = text.replace(f"{project}/", "")
    private = [word for word in (project.parent.name, getpass.getuser()) if f"{word}/" in text]
    if private:
        raise SystemExit(f"An artifact names {', '.join(private)}.")
    return text


def _kept(entry: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name in names}


def _lines(entries: dict[str, Any]) -> str:
    each = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    return "{\n" + ",\n".join(each) + "\n}"


if __name__ == "__main__":
    main(*sys.argv[1:])
