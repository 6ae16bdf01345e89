"""Mutants: which ones are made, and whether a run finds those that make a test fail."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dev.mutation.choice import Choice
from dev.mutation.insertion import Functions
from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant, find
from dev.mutation.run import PACKAGE
from dev.mutation.score import known, named
from tests.conftest import ROOT


def mutants(folder: Path, code: str) -> list[Mutant]:
    file = folder / "module.py"
    file.write_text(code)
    return list(find(file))


@pytest.mark.parametrize(
    ("code", "mistakes"),
    [
        ("a = b < c", ["a = None", "b <= c"]),
        ("a = b and c", ["a = None", "b or c"]),
        ("a = not b", ["a = None", "b"]),
        ("a = 7", ["8"]),
        ("a = True", ["False"]),
        ("a = 'b'", ["'bX'"]),
        ("a(b, c, d=e)", ["pass", "a(b, d=e)", "a(b, c)"]),
        ("a = ContextVar('a')", ["a = None", "ContextVar()"]),
        ("a = min(b)", ["a = None", "min()", "max(b)"]),
        ("a = b if c else d", ["a = None", "b", "d"]),
        ("if a: pass", ["if not a"]),
        ("a = [b, 1]", ["a = None", "[1]", "2"]),
        ("a = {b: c}", ["a = None", "{}"]),
        ("a = [b for b in c if d]", ["a = None", "for b in c"]),
        ("a = lambda: b", ["a = None", ast.unparse(ast.parse("lambda: None"))]),
        ("a += b", ["pass"]),
        ("raise a", ["pass"]),
        ("def a(): return b", ["return None"]),
        ("while a: break", ["while not a", "pass"]),
    ],
)
def test_each_piece_of_code_has_its_mistakes(
    code: str, mistakes: list[str], tmp_path: Path
) -> None:
    assert [mutant.after for mutant in mutants(tmp_path, code)] == mistakes


@pytest.mark.parametrize(
    "code",
    [
        '"""A docstring."""',
        "a: list[int]",
        "def a(b: int) -> dict[str, int]: pass",
        "if TYPE_CHECKING:\n    import a",
        "assert a < b",
        "raise NotImplementedError",
        "T = TypeVar('T')",
        "Check = Callable[[str], bool]",
        "Schema = Mapping[str, Any]",
    ],
)
def test_what_no_test_could_notice_is_left_alone(code: str, tmp_path: Path) -> None:
    assert mutants(tmp_path, code) == []


def test_what_is_frozen_stays_so(tmp_path: Path) -> None:
    found = mutants(tmp_path, "@dataclass(frozen=True)\nclass A:\n    pass")
    assert [mutant.after for mutant in found] == []


def test_wording_is_left_alone(tmp_path: Path) -> None:
    found = mutants(tmp_path, "a('two words', f'two {words}', 'word', f'/{path}')")
    assert [mutant.after for mutant in found if mutant.before != found[0].before] == [
        "'wordX'",
        "'/X'",
    ]


def imported(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("module", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_function_that_is_imported_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("class A:\n    @property\n    def b(self):\n        return 7 + 1\n")
    object_ = imported(file).A()
    assert object_.b == 8

    (minus,) = [mutant for mutant in find(file) if mutant.after == "7 - 1"]
    Functions(tmp_path).change(minus)
    assert object_.b == 6


def test_a_function_that_another_has_made_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def make():\n    def add(a):\n        return a + 1\n    return add\n")
    module = imported(file)
    add = module.make()

    (minus,) = [mutant for mutant in find(file) if mutant.after == "a - 1"]
    Functions(tmp_path).change(minus)
    assert add(7) == 6
    assert module.make()(7) == 6


def test_each_way_through_a_function_has_its_turn_and_slow_tests_come_last(tmp_path: Path) -> None:
    code = "def a(b):\n    if b > 1:\n        return c\n    return b\n"
    mutant = next(found for found in mutants(tmp_path, code) if found.after == "b >= 1")
    usual = [f"usual.py::test[{number}]" for number in range(3)]
    others = ["rare.py::test", "broad.py::test", "slow.py::test"]
    every = frozenset({*usual, *others, "failing.py::test"})
    seconds = {**dict.fromkeys(every, 0.125), "slow.py::test": 1.0}
    lines = {2: every, 3: frozenset({"rare.py::test"}), 4: every - {"rare.py::test"}}
    elsewhere = {number: frozenset({"broad.py::test"}) for number in range(9)}
    failing = frozenset({"failing.py::test"})
    places = {mutant.file: lines, tmp_path / "other.py": elsewhere}
    choice = Choice(Measurement(seconds, failing, places))

    first = ["rare.py::test", usual[0], usual[1], usual[2], "broad.py::test", "slow.py::test"]
    assert choice.tests(mutant) == first
    choice.note(mutant, "slow.py::test")
    assert choice.tests(mutant)[0] == "slow.py::test"
    choice.leave_out("rare.py::test")
    assert "rare.py::test" not in choice.tests(mutant)


def test_half_of_the_time_is_for_tests_in_the_folder_of_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("package/jobs").mkdir(parents=True)
    (mutant, *_) = mutants(Path("package/jobs"), "def a(b):\n    return b\n")
    near = [f"tests/jobs/test_near.py::test_{number:02}" for number in range(20)]
    far = [f"tests/test_far.py::test_{number:02}" for number in range(20)]
    # Those that are near run more of the package.
    lines = {2: frozenset([*near, *far]), 9: frozenset(near)}
    seconds = dict.fromkeys([*near, *far], 1.0)
    choice = Choice(Measurement(seconds, frozenset(), {mutant.file.resolve(): lines}))
    assert choice.tests(mutant) == near[:12] + far[:12]


def test_a_test_file_that_must_be_imported_again_costs_time(tmp_path: Path) -> None:
    (mutant, *_) = mutants(tmp_path, "def a(b):\n    return b\n")
    seconds = {f"{number}.py::test": 0.7 for number in range(100)}
    lines = {2: frozenset(seconds)}
    choice = Choice(Measurement(seconds, frozenset(), {mutant.file: lines}))
    assert len(choice.tests(mutant)) == 34
    at_import = {2: frozenset({*seconds, ""})}
    choice = Choice(Measurement(seconds, frozenset(), {mutant.file: at_import}))
    assert len(choice.tests(mutant)) == 24


def test_each_survivor_that_is_known_is_a_mutant_and_has_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    reasons = known()
    files = {PACKAGE / name.partition(" ")[0] for name in reasons}
    found = {named(mutant) for file in files for mutant in find(file)}
    assert reasons.keys() - found == set()
    assert all(reason.endswith(".") for reason in reasons.values())


CODE = '''"""A module."""

LIMIT = 7
TWICE = 2 * LIMIT


def clip(number):
    """Limit a number."""
    return LIMIT if number > LIMIT else number


def unused(number):
    """Do what no test asks for."""
    return number + 1
'''
TESTS = """
from airflow_provider_datafold import limits

def test_clip():
    assert limits.LIMIT == 7
    assert (limits.clip(6), limits.clip(8)) == (6, 7)
"""


@pytest.mark.whole
def test_a_run_finds_what_tests_notice(tmp_path: Path) -> None:
    for path, content in {
        "airflow_provider_datafold/__init__.py": "",
        "airflow_provider_datafold/limits.py": CODE,
        "tests/__init__.py": "",
        "tests/test_limits.py": TESTS,
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)

    command = [sys.executable, "-m", "dev.mutation"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 1, done.stderr
    survived = (tmp_path / ".mutation" / "survived.txt").read_text().splitlines()
    assert sorted(line.split(": ", 1)[1] for line in survived) == [
        "1  ->  2",
        "2  ->  3",
        "2 * LIMIT  ->  2 / LIMIT",
        "TWICE = 2 * LIMIT  ->  TWICE = None",
        "number + 1  ->  number - 1",
        "number > LIMIT  ->  number >= LIMIT",
        "return number + 1  ->  return None",
    ]
    assert "11 of 11 mutants: 4 killed, 7 survived, 0 late; 36.4% found" in done.stdout
