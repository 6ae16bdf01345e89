"""Monitors as code, from files to Datafold: whose a monitor is, what is done, and how often."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldConflictError,
    DatafoldError,
    DatafoldInputError,
    DatafoldPermissionError,
    DatafoldServerError,
    DatafoldUnreachableError,
    DatafoldValidationError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.monitors import account, apply as monitor_apply
from airflow_provider_datafold.jobs.monitors.ownership import owners, tags_of
from airflow_provider_datafold.operators.monitors import DatafoldApplyMonitorsOperator
from tests.conftest import API_KEY, Log
from tests.contexts import context_of
from tests.jobs.monitors.specs import KINDS, LEAST, changed
from tests.sending import failure

PAUSE = {"dangling_monitors_strategy": "pause"}
NOTHING: dict[str, list[str]] = {
    name: [] for name in ("created", "updated", "unchanged", "paused", "deleted")
}


@pytest.fixture(autouse=True)
def _quick(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_apply, "_PAUSES", (0.0, 0.01))


def operator(specs: Any, set_name: str = "shop", **arguments: Any) -> Any:
    return DatafoldApplyMonitorsOperator(
        task_id="apply", spec={"monitors": specs}, set_name=set_name, **arguments
    )


def apply(specs: Any, set_name: str = "shop", **arguments: Any) -> dict[str, list[str]]:
    """Apply specs, and leave out what is empty in the result."""
    task = operator(specs, set_name, **arguments)
    result = task.execute(context_of(task))
    ids = result.pop("ids")
    assert ids.keys() <= {*specs}
    assert result.keys() == NOTHING.keys()
    return {name: slugs for name, slugs in result.items() if slugs}


def refused(specs: Any, **arguments: Any) -> list[str]:
    """The lines of the error."""
    task = operator(specs, **arguments)
    error = failure(DatafoldConflictError, lambda: task.execute(context_of(task)))
    head, *lines = str(error).split("\n- ")
    assert head.endswith(". Nothing was changed.")
    return lines


def writes(sandbox: Any) -> list[str]:
    """The requests that change something, since the last time."""
    found = [f"{it.method} {it.path}" for it in sandbox.state.requests if it.method != "GET"]
    sandbox.state.requests.clear()
    return [each.replace("/api/v1/monitors/", "") for each in found]


def of(sandbox: Any, slug: str = "orders", set_name: str = "shop", **edited: Any) -> dict[str, Any]:
    """The monitor of a slug, after somebody has edited it by hand."""
    (found,) = [
        monitor
        for monitor in sandbox.state.monitors.monitors.values()
        if (set_name, slug) in owners(monitor["tags"])
    ]
    found.update(edited)
    return dict(found)


def add(sandbox: Any, kind: str = "test", **fields: Any) -> int:
    """A monitor that somebody has made by hand."""
    body = {name: item for name, item in LEAST[kind].items() if name != "type"}
    return int(sandbox.state.monitors.add(kind, {**body, "name": "By hand", **fields}))


def refuse(error: DatafoldError) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def rejects(monkeypatch: pytest.MonkeyPatch, name: str, error: DatafoldError) -> None:
    """Let a request about a monitor of that name fail."""
    send = JobHook.send

    def sent(self: Any, request: Request) -> Any:
        if request.body["name"] == name:
            raise error
        return send(self, request)

    monkeypatch.setattr(JobHook, "send", sent)


def spec(kind: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(LEAST[kind])), **changes}


# A folder of thirty monitors.

THIRTY = {
    f"{kind}_{number}": spec(kind, tags=["Nightly"], description=f"{kind} {number}\n")
    for number in range(8)
    for kind in KINDS
    if number < 7 or kind in ("diff", "test")
}


def test_thirty_monitors_in_an_account_of_250(sandbox: Any, tmp_path: Path) -> None:
    for number in range(246):
        add(sandbox, name=f"Other {number}")
    others = json.dumps(sandbox.state.monitors.monitors)
    specs = json.loads(json.dumps(THIRTY))
    asked: list[int] = []

    def run(**arguments: Any) -> dict[str, list[str]]:
        for kind in KINDS:
            mine = {slug: each for slug, each in specs.items() if each["type"] == kind}
            (tmp_path / f"{kind}.yaml").write_text(yaml.safe_dump({"monitors": mine}))
        sandbox.state.requests.clear()
        task = DatafoldApplyMonitorsOperator(
            task_id="apply", files=f"{tmp_path}/*.yaml", set_name="shop", **arguments
        )
        result = task.execute(context_of(task))
        asked.append(len(sandbox.state.requests))
        assert result.pop("ids").keys() == {
            *(
                slug
                for slug in specs
                if not (arguments.get("dry_run") and slug in result["created"])
            )
        }
        # The sandbox refuses what does not fit the published contract.
        assert {seen.status for seen in sandbox.state.requests} == {200}
        return {name: slugs for name, slugs in result.items() if slugs}

    assert run() == {"created": sorted(THIRTY)}
    assert run() == {"unchanged": sorted(THIRTY)}
    # Changed: in what Datafold returns, in what it does not, in a name, in whether it is enabled.
    specs["metric_0"]["tags"] = ["daily"]
    specs["diff_0"]["datadiff"]["primary_key"] = ["number"]
    specs["schema_0"]["name"] = "Columns"
    specs["test_0"]["enabled"] = False
    assert run()["updated"] == ["diff_0", "metric_0", "schema_0", "test_0"]
    assert run() == {"unchanged": sorted(THIRTY)}
    for slug in ("diff_1", "metric_1"):
        del specs[slug]
    assert run(dangling_monitors_strategy="pause")["paused"] == ["diff_1", "metric_1"]
    assert run(dangling_monitors_strategy="delete")["deleted"] == ["diff_1", "metric_1"]
    assert run(dangling_monitors_strategy="delete") == {"unchanged": sorted(specs)}
    assert asked == [
        # The account has pages of 100; 30 creations, each with a look; the account again.
        3 + 30 * 2 + 3,
        3 + 30,
        3 + 30 + 3 * 2 + 1,
        3 + 30,
        3 + 28 + 2 * 3,
        3 + 28 + 2 * 2,
        3 + 28,
    ]
    left = {
        number: monitor
        for number, monitor in sandbox.state.monitors.monitors.items()
        if not owners(monitor["tags"])
    }
    assert json.dumps(left) == others
    assert of(sandbox, "schema_0")["name"] == "Columns"
    assert of(sandbox, "diff_0")["datadiff"]["primary_key"] == ["number"]


# Whose a monitor is.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b/c"), ("a/b", "c")),
        (("a", "b"), ("A", "b")),
        (("a", "b"), ("a", "B")),
        (("a:b", "c"), ("a", "b:c")),
        (("a,b", "c"), ("a", "b,c")),
        (("a", "%62"), ("a", "b")),
        (("a", "b"), ("a", "b ")),
        (("ä", "b"), ("a", "b")),
    ],
)
def test_no_two_pairs_look_alike(one: tuple[str, str], other: tuple[str, str]) -> None:
    tags = [tags_of(*pair, "x")[0] for pair in (one, other)]

    assert tags[0] != tags[1]
    for pair, tag in zip((one, other), tags, strict=True):
        assert owners([tag]) == owners([tag.upper()]) == {pair}
        assert tag == tag.lower()
        assert "," not in tag


@pytest.mark.parametrize(
    "tag",
    [
        "airflow-set:shop",
        "airflow-set:shop/",
        "airflow-set:/orders",
        "airflow-set:shop/orders/daily",
        "airflow-set:shop/orders daily",
        "airflow-set:shop/%6frders",
        "airflow-set:shop/%",
        "airflow-spec:mine",
    ],
)
def test_a_tag_that_the_operator_would_not_write_is_somebody_else_s(tag: str, sandbox: Any) -> None:
    by_hand = add(sandbox, tags=[tag, "airflow-spec:1-2"])
    kept = [{**each} for each in sandbox.state.monitors.monitors.values()]

    assert apply({}, dangling_monitors_strategy="delete") == apply({}, **PAUSE) == {}
    assert [*sandbox.state.monitors.monitors.values()] == kept
    # Nor is it taken off where it stands.
    apply({"orders": spec("test", id=by_hand)})
    assert of(sandbox)["tags"][:2] == [tag, "airflow-spec:1-2"]


def test_a_renamed_monitor_stays_the_same(sandbox: Any) -> None:
    apply({"orders": spec("test", name="One")})
    number = of(sandbox)["id"]
    # Without a name in the spec, its name is the slug, whatever somebody makes of it.
    for named, name in (({"name": "Two"}, "Two"), ({}, "orders")):
        assert apply({"orders": spec("test", **named)}) == {"updated": ["orders"]}
        assert (of(sandbox)["id"], of(sandbox)["name"]) == (number, name)


def test_neither_another_set_nor_a_monitor_of_the_same_name_is_touched(sandbox: Any) -> None:
    by_hand = add(sandbox, name="orders")
    assert apply({"orders": spec("test")}, "one") == {"created": ["orders"]}
    assert of(sandbox, "orders", "one")["id"] != by_hand
    apply({"orders": spec("schema")}, "two")
    writes(sandbox)

    assert apply({}, "one", dangling_monitors_strategy="delete") == {"deleted": ["orders"]}

    assert len(writes(sandbox)) == 1
    assert of(sandbox, "orders", "two")["monitor_type"] == "schema"
    assert sandbox.state.monitors.monitors[by_hand]["tags"] == []


def test_tags_of_others_stay(sandbox: Any) -> None:
    apply({"orders": spec("test")})
    own = list(of(sandbox)["tags"])
    of(sandbox, tags=["By hand", *own])

    # Without tags in the spec.
    assert apply({"orders": spec("test")}) == {"unchanged": ["orders"]}
    apply({"orders": spec("test", owner="ann@example.com")})
    assert of(sandbox)["tags"] == ["By hand", *own]
    # With them.
    for tags in (["x"], []):
        assert apply({"orders": spec("test", tags=tags)}) == {"updated": ["orders"]}
        assert of(sandbox)["tags"] == [*tags, *own]


def test_monitors_whose_tags_name_no_single_owner_are_refused(sandbox: Any) -> None:
    apply({"orders": spec("test"), "sums": spec("metric")})
    first = of(sandbox)
    copy = add(sandbox, tags=first["tags"])
    both = add(sandbox, tags=["airflow-set:shop/one", "airflow-set:other/two"])
    writes(sandbox)
    doubled = (
        f"orders: monitors {first['id']}, {copy} have the tag 'airflow-set:shop/orders', so it is "
        f"not clear which one is meant. Delete all but one, or take the tag off copies."
    )
    of_two = (
        f"one: monitor {both} has more than one tag that starts with 'airflow-set:'. Take off all "
        f"but 'airflow-set:shop/one'."
    )
    specs = {"orders": spec("test"), "one": spec("test"), "new": spec("test")}

    assert refused(specs) == [f"spec: {doubled}", f"spec: {of_two}"]
    # Nor is one of them deleted.
    assert refused({}, dangling_monitors_strategy="delete") == [doubled, of_two]
    assert writes(sandbox) == []


# Take a monitor over.


def test_a_monitor_is_taken_over(sandbox: Any, log: Log) -> None:
    number = add(sandbox, "diff", tags=["By hand"], enabled=False)

    specs = {"orders": spec("diff", id=number, name="By hand")}
    assert apply(specs) == {"updated": ["orders"]}

    assert f"Updated monitor {number}, 'orders': taken over." in log.messages
    assert log.warnings == [
        f"Monitor {number}, 'orders': cannot compare, because Datafold does not return: "
        f"datadiff.diff_type.",
        f"Monitor {number}, 'orders', is paused and stays so. To resume it, write 'enabled: true'.",
    ]
    monitor = of(sandbox, "orders")
    assert (monitor["id"], monitor["tags"][0], monitor["enabled"]) == (number, "By hand", False)
    assert apply(specs) == {"unchanged": ["orders"]}
    # From now on the tag is enough.
    assert apply({"orders": spec("diff", name="By hand")}) == {"unchanged": ["orders"]}


def test_what_cannot_be_taken_over(sandbox: Any) -> None:
    apply({"mine": spec("test"), "sums": spec("metric")})
    apply({"theirs": spec("test")}, "other")
    mine, sums, theirs = (
        of(sandbox, *each)["id"] for each in (("mine",), ("sums",), ("theirs", "other"))
    )
    move = (
        "To move it here, remove its two tags that begin with 'airflow-' in Datafold's app, and "
        "apply again."
    )
    by_hand, unknown = add(sandbox), add(sandbox)
    sandbox.state.monitors.monitors[unknown]["monitor_type"] = None
    writes(sandbox)

    assert refused(
        {
            "a": spec("test", id=theirs),
            "b": spec("test", id=mine),
            "c": spec("metric", id=by_hand),
            "d": spec("test", id=99_999),
            "e": spec("test", id=by_hand),
            "f": spec("test", id=by_hand),
            "g": spec("test", id=unknown),
            "mine": spec("test", id=by_hand),
            "sums": spec("schema"),
        }
    ) == [
        f"spec: a: id: monitor {theirs} belongs to the slug 'theirs' of the set 'other'. {move}",
        f"spec: b: id: monitor {mine} belongs to the slug 'mine' of the set 'shop'. {move}",
        f"spec: c: type: monitor {by_hand} is of type 'test', not 'metric'. Use another slug, or "
        f"delete the monitor.",
        "spec: d: id: there is no monitor 99999. Leave id out to create one.",
        f"spec: f: id: another slug takes over {by_hand}, too.",
        f"spec: g: type: monitor {unknown} is of type None, not 'test'. Use another slug, or "
        f"delete the monitor.",
        f"spec: mine: id: monitor {mine} already is this slug's, not {by_hand}. Delete it first, "
        f"or leave id out.",
        f"spec: sums: type: monitor {sums} is of type 'metric', not 'schema'. Use another slug, or "
        f"delete the monitor.",
    ]
    assert writes(sandbox) == []


def test_no_traceback_shows_a_secret_of_a_file(sandbox: Any, tmp_path: Path) -> None:
    secret = "planted-password-3b8a"
    orders = spec("diff", id=99_999)
    orders["datadiff"]["dataset_a"]["session_parameters"] = {"password": secret}
    file = tmp_path / "a.yaml"
    task = DatafoldApplyMonitorsOperator(task_id="apply", files=str(file), set_name="shop")
    # An error of what is read, and an error of the plan.
    for wrong in ({"orders": orders, "b": {}}, {"orders": orders}):
        file.write_text(yaml.safe_dump({"monitors": wrong}))
        with pytest.raises(DatafoldError) as caught:
            task.execute(context_of(task))
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in shown.stack if "airflow_provider_datafold" in frame.filename]
        assert frames
        assert secret not in "".join(f"{frame.locals}" for frame in frames)


# What changed.


def test_an_update_sends_what_differs_and_our_tags(sandbox: Any) -> None:
    apply({"orders": spec("diff", tags=["a"])})
    monitor = of(sandbox, "orders")
    other = spec("diff", tags=["a"], schedule={"type": "none"})
    sandbox.state.requests.clear()

    apply({"orders": changed(other, "datadiff.sampling", {"rate": 0.5})})

    (request,) = [seen for seen in sandbox.state.requests if seen.method != "GET"]
    assert request.path.endswith(f"/{monitor['id']}/update")
    sent = json.loads(request.body)
    assert sent.pop("tags")[:2] == ["a", "airflow-set:shop/orders"]
    assert sent == {
        "type": "diff",
        "name": "orders",
        "schedule": {"type": "none"},
        "datadiff": {"diff_type": "indb", "primary_key": ["id"], "sampling": {"rate": 0.5}},
    }


def test_a_monitor_is_only_switched(sandbox: Any) -> None:
    apply({"orders": spec("test")})
    writes(sandbox)

    assert apply({"orders": spec("test", enabled=False)}) == {"updated": ["orders"]}
    assert apply({"orders": spec("test", enabled=False)}) == {"unchanged": ["orders"]}

    assert writes(sandbox) == [f"PUT {of(sandbox)['id']}/toggle"]


def test_a_monitor_that_a_person_paused_stays_paused(sandbox: Any) -> None:
    specs = {"orders": spec("test"), "sums": spec("metric", enabled=True)}
    apply(specs)
    for slug in specs:
        of(sandbox, slug, enabled=False)

    assert apply(specs) == {"unchanged": ["orders"], "updated": ["sums"]}
    assert [of(sandbox, slug)["enabled"] for slug in specs] == [False, True]


@pytest.mark.parametrize(
    ("kind", "path", "was"),
    [("diff", "datadiff.dataset_a.table", "a"), ("metric", "metric.table", "a")],
)
def test_what_datafold_cannot_change_is_refused(
    kind: str, path: str, was: Any, sandbox: Any
) -> None:
    apply({"orders": spec(kind)})
    writes(sandbox)

    assert refused({"orders": changed(LEAST[kind], path, "b"), "new": spec("test")}) == [
        f"spec: orders: {path}: is {was!r} at Datafold, not 'b'. Datafold cannot change it. "
        f"Undo that, use another slug, or delete the monitor and apply again."
    ]
    assert writes(sandbox) == []


def test_a_monitor_that_is_taken_over_keeps_what_datafold_cannot_change(sandbox: Any) -> None:
    number = add(sandbox, "schema", table="DB.PUBLIC." + "X" * 300)
    writes(sandbox)

    (line,) = refused({"orders": spec("schema", id=number, connection_id=2, table="b")})

    assert line.startswith("spec: orders: connection_id: is 1 at Datafold, not 2; table: is 'DB.P")
    assert line.endswith(
        "not 'b'. Datafold cannot change them. Write Datafold's values into the file, or leave id "
        "out to create another monitor."
    )
    assert len(line) < 500
    assert writes(sandbox) == []


def test_no_error_shows_a_secret_that_differs(sandbox: Any) -> None:
    secret = "planted-password-3b8a"
    number = add(sandbox, "diff")
    orders = spec("diff", id=number)
    orders["datadiff"]["dataset_a"] |= {"table": "b", "session_parameters": {"password": secret}}
    orders["datadiff"]["dataset_b"] = {"connection_id": 1, "query": f"select '{API_KEY}'"}

    (line,) = refused({"orders": orders})

    assert "datadiff.dataset_a.table: is 'a' at Datafold, not 'b'" in line
    assert secret not in line
    assert API_KEY not in line


def test_what_datafold_neither_returns_nor_changes_is_refused(sandbox: Any) -> None:
    apply({"orders": spec("diff")})
    session = changed(LEAST["diff"], "datadiff.dataset_a.session_parameters", {"role": "reader"})
    writes(sandbox)

    assert refused({"orders": session}) == [
        "spec: orders: a field was changed that Datafold neither returns nor changes: "
        "datadiff.diff_type, datadiff.dataset_a.session_parameters, or one that was taken out. "
        "Undo that, use another slug, or delete the monitor and apply again."
    ]
    assert writes(sandbox) == []


# What is in no file any more.


def test_dangling_monitors_are_ignored(sandbox: Any, task_log: Log) -> None:
    apply({"orders": spec("test")})
    writes(sandbox)

    assert apply({}) == {}

    assert writes(sandbox) == []
    assert "In no file, and left alone: 'orders'." in task_log.messages


def test_dangling_monitors_are_paused_and_resumed(sandbox: Any) -> None:
    specs = {"orders": spec("test", tags=["a"]), "off": spec("test")}
    apply(specs)
    marks = {slug: of(sandbox, slug)["tags"] for slug in specs}
    # This one a person has paused.
    of(sandbox, "off", enabled=False)

    assert apply({}, **PAUSE) == {"paused": ["orders"]}
    assert of(sandbox)["enabled"] is False
    assert apply({}, **PAUSE) == {}

    assert apply(specs) == {"updated": ["orders"], "unchanged": ["off"]}
    assert [of(sandbox, slug)["enabled"] for slug in specs] == [True, False]
    assert {slug: of(sandbox, slug)["tags"] for slug in specs} == marks
    assert apply(specs) == {"unchanged": ["off", "orders"]}


def test_a_paused_monitor_that_a_file_wants_paused(sandbox: Any) -> None:
    apply({"orders": spec("test")})
    apply({}, **PAUSE)

    off = {"orders": spec("test", enabled=False)}
    assert apply(off) == {"updated": ["orders"]}
    assert of(sandbox)["enabled"] is False
    assert apply(off) == {"unchanged": ["orders"]}


def test_a_pause_that_was_not_finished_is_done_again(sandbox: Any) -> None:
    apply({"orders": spec("test")})
    apply({}, **PAUSE)
    # The task was killed between the mark and the pause.
    tags = of(sandbox, enabled=True)["tags"]

    assert apply({}, **PAUSE) == {"paused": ["orders"]}
    assert of(sandbox)["tags"] == tags


@pytest.mark.parametrize("step", ["toggle_monitor", "send"])
def test_a_resume_that_was_not_finished_is_done_again(
    step: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = {"orders": spec("test")}
    apply(specs)
    apply({}, **PAUSE)
    with monkeypatch.context() as patch:
        patch.setattr(JobHook, step, refuse(LOST))
        with pytest.raises(DatafoldServerError):
            apply(specs)

    assert apply(specs) == {"updated": ["orders"]}

    assert of(sandbox)["enabled"] is True
    assert apply(specs) == {"unchanged": ["orders"]}


def test_a_monitor_that_cannot_be_marked_is_not_paused(sandbox: Any) -> None:
    # When its file came back, nothing would say that it is to be resumed.
    apply({"orders": spec("test")})
    number = of(sandbox, monitor_type=None)["id"]
    writes(sandbox)

    (line,) = refused({}, **PAUSE)

    assert line.startswith(f"orders: monitor {number} cannot be paused")
    assert writes(sandbox) == []


def test_one_that_is_refused_holds_up_no_other(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply({"old": spec("test"), "other": spec("test")})
    rejects(monkeypatch, "two", DatafoldValidationError("POST: 422, name: taken"))
    rejects(monkeypatch, "other", DatafoldPermissionError("PATCH: 403"))
    names = ("one", "two", "three")
    specs = {name: spec("test") for name in names} | {"other": spec("test", owner="ann")}
    writes(sandbox)

    with pytest.raises(DatafoldValidationError) as caught:
        apply(specs, dangling_monitors_strategy="delete")

    assert str(caught.value).split("\n- ")[1:] == [
        "spec: two: POST: 422, name: taken",
        "spec: other: PATCH: 403",
    ]
    assert "No monitor was deleted for being in no file" in str(caught.value)
    assert writes(sandbox) == ["POST create/test"] * 2


def test_an_error_that_stops_it_says_at_which_monitor(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejects(monkeypatch, "zero", DatafoldValidationError("422"))
    rejects(monkeypatch, "two", DatafoldAuthenticationError("401. Nothing was sent."))

    with pytest.raises(DatafoldAuthenticationError) as caught:
        apply({name: spec("test") for name in ("zero", "one", "two", "three")})

    assert str(caught.value) == "spec: two: 401.\nBefore that, 1 error:\n- spec: zero: 422"
    assert writes(sandbox) == ["POST create/test"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_set_is_not_deleted_because_its_folder_is_half_there(dry_run: bool, sandbox: Any) -> None:
    specs = {f"m{number}": spec("test") for number in range(12)}
    apply(specs)
    delete = {"dangling_monitors_strategy": "delete", "dry_run": dry_run}
    writes(sandbox)

    (line,) = refused({"m0": spec("test")}, **delete)

    assert line == (
        "11 monitors of the set 'shop' are in no file and would be deleted, more than "
        "max_deleted=10 allows: 'm1', 'm10', 'm11', 'm2', 'm3', ... If they are to go, pass "
        "max_deleted=11."
    )
    kept = {f"m{number}": spec("test") for number in range(10)}
    (line,) = refused(kept, max_deleted=1, **delete)
    assert "allows: 'm10', 'm11'. If they are to go, pass max_deleted=2." in line
    assert writes(sandbox) == []
    assert len(apply({"m0": spec("test")}, max_deleted="11", **delete)["deleted"]) == 11
    assert apply({"m0": spec("test")}, max_deleted=0, dangling_monitors_strategy="ignore") != {}


def test_a_monitor_whose_tag_was_taken_off_meanwhile_is_not_deleted(
    sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply({"old": spec("test")})
    number = of(sandbox, "old")["id"]
    send = JobHook.send

    def then_keep(self: Any, request: Request) -> Any:
        sandbox.state.monitors.monitors[number]["tags"] = []
        return send(self, request)

    monkeypatch.setattr(JobHook, "send", then_keep)
    apply({"new": spec("test")}, dangling_monitors_strategy="delete")

    assert number in sandbox.state.monitors.monitors
    assert log.warnings == [
        f"Monitor {number}, 'old', no longer has its tag, so it is not deleted."
    ]


# What JSON does not have.


@pytest.mark.parametrize(
    ("value", "kind"),
    [(date(2024, 1, 31), "date"), (math.nan, "float"), (b"x", "bytes"), ({date.min: 1}, "date")],
)
def test_what_cannot_be_sent_is_named_before_anything_is(
    value: Any, kind: str, sandbox: Any
) -> None:
    place = "datadiff.dataset_a.session_parameters"
    specs = {"one": spec("test"), "two": changed(LEAST["diff"], place, {"day": value})}
    task = operator(specs)

    error = failure(DatafoldInputError, lambda: task.execute(context_of(task)))

    assert f"\n- spec: two: {place}.day: must be " in str(error)
    assert f"not a value of type {kind}" in str(error)
    assert writes(sandbox) == []


# A dry run.


@pytest.mark.parametrize("strategy", ["pause", "delete"])
def test_a_dry_run_says_the_same_and_changes_nothing(
    strategy: str, sandbox: Any, task_log: Log
) -> None:
    apply({"old": spec("test"), "same": spec("test"), "other": spec("test")})
    before = json.dumps(sandbox.state.monitors.monitors)
    specs = {"new": spec("test"), "same": spec("test"), "other": spec("test", owner="ann")}
    writes(sandbox)

    told = apply(specs, dry_run=True, dangling_monitors_strategy=strategy)

    assert writes(sandbox) == []
    assert json.dumps(sandbox.state.monitors.monitors) == before
    assert "Dry run, to be created: 'new'." in task_log.messages
    assert apply(specs, dangling_monitors_strategy=strategy) == told


# A service that does not keep the tags.


def lose(monkeypatch: pytest.MonkeyPatch, sandbox: Any, change: Callable[[str], str]) -> None:
    """Let the service keep tags in another way."""
    monitors = sandbox.state.monitors
    create = monitors.add

    def kept(kind: str, body: Any) -> Any:
        return create(kind, {**body, "tags": [change(tag) for tag in body["tags"] if change(tag)]})

    monkeypatch.setattr(monitors, "add", kept)


@pytest.mark.parametrize(
    "change",
    [lambda tag: "", lambda tag: tag[:18], lambda tag: tag.replace(":", " ")],
    ids=["drops", "cuts", "changes"],
)
def test_a_service_that_keeps_no_tags_gets_no_more_monitors_at_each_run(
    change: Callable[[str], str], sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(monkeypatch, sandbox, change)
    for number in (5, 6):
        with pytest.raises(DatafoldAnswerError) as caught:
            apply(TWO)
        lost, deleted = str(caught.value).split(", without which ")
        tag = "'airflow-set:shop/one'"
        assert lost == f"spec: one: Datafold did not keep the tag {tag} on monitor {number}"
        assert deleted.endswith(f" Deleted monitor {number} again.")
        assert writes(sandbox) == ["POST create/test", f"DELETE {number}"]
    assert len(sandbox.state.monitors.monitors) == 4


def test_a_monitor_without_its_tag_that_cannot_be_deleted_is_named(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(monkeypatch, sandbox, lambda tag: "")
    monkeypatch.setattr(JobHook, "delete_monitor", refuse(DatafoldPermissionError("403")))
    with pytest.raises(
        DatafoldAnswerError, match="Could not delete it: 403. Delete it in Datafold"
    ):
        apply(TWO)


def test_a_monitor_that_was_there_before_is_never_taken_for_a_new_one(
    sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A cache between Airflow and Datafold answers with what it knows.
    send = JobHook.send
    monkeypatch.setattr(JobHook, "send", lambda self, it: {**send(self, it), "id": 1})

    assert apply(TWO) == {"created": ["one", "two"]}

    assert "names monitor 1, which was there before" in log.warnings[0]
    assert [*sandbox.state.monitors.monitors] == [1, 2, 3, 4, 5, 6]


def test_an_update_that_loses_the_tag_is_told(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply({"orders": spec("test"), "old": spec("test")})
    read = JobHook.get_monitor
    monkeypatch.setattr(
        JobHook,
        "get_monitor",
        lambda self, it: {
            **(found := read(self, it)),
            "tags": found["tags"] if found["owner"] is None else [],
        },
    )
    with pytest.raises(DatafoldAnswerError, match="did not keep the tag 'airflow-set:shop/orders'"):
        apply({"orders": spec("test", owner="ann")}, dangling_monitors_strategy="delete")
    assert not [each for each in writes(sandbox) if each.startswith("DELETE")]


# Once.

LOST = DatafoldServerError("The response is lost")


def creates(monkeypatch: pytest.MonkeyPatch, *ends: Any) -> list[str]:
    """Let each creation end in an error, after it was processed or without that.

    :param ends: a function for each creation, which gets the real one; ``None`` for just that.
    """
    create, made = JobHook.send, list(ends)

    def lost(self: Any, request: Request) -> Any:
        names.append(request.body["name"])
        end = made.pop(0) if made else None
        return create(self, request) if end is None else end(lambda: create(self, request))

    names: list[str] = []
    monkeypatch.setattr(JobHook, "send", lost)
    return names


def fails(error: DatafoldError, *, is_processed: bool) -> Callable[[Callable[[], Any]], Any]:
    def end(create: Callable[[], Any]) -> Any:
        if is_processed:
            create()
        raise error

    return end


TWO = {"one": spec("test"), "two": spec("schema")}


@pytest.mark.parametrize("error", [LOST, DatafoldAnswerError("An odd response")])
def test_a_creation_whose_response_is_lost(
    error: DatafoldError, sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = creates(monkeypatch, fails(error, is_processed=True))

    assert apply(TWO) == {"created": ["one", "two"]}

    assert names == ["one", "two"]
    assert "Could not create the monitor 'one'" in log.warnings[0]
    assert apply(TWO) == {"unchanged": ["one", "two"]}


@pytest.mark.parametrize(
    "error", [LOST, DatafoldUnreachableError("Not there")], ids=["unknown", "certain"]
)
def test_a_creation_that_was_not_processed_is_made_by_the_next_run(
    error: DatafoldError, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    creates(monkeypatch, None, fails(error, is_processed=False))

    with pytest.raises(type(error)):
        apply(TWO)

    assert apply(TWO) == {"created": ["two"], "unchanged": ["one"]}
    assert len(sandbox.state.monitors.monitors) == 4 + 2


def test_two_runs_that_overlap(sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[Any] = []

    def overlap(create: Callable[[], Any]) -> Any:
        # This run has seen that there is none. Now another one creates both.
        inner.append(apply(TWO))
        return create()

    creates(monkeypatch, overlap)

    assert apply(TWO) == inner[0] == {"created": ["one", "two"]}

    assert len(sandbox.state.monitors.monitors) == 4 + 2
    first = of(sandbox, "one")["id"]
    assert log.warnings == [
        f"Deleted monitor {first + number + 2}: {slug!r} was created at the same time as monitor "
        f"{first + number}."
        for number, slug in enumerate(TWO)
    ]
    assert apply(TWO) == {"unchanged": ["one", "two"]}


def test_two_runs_that_overlap_delete_the_same_one(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(TWO)
    delete = JobHook.delete_monitor

    def twice(self: Any, monitor_id: int) -> Any:
        delete(self, monitor_id)
        return delete(self, monitor_id)

    monkeypatch.setattr(JobHook, "delete_monitor", twice)

    assert apply({}, dangling_monitors_strategy="delete") == {"deleted": ["one", "two"]}
    assert len(sandbox.state.monitors.monitors) == 4


# An account that cannot be read.


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Responses to the list of monitors, one for each page."""
    given: list[Any] = []
    asked: list[int] = []

    def list_monitors(self: Any, *, page: int, **_: Any) -> Any:
        asked.append(page)
        return given.pop(0)

    monkeypatch.setattr(JobHook, "list_monitors", list_monitors)
    yield given
    assert given == []
    assert asked == list(range(1, len(asked) + 1))


ONE = {"id": 1, "tags": None, "monitor_type": "test", "enabled": True}


UNREADABLE = "it has no 'monitors' or 'total_pages'"


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([{}], UNREADABLE),
        ([{"monitors": {}, "total_pages": 1}], UNREADABLE),
        ([{"monitors": []}], UNREADABLE),
        ([{"monitors": [{"id": "1"}], "total_pages": 1}], "a monitor in it has no id"),
        ([{"monitors": [None], "total_pages": 1}], "a monitor in it has no id"),
        ([{"monitors": [ONE], "total_pages": 2}, {}], UNREADABLE),
    ],
)
def test_without_the_whole_account_nothing_is_done(
    pages: list[Any], reason: str, answers: list[Any], sandbox: Any
) -> None:
    answers += pages

    with pytest.raises(DatafoldAnswerError, match=reason):
        apply(TWO, dangling_monitors_strategy="delete")

    assert sandbox.state.requests == []


def test_a_list_of_monitors_without_an_end_is_not_read_on(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_MOST_PAGES", 3)
    pages: list[int] = []

    def endless(self: Any, *, page: int, **_: Any) -> Any:
        pages.append(page)
        return {"monitors": [{**ONE, "id": page}], "total_pages": 10**9}

    monkeypatch.setattr(JobHook, "list_monitors", endless)
    with pytest.raises(DatafoldAnswerError, match="has not ended after 3 pages"):
        apply(TWO)
    assert pages == [1, 2, 3]


def test_a_monitor_that_is_deleted_meanwhile_hides_no_other(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_PAGE_SIZE", 2)
    monitors, read = sandbox.state.monitors.monitors, JobHook.list_monitors

    def delete_first(hook: JobHook, **place: Any) -> Any:
        answer = read(hook, **place)
        monitors.pop(1, None)
        return answer

    monkeypatch.setattr(JobHook, "list_monitors", delete_first)
    with JobHook() as hook:
        assert [each.monitor_id for each in account.read_account(hook)] == [2, 3, 4]


def test_monitors_are_listed_by_their_ids_so_that_none_is_missed(sandbox: Any) -> None:
    apply({})

    assert sandbox.state.requests[0].query == ("page=1&page_size=100&order_by=id&sort_order=asc")
