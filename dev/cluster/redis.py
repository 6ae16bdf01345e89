"""Redis of this run's own: on loopback, on a free port, in a throw-away folder."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from dev.local_airflow.ports import free_port, listens
from dev.local_airflow.programs import Command, ProgramError, Programs


def start_redis(programs: Programs, home: Path) -> str:
    """Start Redis with nothing in it.

    :param programs: what it belongs to.
    :param home: a folder that every account can enter.
    :return: its URL.
    """
    server = shutil.which("redis-server")
    if server is None:
        raise ProgramError("There is no redis-server; install Debian's package redis-server.")
    folder = home / "redis"
    folder.mkdir(mode=0o700)
    port, password = free_port(), secrets.token_hex()
    # In a file, because everyone can read a command line.
    settings = folder / "redis.conf"
    settings.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\n')
    programs.start(Command("redis", [server, settings], folder=folder))
    programs.until("Redis listened", lambda: listens(port))
    return f"redis://:{password}@127.0.0.1:{port}/0"
