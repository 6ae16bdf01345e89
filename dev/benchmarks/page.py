"""``docs/performance.md``, written from the figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from airflow.providers.http.operators.http import HttpOperator
from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.benchmarks import jobs, run, serialize, update, waits
from dev.benchmarks.figure import (
    BARE,
    DBT,
    DBT_SHIPPED,
    EMPTY,
    FLOOR,
    NAMES,
    OURS,
    THEIRS,
    Figure,
)
from dev.benchmarks.requirement import REQUIREMENTS, missed

PATH = Path(__file__).parents[2] / "docs" / "performance.md"

_TEMPLATES = Environment(
    loader=PackageLoader(__package__, ""), undefined=StrictUndefined, keep_trailing_newline=True
)
_COLUMNS = (OURS, BARE, THEIRS, FLOOR)
_WAITING_COLUMNS = (OURS, DBT, DBT_SHIPPED)


def render(figures: Mapping[str, Figure]) -> str:
    """Return the page.

    :param figures: the figures by name.
    :return: the text of the page.
    """
    tables = {_COLUMNS: list[Figure](), _WAITING_COLUMNS: list[Figure]()}
    for figure in figures.values():
        tables[_WAITING_COLUMNS if DBT in figure.values else _COLUMNS].append(figure)
    table, waiting_table = ("\n".join(_table(*each)) for each in tables.items())
    return _TEMPLATES.get_template("performance.md.j2").render(
        {
            "jobs": jobs,
            "run": run,
            "serialize": serialize,
            "update": update,
            "waits": waits,
            "FLOOR": FLOOR,
            "THEIRS": THEIRS,
            "EMPTY": EMPTY,
            "DBT": DBT,
            "DBT_SHIPPED": DBT_SHIPPED,
            "table": table,
            "waiting_table": waiting_table,
            "held": "\n".join(missed(figures) or ["This provider keeps every limit."]),
            "provenance": _provenance(),
            "of": lambda name, contender=OURS: figures[name].shown(contender),
            "fields": len(DatafoldUpdateHightouchOperator.template_fields),
            "their_fields": len(HttpOperator.template_fields),
        }
    )


def _table(columns: tuple[str, ...], figures: list[Figure]) -> Iterator[str]:
    names = " | ".join(NAMES[contender] for contender in columns)
    yield f"| | {names} | found | at most | met |"
    yield f"|{'---|' * (len(columns) + 4)}"
    for figure in figures:
        yield _row(figure, columns)


def _row(figure: Figure, columns: tuple[str, ...]) -> str:
    mine = [requirement for requirement in REQUIREMENTS if requirement.figure == figure.name]
    name = f"{figure.name} (floor: {figure.floor})" if figure.floor else figure.name
    cells = [
        name,
        *(figure.shown(contender) for contender in columns),
        "<br>".join(requirement.found(figure) for requirement in mine),
        "<br>".join(requirement.limit(figure) for requirement in mine),
        "<br>".join("yes" if requirement.is_met(figure) else "**no**" for requirement in mine),
    ]
    return f"| {' | '.join(cells)} |"


def _provenance() -> str:
    return (
        f"Measured on {date.today()} with Airflow {version('apache-airflow')}, "
        f"{', '.join(_versions())} and Python "
        f"{platform.python_version()}, on {os.cpu_count()} cores ({platform.system()}, "
        f"{platform.machine()})."
    )


def _versions() -> Iterator[str]:
    providers = ("apache-airflow-providers-http", "apache-airflow-providers-dbt-cloud")
    for package in ("requests", "urllib3", "aiohttp", *providers):
        # Only `make bench` installs the last one.
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"
