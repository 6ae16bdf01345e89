"""Let schemathesis judge the sandbox: thousands of requests, right and wrong, to each operation."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from dev.judges.reading import written_out
from dev.sandbox import Sandbox

_CONFIG = Path(__file__).with_name("schemathesis.toml")


def main() -> int:
    """Run schemathesis against a sandbox, with more arguments from the command line.

    :return: its exit code.
    """
    with tempfile.TemporaryDirectory(prefix="schemathesis-") as folder, Sandbox() as sandbox:
        document = Path(folder) / "contract.json"
        document.write_text(json.dumps(written_out()))
        command = ["schemathesis", "--config-file", str(_CONFIG), "run", str(document)]
        command += ["--url", sandbox.url, "--header", f"Authorization: Key {sandbox.api_key}"]
        return subprocess.run([*command, *sys.argv[1:]], cwd=folder).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
