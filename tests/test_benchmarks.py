"""The benchmarks themselves: that each one runs, and what is made of its figures."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

pytest.importorskip("airflow.providers.http")
pytest.importorskip("airflow.sdk")

from dev.benchmarks import imports, page, parsing, plot, rate_limit, surroundings, tasks, updates
from dev.benchmarks.figure import (
    BARE,
    FLOOR,
    ONE_FIELD,
    OURS,
    SAME_FIELDS,
    THEIRS,
    Figure,
    interleave,
    medians,
)
from dev.benchmarks.limiter import FixedWindow
from dev.benchmarks.requirement import NO, REQUIREMENTS, YES, Requirement, failures
from dev.local_airflow.ports import listens
from tests.conftest import ROOT

NAMES = [
    *(imports.TIME, imports.MEMORY, parsing.BUILD, parsing.BUILD_LITERAL),
    *(parsing.SERIALIZE, parsing.SERIALIZE_SET),
    *(updates.ONE, updates.KEPT_HTTP, updates.KEPT_TLS, updates.CONNECTIONS, tasks.CPU),
    *(rate_limit.WALL, rate_limit.REQUESTS, rate_limit.LOST),
]


@pytest.fixture
def prepared() -> Iterator[None]:
    with surroundings.prepared():
        yield


def figure(name: str, **values: float) -> Figure:
    return Figure(name, "ms", values, "Airflow's")


def figures(ours: float) -> dict[str, Figure]:
    others = dict.fromkeys((BARE, THEIRS, FLOOR, SAME_FIELDS, ONE_FIELD), 100.0)
    return {name: figure(name, **{OURS: ours, **others}) for name in NAMES}


def test_contenders_take_turns() -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "ab"}

    found = interleave(ways, rounds=3)

    assert calls == ["a", "b"] * 4
    assert medians(found) == {"a": 5.0, "b": 6.0}


@pytest.mark.parametrize(
    ("requirement", "verdict", "found"),
    [
        (Requirement("x", 5), YES, "5 ms"),
        (Requirement("x", 4.9), NO, "5 ms"),
        (Requirement("x", 1.25, BARE), YES, "1.25 of `requests.put`"),
        (Requirement("x", 1.2, FLOOR), NO, "1.25 of Airflow's"),
        (Requirement("x", 1 / 60, THEIRS), YES, "1/100 of `HttpOperator`"),
        (Requirement("x", 1.2, BARE, least=SAME_FIELDS), NO, "1.25 of `requests.put`"),
        (
            Requirement("x", 1.2, BARE, least=ONE_FIELD),
            "no; missed as well: one field, no code",
            "1.25 of `requests.put`",
        ),
        (Requirement("x", 1.25, BARE, least=ONE_FIELD), YES, "1.25 of `requests.put`"),
    ],
)
def test_verdict(requirement: Requirement, verdict: str, found: str) -> None:
    others = {BARE: 4, THEIRS: 500, FLOOR: 4, SAME_FIELDS: 4.8, ONE_FIELD: 4.9}
    measured = figure("x", **{OURS: 5, **others})

    assert requirement.verdict(measured) == verdict
    assert requirement.found(measured) == found


def test_each_requirement_is_of_a_figure_that_is_measured() -> None:
    assert {requirement.figure for requirement in REQUIREMENTS} <= set(NAMES)


def test_failures_name_the_figure() -> None:
    assert failures(figures(0)) == []
    assert len(failures(figures(1000))) == len(REQUIREMENTS)
    assert failures(figures(1000))[0].startswith(imports.TIME)


def test_page_has_a_row_for_each_figure_and_a_verdict_for_each_requirement() -> None:
    text = page.render(figures(1000))

    assert [
        row.split("|")[1].split(" (")[0].strip() for row in text.splitlines() if "Airflow's)" in row
    ] == NAMES
    assert text.count("**no**") == len(REQUIREMENTS)
    assert "; missed as well" not in text


def test_what_others_miss_too_is_no_failure_but_said() -> None:
    measured = figures(0)
    slow = {OURS: 150.0, BARE: 100.0, THEIRS: 200.0, FLOOR: 145.0}
    measured[updates.ONE] = figure(updates.ONE, **slow)

    assert failures(measured) == []
    assert "| no; missed as well: Airflow's<br>yes<br>yes |" in page.render(measured)


def test_plot_is_a_small_picture() -> None:
    text = plot.render(figures(10), [0.01 * number for number in range(400)])

    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert len(text) < 100_000


def test_limit_counts_by_the_second() -> None:
    limit = FixedWindow(2)

    assert [limit.retry_after(now) for now in (7.5, 7.6, 7.7, 8.4)] == [None, None, 1, 1]
    assert [limit.retry_after(now) for now in (8.5, 10.6, 10.7, 11.0)] == [None, None, None, 1]


def test_service_ends_with_whoever_started_it() -> None:
    program = (
        "from dev.benchmarks import server\n"
        "with server.running() as service:\n"
        "    print(service.url, flush=True)\n"
        "    input()\n"
    )
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        assert listens(port)
        process.kill()

    for _ in range(100):
        if not listens(port):
            return
        time.sleep(0.1)
    pytest.fail("The service is still there.")


@pytest.mark.usefixtures("prepared")
class TestOneRound:
    """Each measurement runs, and has a value for all that a requirement needs."""

    @pytest.mark.parametrize("measurement", [imports, tasks, updates])
    def test_runs(self, measurement: object) -> None:
        self.check(measurement.measure(rounds=1))  # type: ignore[attr-defined]

    def test_parsing(self) -> None:
        self.check(parsing.measure(rounds=1, operators=2))

    def test_rate_limit(self) -> None:
        measured, accepted = rate_limit.measure(updates=48)

        self.check(measured)
        assert len(accepted) == 48
        assert measured[-1].values[OURS] == 0

    def check(self, measured: list[Figure]) -> None:
        for found in measured:
            assert all(value >= 0 for value in found.values.values())
            for requirement in REQUIREMENTS:
                if requirement.figure == found.name:
                    needed = {OURS, requirement.over, requirement.least} - {None}
                    assert needed <= found.values.keys()
