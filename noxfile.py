"""The tests and the table of faults, on each Airflow with the dependencies of its own time."""

from __future__ import annotations

import functools
import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import nox

# The versions of Python that will do for each, best first: between them all that we support.
# `make test` has the newest Airflow with yet another.
AIRFLOWS = {
    "2.11": ("3.10", "3.11", "3.12"),
    "3.0": ("3.11", "3.12", "3.10"),
    "3.1": ("3.12", "3.11", "3.10"),
    "3.2": ("3.12", "3.11", "3.10"),
    "3.3": ("3.13", "3.14", "3.12", "3.11"),
}

# A pre-release, which `nox --tags next` has: what it breaks does not hold a change up.
NEXT = {"3.4": ("3.13", "3.12", "3.11")}

# It has Airflow's old interfaces, and the version of `make test` the newest: what breaks on one in
# between mostly breaks on one of these, too.
OLDEST = "2.11"

# The versions of dbt whose artifacts the tests read: the newest that dbt-duckdb runs with, and the
# oldest whose manifest is supported.
DBT = {"1.11": ("3.12", "3.11", "3.10"), "1.5": ("3.11", "3.10")}

# The same whatever the version of Airflow: `make test` has them, on the newest one.
LEFT_OUT = ("tests/api", "tests/dev", "tests/docs", "tests/system")

# What goes over the wire depends on the HTTP clients, not on Airflow: 2.11 has old ones, 3.3 the
# newest.
WIRE = ("tests/client", "tests/redaction")
WITHOUT_WIRE = ("3.0", "3.1", "3.2")

# `make test` has these, too, on the newest Airflow.
LINEAGE = ("tests/lineage", "tests/jobs/test_lineage.py")

# In three processes, because tests often wait; each has an Airflow home of its own. The tests of a
# file stay together, and the files in their order: the slowest, which have few tests, would come
# last otherwise.
SIDE_BY_SIDE = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")

# uv installs in seconds; where it is missing, pip does the same.
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"


@functools.cache
def find_python(versions: tuple[str, ...]) -> tuple[str, str | None]:
    """Find an interpreter on PATH or of pyenv, asking each one: what is on PATH may lead nowhere.

    :param versions: the versions that will do, best first.
    :return: a version and the path of its interpreter; the best version and ``None`` if this
        machine has none of them.
    """
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    folders = [
        os.path.join(sys.base_prefix, "bin"),
        *os.get_exec_path(),
        *glob.glob(os.path.join(pyenv, "versions", "*", "bin")),
    ]
    for version in versions:
        for folder in folders:
            python = shutil.which(f"python{version}", path=folder)
            if python and _answers(python):
                return version, python
    return versions[0], None


def _answers(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0  # noqa: S603


def add_session(airflow: str, *versions: str) -> None:
    """Add the session of an Airflow.

    :param airflow: the version that a file of constraints is named for.
    :param versions: the versions of Python that will do, best first.
    """
    version, python = find_python(versions)
    name = f"airflow-{airflow}-py{version}"
    is_next = airflow in NEXT
    tags = ["next"] if is_next else ["oldest"] if airflow == OLDEST else []

    @nox.session(name=name, python=python or False, default=not is_next, tags=tags)
    def tests(session: nox.Session) -> None:
        """Run the unit tests and the DAG tests."""
        install(session, airflow, "dev", versions if python is None else ())
        left_out = (*LEFT_OUT, *WIRE) if airflow in WITHOUT_WIRE else LEFT_OUT
        ignored = (f"--ignore={path}" for path in left_out)
        session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *ignored, *session.posargs)


def add_lineage_session(airflow: str, *versions: str) -> None:
    """Add the session of an Airflow that has OpenLineage's provider.

    :param airflow: the version that a file of constraints is named for.
    :param versions: the versions of Python that will do, best first.
    """
    _, python = find_python(versions)
    tags = ["next"] if airflow in NEXT else []

    @nox.session(name=f"openlineage-{airflow}", python=python or False, default=False, tags=tags)
    def openlineage(session: nox.Session) -> None:
        """Run a gate, and see what OpenLineage is told."""
        missing = versions if python is None else ()
        install(session, airflow, "dev", missing, "--group", "lineage")
        session.run("python", "-m", "pytest", *LINEAGE, *session.posargs)


def add_wheel_session(airflow: str, *versions: str) -> None:
    """Add the session of an Airflow that has the wheel, and nothing else of ours.

    :param airflow: the version that a file of constraints is named for.
    :param versions: the versions of Python that will do, best first.
    """
    _, python = find_python(versions)

    @nox.session(
        name=f"wheel-{airflow}",
        python=python or False,
        default=False,
        reuse_venv=False,
        venv_backend="virtualenv",  # with pip, as a user has it
    )
    def wheel(session: nox.Session) -> None:
        """See what a user has who installs the wheel."""
        if python is None:
            session.skip(f"There is no Python {' or '.join(versions)} on PATH or of pyenv")
        # pip builds the wheel, and installs that.
        session.install(".", "--constraint", f"dev/constraints/airflow-{airflow}.txt")
        home = {"AIRFLOW_HOME": os.path.abspath(session.create_tmp())}
        session.run("python", "-I", "dev/scripts/try_wheel.py", env=home)


def add_dbt_session(dbt: str, *versions: str) -> None:
    """Add the session that builds the small dbt project again, for the tests to read.

    :param dbt: dbt's version.
    :param versions: the versions of Python that will do, best first.
    """
    _, python = find_python(versions)

    @nox.session(name=f"dbt-{dbt}", python=python or False, default=False)
    def artifacts(session: nox.Session) -> None:
        """Write dev/dbt_project/artifacts."""
        if python is None:
            session.skip(f"There is no Python {' or '.join(versions)} on PATH or of pyenv")
        session.install(f"dbt-core~={dbt}.0", f"dbt-duckdb~={dbt}.0")
        session.run("python", "dev/dbt_project/dbt_artifacts.py", dbt)


def install(
    session: nox.Session, airflow: str, group: str, missing: Sequence[str], *more: str
) -> None:
    """Install this package with an Airflow.

    :param session: where to.
    :param airflow: the version that a file of constraints is named for.
    :param group: the dependency group to install with it.
    :param missing: the versions of Python that would do, where this machine has none of them.
    :param more: what else to tell pip.
    """
    if missing:
        session.skip(f"There is no Python {' or '.join(missing)} on PATH or of pyenv")
    constraints = f"dev/constraints/airflow-{airflow}.txt"
    session.install("pip>=25.1")  # The first that knows --group.
    # Otherwise each process of the tests would compile what it imports first.
    session.install(
        *("--compile", "--editable", ".", "--group", group, *more, "--constraint", constraints)
    )


for airflow, pythons in (AIRFLOWS | NEXT).items():
    add_session(airflow, *pythons)
    add_lineage_session(airflow, *pythons)
    add_wheel_session(airflow, *pythons)

for dbt, interpreters in DBT.items():
    add_dbt_session(dbt, *interpreters)


@nox.session(name="cosmos", python=find_python(AIRFLOWS["3.2"])[1] or False, default=False)
def cosmos(session: nox.Session) -> None:
    """Run the example DAG with Astronomer Cosmos."""
    install(session, "3.2", "dev", (), "astronomer-cosmos>=1.15")
    session.run("python", "-m", "pytest", "tests/cosmos", *session.posargs)
