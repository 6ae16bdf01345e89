"""A temporary Airflow for all tests, and the sandbox for those that send requests."""

from __future__ import annotations

import fcntl
import functools
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

# Airflow reads its environment when it is first imported, which is after this module.
HOME = Path(tempfile.mkdtemp(prefix="datafold-tests-"))
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        # A DAG that waits for an asset is asked for a run only if it is not paused.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
)
(HOME / "dags").mkdir()

# Airflow then asks to print the deprecation warnings of every module that is named airflow...,
# which this package is, too. That must not take precedence over pyproject.toml.
with warnings.catch_warnings():
    import airflow.configuration

AIRFLOW = tuple(map(int, airflow.__version__.split(".")[:2]))
ROOT = Path(__file__).resolve().parent.parent
API_KEY = "planted-api-key-7c1f"
TOKEN = "planted-hightouch-token-9e2d"
NOW = 1_700_000_000.0


def shows_error(log: str, error: str, text: str) -> bool:
    """Whether a task's log shows an error whose message starts like this.

    Airflow 3.0 shows it in colours or, on a worker, as JSON.
    """
    plain = re.sub(r"\x1b\[[\d;]*m", "", log)
    return re.search(rf'\b{error}(: |","exc_value":"){re.escape(text)}', plain) is not None


def pytest_make_parametrize_id(config: pytest.Config, val: object) -> str | None:
    """Name a test so that its name can be given back to pytest."""
    return val.replace("::", ":") if isinstance(val, str) and "::" in val else None


def pytest_unconfigure(config: pytest.Config) -> None:
    logging.disable()  # Airflow logs at exit, when pytest has closed the streams.
    # What Airflow logged when it was imported above. In the process that hands the tests out to
    # others no report takes it, and pytest would print it at the end.
    capture = config.pluginmanager.getplugin("capturemanager")
    # After an error at collection nothing is captured any more, and this would hide the error.
    with suppress(AssertionError):
        capture.read_global_capture()
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Any]:
    from dev.sandbox import Sandbox

    with Sandbox(api_key=API_KEY) as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: Any) -> Any:
    """A sandbox in which nothing has happened yet."""
    running_sandbox.state.reset()
    return running_sandbox


MASKERS = (
    "airflow.sdk._shared.secrets_masker",  # 3.1 and later, for tasks
    "airflow._shared.secrets_masker",  # the same, for the rest
    "airflow.sdk.execution_time.secrets_masker",  # 3.0
    "airflow.utils.log.secrets_masker",  # 2.11
)
"""Where Airflow keeps its secrets."""


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow forget the secrets of a test: it would search each line of its log for all of
    them, and each further secret would cost more than the one before."""
    for name in MASKERS:
        # What Airflow has not imported or set up yet, has no secrets.
        with suppress(KeyError, RuntimeError):
            masker = sys.modules[name]._secrets_masker()
            monkeypatch.setattr(masker, "patterns", set(masker.patterns))
            monkeypatch.setattr(masker, "replacer", masker.replacer)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set an Airflow connection by its fields."""

    def set_connection(conn_id: str, **fields: Any) -> None:
        value = json.dumps({"conn_type": "datafold", **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)

    return set_connection


@pytest.fixture
def connections(connect: Callable[..., None], sandbox: Any) -> None:
    """The two default connections, to the sandbox."""
    connect("datafold_default", host=sandbox.url, password=API_KEY)
    connect("hightouch_default", conn_type="generic", password=TOKEN)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """What signs certificates."""
    return trustme.CA()


@pytest.fixture(scope="session")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file for ``ca_bundle``, which trusts the authority."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture
def serve(connect: Callable[..., None]) -> Iterator[Callable[..., Any]]:
    """Start a service with given behaviours, and set the default connection to it.

    The hook then tries once, for five seconds, unless the extra says otherwise.
    """
    from dev.faults.server import FaultServer

    with ExitStack() as stack:

        def start(*behaviours: Any, extra: dict[str, Any] | None = None, **more: Any) -> Any:
            server = stack.enter_context(FaultServer(behaviours, **more))
            scheme = "https" if more.get("tls") else "http"
            connect(
                "datafold_default",
                host=f"{scheme}://127.0.0.1:{server.port}",
                password=API_KEY,
                extra={"max_retries": 0, "timeout": 5, **(extra or {})},
            )
            return server

        yield start


class Log:
    """Everything that is logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.clear = caplog.clear

    @property
    def text(self) -> str:
        return self._caplog.text

    @property
    def messages(self) -> list[str]:
        return self._caplog.messages

    @property
    def warnings(self) -> list[str]:
        """Only the provider's own: Airflow's masker warns about short secrets."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.levelname == "WARNING" and "airflow_provider_datafold" in record.pathname
        ]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Log:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

    # Where Airflow sends a hook's messages differs between its versions.
    monkeypatch.setattr(DatafoldHook, "log", logging.getLogger("hook"))
    caplog.set_level(logging.DEBUG)
    return Log(caplog)


@pytest.fixture(autouse=True)
def _no_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe a refusal when it comes twice, and let the triggerer look again at once."""
    from airflow_provider_datafold.jobs import trouble

    for name in ("LONGEST_REFUSAL", "REFUSAL_PAUSE", "AFTER_TROUBLE"):
        monkeypatch.setattr(trouble, name, 0.0)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """Stop the clock."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    return NOW


@pytest.fixture
def task_log(log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Everything that is logged, including a task's own lines."""
    from airflow.providers.common.compat.sdk import BaseOperator

    monkeypatch.setattr(BaseOperator, "log", logging.getLogger("task"))
    return log


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that Airflow has just made, to be copied: made once for all processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    database = folder / "new_home" / "airflow.db"
    with (folder / "new_home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env={**os.environ, "AIRFLOW_HOME": str(database.parent)},
                check=True,
                capture_output=True,
                timeout=300,
            )
    return database


@pytest.fixture(scope="session")
def airflow_database(new_database: Path) -> None:
    shutil.copy(new_database, HOME)
    _build_one_api()
    _read_times()


def _build_one_api() -> None:
    """Let Airflow 3.0 to 3.2 build their API once, as 3.3 does, and not for each task of a DAG."""
    try:
        from airflow.sdk.execution_time import supervisor
    except ImportError:  # Airflow 2
        return
    supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)


def _read_times() -> None:
    """Let dag.test() of Airflow 3.0 pass a time to a rescheduled sensor, as 3.0's workers do."""
    try:
        from airflow.sdk.api.client import TaskInstanceOperations as Client
        from airflow.sdk.execution_time.comms import TaskRescheduleStartDate as Told
    except ImportError:  # Airflow 2
        return
    ask = Client.get_reschedule_start_date

    def ask_for_time(self: Any, *arguments: Any, **named: Any) -> Any:
        return Told.model_validate(ask(self, *arguments, **named).model_dump())

    Client.get_reschedule_start_date = ask_for_time


@pytest.fixture
def run_dag(
    airflow_database: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Run a DAG, given as the source of its file, in a real Airflow."""
    # Otherwise a file that is rewritten within a second would be read from its bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = HOME / "dags" / "dag_under_test.py"

    def run(source: str, dag_id: str, conf: dict[str, Any] | None = None) -> Any:
        file.write_text(source)
        spec = importlib.util.spec_from_file_location("dag_under_test", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        (dag,) = [
            value for value in vars(module).values() if getattr(value, "dag_id", None) == dag_id
        ][:1]
        return dag.test(run_conf=conf)

    yield run
    file.unlink(missing_ok=True)
