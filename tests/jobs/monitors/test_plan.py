"""Monitors as code, from specs to Datafold: whose a monitor is, what is done, and how often."""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Callable
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
LOST = DatafoldServerError("The response is lost")
Send = Callable[[], Any]


@pytest.fixture(autouse=True)
def _quick(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_apply, "_PAUSES", (0.0, 0.01))


def apply(specs: Any, set_name: str = "shop", **arguments: Any) -> dict[str, list[str]]:
    """Apply specs, and leave out what is empty in the result."""
    given = {"spec": {"monitors": specs}, **arguments}
    task = DatafoldApplyMonitorsOperator(task_id="apply", set_name=set_name, **given)
    result = task.execute(context_of(task))
    assert result.pop("ids").keys() <= {*specs}
    return {name: slugs for name, slugs in result.items() if slugs}


def refused(sandbox: Any, specs: Any, **arguments: Any) -> list[str]:
    """The lines of the error, after which nothing is changed."""
    sandbox.state.requests.clear()
    error = failure(DatafoldConflictError, lambda: apply(specs, **arguments))
    head, *lines = str(error).split("\n- ")
    assert head.endswith(". Nothing was changed.")
    assert writes(sandbox) == []
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


def sends(monkeypatch: pytest.MonkeyPatch, **ends: Callable[[Send], Any]) -> None:
    """Let the first request about a monitor of a name do something else, which may send it."""
    send = JobHook.send

    def sent(self: Any, request: Request) -> Any:
        end = ends.pop(request.body.get("name"), lambda send: send())
        return end(lambda: send(self, request))

    monkeypatch.setattr(JobHook, "send", sent)


def raises(error: DatafoldError) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def fails(error: DatafoldError, *, is_processed: bool = False) -> Callable[[Send], Any]:
    def end(send: Send) -> Any:
        if is_processed:
            send()
        raise error

    return end


def spec(kind: str, **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(LEAST[kind]), **changes}


TWO = {"one": spec("test"), "two": spec("schema")}


def test_a_folder_of_monitors_in_an_account_of_250(sandbox: Any) -> None:
    for number in range(246):
        add(sandbox, name=f"Other {number}")
    monitors = sandbox.state.monitors.monitors
    others = copy.deepcopy(monitors)
    specs = {
        f"{kind}_{number}": spec(kind, tags=["Nightly"], description=f"{kind} {number}\n")
        for number in range(8)
        for kind in KINDS
    }

    def run(requests: int, dangling: str = "ignore") -> dict[str, list[str]]:
        sandbox.state.requests.clear()
        done = apply(specs, dangling_monitors_strategy=dangling)
        assert len(sandbox.state.requests) == requests
        return done

    # The account has pages of 100; each creation is followed by a look; the account again.
    assert run(3 + 32 * 2 + 3) == {"created": sorted(specs)}
    assert run(3 + 32) == {"unchanged": sorted(specs)}
    # Changed: in what Datafold returns, in what it does not, in a name, in whether it is enabled.
    specs["metric_0"]["tags"] = ["daily"]
    specs["diff_0"]["datadiff"]["primary_key"] = ["number"]
    specs["schema_0"]["name"] = "Columns"
    specs["test_0"]["enabled"] = False
    assert run(3 + 32 + 3 * 2 + 1)["updated"] == ["diff_0", "metric_0", "schema_0", "test_0"]
    assert of(sandbox, "diff_0")["datadiff"]["primary_key"] == ["number"]
    assert run(3 + 32) == {"unchanged": sorted(specs)}
    for slug in ("diff_1", "metric_1"):
        del specs[slug]
    assert run(3 + 30 + 2 * 3, "pause")["paused"] == ["diff_1", "metric_1"]
    assert run(3 + 30 + 2 * 2, "delete")["deleted"] == ["diff_1", "metric_1"]
    assert run(3 + 30, "delete") == {"unchanged": sorted(specs)}
    assert {number: each for number, each in monitors.items() if number in others} == others


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
    doubled = (
        f"orders: monitors {first['id']}, {copy} have the tag 'airflow-set:shop/orders', so it is "
        f"not clear which one is meant. Delete all but one, or take the tag off copies."
    )
    of_two = (
        f"one: monitor {both} has more than one tag that starts with 'airflow-set:'. Take off all "
        f"but 'airflow-set:shop/one'."
    )
    specs = {"orders": spec("test"), "one": spec("test"), "new": spec("test")}

    assert refused(sandbox, specs) == [f"spec: {doubled}", f"spec: {of_two}"]
    # Nor is one of them deleted.
    assert refused(sandbox, {}, dangling_monitors_strategy="delete") == [doubled, of_two]


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
    assert refused(
        sandbox,
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
        },
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


def test_no_traceback_shows_a_secret_of_a_file(sandbox: Any, tmp_path: Path) -> None:
    secret = "planted-password-3b8a"
    sessions = {"password": secret}
    orders = changed(LEAST["diff"], "datadiff.dataset_a.session_parameters", sessions)
    orders["id"] = 99_999
    file = tmp_path / "a.yaml"
    # An error of what is read, and an error of the plan.
    for wrong in ({"orders": orders, "b": {}}, {"orders": orders}):
        file.write_text(yaml.safe_dump({"monitors": wrong}))
        with pytest.raises(DatafoldError) as caught:
            apply({}, spec=None, files=str(file))
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


def test_a_monitor_that_a_person_paused_stays_paused(sandbox: Any) -> None:
    specs = {"orders": spec("test"), "sums": spec("metric", enabled=True)}
    apply(specs)
    for slug in specs:
        of(sandbox, slug, enabled=False)
    assert apply(specs) == {"unchanged": ["orders"], "updated": ["sums"]}
    assert [of(sandbox, slug)["enabled"] for slug in specs] == [False, True]


def test_what_datafold_cannot_change_is_refused(sandbox: Any) -> None:
    apply({"orders": spec("metric")})
    assert refused(sandbox, {"orders": changed(LEAST["metric"], "metric.table", "b"), **TWO}) == [
        "spec: orders: metric.table: is 'a' at Datafold, not 'b'. Datafold cannot change it. "
        "Undo that, use another slug, or delete the monitor and apply again."
    ]


def test_a_monitor_that_is_taken_over_keeps_what_datafold_cannot_change(sandbox: Any) -> None:
    number = add(sandbox, "schema", table="DB.PUBLIC." + "X" * 300)
    (line,) = refused(sandbox, {"orders": spec("schema", id=number, connection_id=2, table="b")})
    assert line.startswith("spec: orders: connection_id: is 1 at Datafold, not 2; table: is 'DB.P")
    assert line.endswith(
        "not 'b'. Datafold cannot change them. Write Datafold's values into the file, or leave id "
        "out to create another monitor."
    )
    assert len(line) < 500


def test_no_error_shows_a_secret_that_differs(sandbox: Any) -> None:
    orders = spec("diff", id=add(sandbox, "diff"))
    orders["datadiff"]["dataset_b"] = {"connection_id": 1, "query": f"select '{API_KEY}'"}
    (line,) = refused(sandbox, {"orders": orders})
    assert line.startswith("spec: orders: datadiff.dataset_b.query: is 'select 1' at Datafold, not")
    assert API_KEY not in line


def test_what_datafold_neither_returns_nor_changes_is_refused(sandbox: Any) -> None:
    apply({"orders": spec("diff")})
    session = changed(LEAST["diff"], "datadiff.dataset_a.session_parameters", {"role": "reader"})
    assert refused(sandbox, {"orders": session}) == [
        "spec: orders: a field was changed that Datafold neither returns nor changes: "
        "datadiff.diff_type, datadiff.dataset_a.session_parameters, or one that was taken out. "
        "Undo that, use another slug, or delete the monitor and apply again."
    ]


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
        patch.setattr(JobHook, step, raises(LOST))
        with pytest.raises(DatafoldServerError):
            apply(specs)
    assert apply(specs) == {"updated": ["orders"]}
    assert of(sandbox)["enabled"] is True
    assert apply(specs) == {"unchanged": ["orders"]}


def test_a_monitor_that_cannot_be_marked_is_not_paused(sandbox: Any) -> None:
    # When its file came back, nothing would say that it is to be resumed.
    apply({"orders": spec("test")})
    number = of(sandbox, monitor_type=None)["id"]
    (line,) = refused(sandbox, {}, **PAUSE)
    assert line.startswith(f"orders: monitor {number} cannot be paused")


def test_one_that_is_refused_holds_up_no_other(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply({"old": spec("test"), "other": spec("test")})
    sends(
        monkeypatch,
        two=fails(DatafoldValidationError("POST: 422, name: taken")),
        other=fails(DatafoldPermissionError("PATCH: 403")),
    )
    specs = {name: spec("test") for name in ("one", "two", "three")}
    writes(sandbox)

    with pytest.raises(DatafoldValidationError) as caught:
        apply({**specs, "other": spec("test", owner="ann")}, dangling_monitors_strategy="delete")

    assert str(caught.value).split("\n- ")[1:] == [
        "spec: two: POST: 422, name: taken",
        "spec: other: PATCH: 403",
    ]
    assert "No monitor was deleted for being in no file" in str(caught.value)
    assert writes(sandbox) == ["POST create/test"] * 2


def test_an_error_that_stops_it_says_at_which_monitor(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends(
        monkeypatch,
        zero=fails(DatafoldValidationError("422")),
        two=fails(DatafoldAuthenticationError("401. Nothing was sent.")),
    )
    with pytest.raises(DatafoldAuthenticationError) as caught:
        apply({name: spec("test") for name in ("zero", "one", "two", "three")})
    assert str(caught.value) == "spec: two: 401.\nBefore that, 1 error:\n- spec: zero: 422"
    assert writes(sandbox) == ["POST create/test"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_set_is_not_deleted_because_its_folder_is_half_there(dry_run: bool, sandbox: Any) -> None:
    specs = {f"m{number}": spec("test") for number in range(12)}
    apply(specs)
    delete = {"dangling_monitors_strategy": "delete", "dry_run": dry_run}
    (line,) = refused(sandbox, {"m0": spec("test")}, **delete)
    assert line == (
        "11 monitors of the set 'shop' are in no file and would be deleted, more than "
        "max_deleted=10 allows: 'm1', 'm10', 'm11', 'm2', 'm3', ... If they are to go, pass "
        "max_deleted=11."
    )
    assert len(apply({"m0": spec("test")}, max_deleted="11", **delete)["deleted"]) == 11
    assert apply({"m0": spec("test")}, max_deleted=0, dangling_monitors_strategy="ignore") != {}


def test_a_monitor_whose_tag_was_taken_off_meanwhile_is_not_deleted(
    sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply({"old": spec("test")})
    number = of(sandbox, "old")["id"]
    sends(monkeypatch, new=lambda send: of(sandbox, "old", tags=[]) and send())
    apply({"new": spec("test")}, dangling_monitors_strategy="delete")
    assert number in sandbox.state.monitors.monitors
    assert log.warnings == [
        f"Monitor {number}, 'old', no longer has its tag, so it is not deleted."
    ]


# A service that does not keep the tags.


@pytest.fixture
def _lost_tags(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service cut the tags of new monitors."""
    create = sandbox.state.monitors.add

    def cut(kind: str, body: Any) -> Any:
        return create(kind, {**body, "tags": [tag[:18] for tag in body["tags"]]})

    monkeypatch.setattr(sandbox.state.monitors, "add", cut)


@pytest.mark.usefixtures("_lost_tags")
def test_a_service_that_keeps_no_tags_gets_no_more_monitors_at_each_run(sandbox: Any) -> None:
    for number in (5, 6):
        with pytest.raises(DatafoldAnswerError) as caught:
            apply(TWO)
        lost, deleted = str(caught.value).split(", without which ")
        tag = "'airflow-set:shop/one'"
        assert lost == f"spec: one: Datafold did not keep the tag {tag} on monitor {number}"
        assert deleted.endswith(f" Deleted monitor {number} again.")
        assert writes(sandbox) == ["POST create/test", f"DELETE {number}"]
    assert len(sandbox.state.monitors.monitors) == 4


@pytest.mark.usefixtures("_lost_tags")
def test_a_monitor_without_its_tag_that_cannot_be_deleted_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(JobHook, "delete_monitor", raises(DatafoldPermissionError("403")))
    with pytest.raises(DatafoldAnswerError, match="Could not delete it: 403. Delete it in Dataf"):
        apply(TWO)


def test_a_monitor_that_was_there_before_is_never_taken_for_a_new_one(
    sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A cache between Airflow and Datafold answers with what it knows.
    sends(monkeypatch, one=lambda send: {**send(), "id": 1})
    assert apply(TWO) == {"created": ["one", "two"]}
    assert "names monitor 1, which was there before" in log.warnings[0]
    assert [*sandbox.state.monitors.monitors] == [1, 2, 3, 4, 5, 6]


def test_an_update_that_loses_the_tag_is_told(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply({"orders": spec("test"), "old": spec("test")})
    sends(monkeypatch, orders=lambda send: (send(), of(sandbox, tags=[])))
    with pytest.raises(DatafoldAnswerError, match="did not keep the tag 'airflow-set:shop/orders'"):
        apply({"orders": spec("test", owner="ann")}, dangling_monitors_strategy="delete")
    assert not [each for each in writes(sandbox) if each.startswith("DELETE")]


# Once.


@pytest.mark.parametrize("error", [LOST, DatafoldAnswerError("An odd response")])
def test_a_creation_whose_response_is_lost(
    error: DatafoldError, sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends(monkeypatch, one=fails(error, is_processed=True))
    assert apply(TWO) == {"created": ["one", "two"]}
    assert writes(sandbox) == ["POST create/test", "POST create/schema"]
    assert "Could not create the monitor 'one'" in log.warnings[0]
    assert apply(TWO) == {"unchanged": ["one", "two"]}


@pytest.mark.parametrize(
    "error", [LOST, DatafoldUnreachableError("Not there")], ids=["unknown", "certain"]
)
def test_a_creation_that_was_not_processed_is_made_by_the_next_run(
    error: DatafoldError, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends(monkeypatch, two=fails(error))
    with pytest.raises(type(error)):
        apply(TWO)
    assert apply(TWO) == {"created": ["two"], "unchanged": ["one"]}
    assert len(sandbox.state.monitors.monitors) == 4 + 2


def test_two_runs_that_overlap(sandbox: Any, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[Any] = []

    def overlap(send: Send) -> Any:
        # This run has seen that there is none. Now another one creates both.
        inner.append(apply(TWO))
        return send()

    sends(monkeypatch, one=overlap)

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


ONE = {"id": 1, "tags": None, "monitor_type": "test", "enabled": True}
UNREADABLE = "it has no 'monitors' or 'total_pages'"


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([{}], UNREADABLE),
        ([{"monitors": []}], UNREADABLE),
        ([{"monitors": [{"id": "1"}], "total_pages": 1}], "a monitor in it has no id"),
        ([{"monitors": [None], "total_pages": 1}], "a monitor in it has no id"),
        ([{"monitors": [ONE], "total_pages": 2}, {}], UNREADABLE),
        ([{"monitors": [ONE], "total_pages": 10**9}] * 3, "has not ended after 3 pages"),
        (
            [{"monitors": [ONE], "total_pages": 2, "count": count} for count in (2, 1)] * 3,
            "monitors were deleted each time while it was read",
        ),
    ],
)
def test_without_the_whole_account_nothing_is_done(
    pages: list[Any], reason: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [*pages]
    monkeypatch.setattr(account, "_MOST_PAGES", 3)
    monkeypatch.setattr(JobHook, "list_monitors", lambda *_, **place: left.pop(0))
    with pytest.raises(DatafoldAnswerError, match=reason):
        apply(TWO, dangling_monitors_strategy="delete")
    assert (left, sandbox.state.requests) == ([], [])


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
