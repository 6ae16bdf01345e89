"""The benchmarks themselves: each one runs, and its figures are judged."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

pytest.importorskip("airflow.providers.http")
pytest.importorskip("airflow.sdk")

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.benchmarks import (
    environment,
    imports,
    jobs,
    page,
    plot,
    run,
    serialize,
    update,
    waits,
)
from dev.benchmarks.__main__ import main
from dev.benchmarks.figure import (
    BARE,
    DBT,
    DBT_SHIPPED,
    EMPTY,
    FLOOR,
    OURS,
    THEIRS,
    Figure,
    interleave,
    medians,
)
from dev.benchmarks.requirement import REQUIREMENTS, Requirement, missed
from dev.local_airflow.ports import listens
from tests.conftest import ROOT

WAITED = (waits.LAG, waits.POLLS, waits.LATE, waits.LATEST, waits.MEMORY, waits.CPU)
NAMES = [
    *(imports.TIME, imports.TIME_OF_ALL, serialize.SERIALIZE, update.ONE),
    *(waits.name_of(scheme, what) for scheme in ("http", "https") for what in WAITED),
    *(waits.SLOW_LATE, waits.SLOW_LATEST),
    *(waits.LONG_POLLS, waits.LONG_LATE, waits.LONG_RATE),
]


@pytest.fixture
def prepared() -> Iterator[None]:
    with environment.prepared():
        yield


def figure(name: str, **values: float) -> Figure:
    return Figure(name, "ms", values, "Airflow's")


WAITS = waits.Waits(0.1, 5.0, 1.0, [3, 4, 5], [10.0, 20.0, 0.0])


def figures(ours: float) -> dict[str, Figure]:
    others = dict.fromkeys((BARE, THEIRS, FLOOR, EMPTY), 100.0)
    waited = dict.fromkeys((DBT, DBT_SHIPPED), 100.0)
    return {
        name: figure(name, **{OURS: ours, **(waited if ": " in name else others)}) for name in NAMES
    }


def test_contenders_take_turns() -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "ab"}

    found = interleave(ways, rounds=3)

    assert calls == ["a", "b"] * 4
    assert medians(found) == {"a": 5.0, "b": 6.0}


@pytest.mark.parametrize(
    ("requirement", "is_met", "found", "limit"),
    [
        (Requirement("x", 5), True, "5 ms", "5 ms"),
        (Requirement("x", 4.9), False, "5 ms", "4.9 ms"),
        (Requirement("x", 1.25, BARE), True, "1.25 of `requests.put`", "1.25 of `requests.put`"),
        (Requirement("x", 1.2, BARE), False, "1.25 of `requests.put`", "1.2 of `requests.put`"),
        (Requirement("x", 1.24, FLOOR), False, "1.25 of Airflow's", "1.24 of Airflow's"),
        (Requirement("x", 1, THEIRS), True, "0.5 of `HttpOperator`", "1 of `HttpOperator`"),
    ],
)
def test_requirement(requirement: Requirement, is_met: bool, found: str, limit: str) -> None:
    measured = figure("x", **{OURS: 5, BARE: 4, THEIRS: 10, FLOOR: 4})

    assert requirement.is_met(measured) is is_met
    assert requirement.found(measured) == found
    assert requirement.limit(measured) == limit


@pytest.mark.usefixtures("prepared")
def test_operator_without_code_has_the_same_template_fields() -> None:
    ours = DatafoldUpdateHightouchOperator(
        task_id="update",
        **{name: f"{{{{ params.{name} }}}}" for name in update.SCHEDULE},
        bi_datasource_id="{{ params.bi_datasource_id }}",
    )
    blank = serialize.without_code()(task_id="update")

    assert blank.template_fields == tuple(ours.template_fields)
    for name in ours.template_fields:
        assert getattr(blank, name) == getattr(ours, name)


def test_each_requirement_is_of_a_figure_that_is_measured() -> None:
    assert {requirement.figure for requirement in REQUIREMENTS} <= set(NAMES)


@pytest.mark.parametrize(
    ("ours", "sentences"),
    [
        (125, []),
        (
            126,
            [
                'This provider misses a limit: "one update, from operator to response" is '
                "1.26 of ten lines by hand, and the limit is 1.25 of ten lines by hand."
            ],
        ),
        (
            220,
            [
                'This provider misses a limit: "one update, from operator to response" is '
                "2.2 of ten lines by hand, and the limit is 1.25 of ten lines by hand.",
                'This provider misses a limit: "one update, from operator to response" is '
                "1.1 of `HttpOperator`, and the limit is 1.05 of `HttpOperator`.",
            ],
        ),
    ],
)
def test_a_sentence_for_each_missed_limit(ours: float, sentences: list[str]) -> None:
    measured = figures(0)
    # Slower than ten times a bare request, for which there is no limit.
    others = {BARE: 10.0, THEIRS: 200.0, FLOOR: 100.0}
    measured[update.ONE] = Figure(update.ONE, "ms", {OURS: ours, **others}, "ten lines by hand")

    assert missed(measured) == sentences
    text = page.render(measured)
    assert all(sentence in text for sentence in sentences)
    assert text.count("This provider misses a limit") == len(sentences)
    assert ("This provider keeps every limit." in text) is (not sentences)
    assert text.count("**no**") == len(sentences)


def test_page_has_a_row_for_each_figure_and_an_outcome_for_each_requirement() -> None:
    text = page.render(figures(1000))

    rows = [row.split("|")[1] for row in text.splitlines() if "Airflow's)" in row]
    assert [row.split(" (")[0].strip() for row in rows] == NAMES
    assert text.count("**no**") == len(REQUIREMENTS) == len(missed(figures(1000)))


@pytest.mark.parametrize(("ours", "code"), [(0, 0), (1000, 1)])
def test_exit_code(
    ours: float,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = figures(ours)
    drawn: list[object] = []
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    monkeypatch.setattr(run, "measure", lambda: (measured, {OURS: WAITS}))
    monkeypatch.setattr(page, "PATH", tmp_path / "performance.md")
    monkeypatch.setattr(plot, "draw", drawn.append)

    assert main() == code

    assert page.PATH.read_text() == page.render(measured)
    assert drawn == [{OURS: WAITS}]
    assert capsys.readouterr().err.splitlines() == missed(measured)


def test_jobs_are_the_same_for_each_contender() -> None:
    lengths = jobs.lengths(1000)
    assert lengths == jobs.lengths(1000)
    assert jobs.SHORTEST <= min(lengths) < median(lengths) < 15 < max(lengths) <= jobs.LONGEST


def test_long_jobs_are_computed_from_the_polling_rule() -> None:
    found = {figure.name: figure.values for figure in waits.compute_long()}

    assert found[waits.LONG_POLLS][DBT_SHIPPED] == 1 + 6 * 60
    assert found[waits.LONG_POLLS][DBT] == 1 + 6 * 1800
    # Every 30 s, and a few more in the first minutes.
    assert 720 < found[waits.LONG_POLLS][OURS] < 750
    assert found[waits.LONG_RATE][OURS] == pytest.approx(1000 / 30)


def test_how_late_is_in_seconds_of_a_job() -> None:
    assert WAITS.late([4.0, 10.0, 45.0]) == [0.4, 2.0, 0.0]


def test_service_ends_with_the_process_that_started_it() -> None:
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


@pytest.mark.whole
@pytest.mark.usefixtures("prepared")
class TestOneRound:
    """Each measurement runs, and has a value for all that a requirement needs."""

    @pytest.mark.parametrize("measurement", [imports, update])
    def test_runs(self, measurement: object) -> None:
        self.check(measurement.measure(rounds=1))  # type: ignore[attr-defined]

    def test_serialize(self) -> None:
        self.check(serialize.measure(rounds=1, operators=2))

    @pytest.mark.parametrize("is_tls", [False, True])
    @pytest.mark.parametrize("contender", [OURS, DBT])
    def test_waits(self, contender: str, is_tls: bool) -> None:
        if contender == DBT:
            pytest.importorskip("airflow.providers.dbt.cloud")

        seen = waits.wait(contender, [0.2, 0.5, 1.5], is_tls=is_tls, pause=0.1)

        assert all(2 <= looks <= 4 for looks in seen.looks)
        assert all(late >= 0 for late in seen.shares)
        self.check(waits.figures_of("http", {OURS: seen, DBT: seen}))

    def check(self, measured: list[Figure]) -> None:
        for found in measured:
            assert all(value >= 0 for value in found.values.values())
            for requirement in REQUIREMENTS:
                if requirement.figure == found.name:
                    needed = {OURS, requirement.over} - {None}
                    assert needed <= found.values.keys()
