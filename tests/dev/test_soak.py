"""How the soak judges what it has measured, and where it writes that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dev.faults.page import PATH, last_section, with_last_section
from dev.soak import page
from dev.soak.watch import Growth, Sample, Watch, growth

FLAT = Growth(processes=(2, 2), memory=(200.0, 204.0), files=(20, 21))


def samples(memory: list[float], files: list[int]) -> list[Sample]:
    return [
        Sample(float(at), 1, mb, count)
        for at, (mb, count) in enumerate(zip(memory, files, strict=True))
    ]


def test_the_first_quarter_is_compared_with_the_last() -> None:
    found = growth(samples([100, 100, 500, 500, 500, 500, 100, 102], [9, 9, 50, 50, 50, 50, 9, 9]))
    assert (found.memory, found.files) == ((100, 101), (9, 9))
    assert found.is_flat


@pytest.mark.parametrize(
    "found",
    [
        Growth(processes=(2, 2), memory=(200.0, 220.0), files=(20, 20)),
        Growth(processes=(2, 2), memory=(200.0, 200.0), files=(20, 23)),
    ],
)
def test_what_grows_is_not_flat(found: Growth) -> None:
    assert not found.is_flat


def test_a_process_is_measured() -> None:
    code = (
        "import os, time; kept = b'x' * 10**8, open(os.devnull); print(flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        watch = Watch({"it": lambda: {process.pid}})
        watch.look()
        found = watch.growths()["it"]
    finally:
        process.kill()
        process.wait()
    assert found.memory[0] > 100
    assert found.files[0] >= 4


def test_the_section_takes_the_place_of_the_one_before() -> None:
    old = PATH.read_text()
    faults = old.removesuffix(last_section(old))
    section = page.render(30, {"asked for": "300 gates"}, {"hook": FLAT})

    new = with_last_section(old, section)

    assert new == f"{faults}\n{section}"
    assert new == faults + last_section(new)
    assert with_last_section(new, section) == new
    assert "| hook | 2 | 200 MB | 204 MB | 20 | 21 |" in section
