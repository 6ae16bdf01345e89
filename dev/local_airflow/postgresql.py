"""PostgreSQL of this run's own: on loopback, on a free port, in a throw-away folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from dev.local_airflow.ports import free_port
from dev.local_airflow.programs import Command, ProgramError, Programs


def start_postgresql(programs: Programs, home: Path) -> str:
    """Start PostgreSQL with an empty database, and return the part of its URL behind ``://``."""
    binaries = _postgresql_binaries()
    # It refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    # That account must be able to reach its own folder.
    home.chmod(0o711)
    folder = home / "postgresql"
    folder.mkdir(mode=0o700)
    password = folder / "password"
    password.write_text(secrets.token_hex())
    if account:
        shutil.chown(folder, account)
        shutil.chown(password, account)

    def command(name: str, *arguments: str) -> Command:
        # Killed, it would leave shared memory behind.
        program: list[str | Path] = [binaries / name, f"-D{folder / 'data'}", *arguments]
        return Command(name, program, folder=folder, account=account, stop_signal=signal.SIGINT)

    access = ("--username=airflow", f"--pwfile={password}", "--auth=scram-sha-256")
    programs.run(command("initdb", *access, "--encoding=UTF8", "--no-locale", "--no-sync"))
    port = free_port()
    where = ("-clisten_addresses=127.0.0.1", f"-cport={port}", "-cunix_socket_directories=")
    programs.start(command("postgres", *where, "-cfsync=off"))
    # Where it listens, it may still be starting up.
    ask = [str(binaries / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    programs.until("PostgreSQL was ready", lambda: subprocess.run(ask).returncode == 0)
    return f"airflow:{password.read_text()}@127.0.0.1:{port}/postgres"


def _postgresql_binaries() -> Path:
    # Debian keeps them off PATH, so that several versions can be there.
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return max(found, key=lambda path: int(path.parts[-3])).parent
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    raise ProgramError("There is no PostgreSQL server; install Debian's package postgresql.")
