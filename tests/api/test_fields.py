"""How the fields of a request are checked: nothing is sent that does not fit the contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import pytest
from requests_mock import ANY

from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY, TOKEN
from tests.integrations import KINDS, NOT_GIVEN

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]


class Lazy(Sequence):  # as Airflow hands out the results of a mapped task
    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


@pytest.fixture(autouse=True)
def connection(connect: Any, requests_mock: Any) -> None:
    connect("datafold_default", password=API_KEY)
    requests_mock.register_uri(ANY, ANY, json={})


@pytest.fixture
def sent(requests_mock: Any) -> Callable[..., Any]:
    """Return the value that arrives for a field, which is sent with the kind's required fields."""

    def create(kind: str, **fields: Any) -> Any:
        with DatafoldHook() as hook:
            hook.create_integration(kind, {**KINDS[kind].required, **fields})
        (field,) = fields
        return requests_mock.last_request.json()[field]

    return create


@pytest.fixture
def refused(requests_mock: Any) -> Callable[..., str]:
    """Make a call that is refused before anything is sent, and return the error's message."""

    def call(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        with pytest.raises(DatafoldInputError) as caught:
            call(*arguments, **named)
        assert "Nothing was sent" in str(caught.value)
        assert requests_mock.request_history == []
        return str(caught.value)

    return call


def names(field: str, said: str) -> bool:
    return said.startswith(f"{field}: ")


def is_shown(value: Any, said: str) -> bool:
    return repr(value) in said and type(value).__name__ in said


# Ids, which are a part of the path.


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7, "7"), ("7", "7"), (" 7 ", "7"), ("007", "7"), (1, "1"), (str(2**63 - 1), str(2**63 - 1))],
)
def test_id(requests_mock: Any, value: Any, shown: str) -> None:
    DatafoldHook().get_integration(value)
    assert requests_mock.last_request.path == f"/api/v1/lineage/bi/{shown}/"


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "-7", "+7", "7.0", "7_0", "٧", "", " ", "7/../9", "7 9", str(2**63), 2**63]
    + [True, False, None, 7.0, math.nan, [7], {"id": 7}, b"7", Fraction(7)],
)
def test_no_id(refused: Any, value: Any) -> None:
    said = refused(DatafoldHook().get_integration, value)
    assert "bi_datasource_id" in said
    assert is_shown(value, said)
    assert "positive integer" in said


@pytest.mark.parametrize("value", ["9" * 5000, "x" * 10_000, [["y" * 1000] * 100] * 100])
def test_not_all_of_a_long_value_is_shown(refused: Any, value: Any) -> None:
    said = refused(DatafoldHook().get_integration, value)
    assert "bi_datasource_id" in said
    assert len(said) < (300 if isinstance(value, str) else 3000)


# Strings.


@pytest.mark.parametrize(
    ("value", "result"), [("x", "x"), ("", ""), (5, "5"), (-5, "-5"), (1.5, "1.5")]
)
def test_text(sent: Any, value: Any, result: str) -> None:
    assert sent("dbt", name=value) == result


@pytest.mark.parametrize("value", [True, math.nan, math.inf, [], {}, b"x"])
def test_no_text(sent: Any, refused: Any, value: Any) -> None:
    said = refused(sent, "dbt", name=value)
    assert names("name", said)
    assert is_shown(value, said)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (["a", "b"], ["a", "b"]),
        (Lazy(["a"]), ["a"]),
        ("['a', 'b']", ["a", "b"]),
        ('["a"]', ["a"]),
        ((5,), ["5"]),
        ([], []),
    ],
)
def test_texts(sent: Any, value: Any, result: list[str]) -> None:
    assert sent("looker", project_ids=value) == result


@pytest.mark.parametrize(
    ("value", "place", "shown"),
    [("a", "project_ids", "a"), (None, "project_ids", None), (["a", None], "project_ids[1]", None)],
)
def test_no_texts(sent: Any, refused: Any, value: Any, place: str, shown: Any) -> None:
    said = refused(sent, "looker", project_ids=value)
    assert names(place, said)
    assert is_shown(shown, said)


@pytest.mark.parametrize("value", ["delegated", "service_principal"])
def test_choice(sent: Any, value: str) -> None:
    assert sent("powerbi", auth_type=value) == value


@pytest.mark.parametrize("value", ["c", "", "Delegated", ["delegated"], True])
def test_no_choice(sent: Any, refused: Any, value: Any) -> None:
    said = refused(sent, "powerbi", auth_type=value)
    assert names("auth_type", said)
    assert is_shown(value, said)
    assert "'delegated'" in said
    assert "'service_principal'" in said


# Numbers.


@pytest.mark.parametrize("value", [0, -7, "-7", " 7 ", 10**18])
def test_integer(sent: Any, value: Any) -> None:
    number = sent("looker", repo_id=value)
    assert number == int(value)
    assert type(number) is int


@pytest.mark.parametrize("value", [True, 1.0, "1.0", "", "x", None, [1]])
def test_no_integer(sent: Any, refused: Any, value: Any) -> None:
    said = refused(sent, "looker", repo_id=value)
    assert names("repo_id", said)
    assert is_shown(value, said)


# Bindings.


@pytest.mark.parametrize(
    "value",
    [
        BINDINGS,
        tuple(BINDINGS),
        Lazy(BINDINGS),
        str(BINDINGS),
        f"\n    {BINDINGS}\n",
        '[{"remoteId": "1", "boundIds": [1, 2]}]',
        ["{'remoteId': '1', 'boundIds': [1, 2]}"],
        [{"remoteId": 1, "boundIds": ["1", " 2 "]}],
        [{"remoteId": "1", "boundIds": (1, 2)}],
        [{"remoteId": "1", "boundIds": "[1, 2]"}],
        [{"remoteId": "1", "boundIds": Lazy([1, 2])}],
        [{"remoteId": "1", "boundIds": [1, 2], "id": 5}],
    ],
)
def test_bindings(sent: Any, value: Any) -> None:
    assert sent("hightouch", bindings=value) == BINDINGS


def test_bindings_may_be_empty_and_bound_ids_negative(sent: Any) -> None:
    assert sent("hightouch", bindings=[]) == []
    assert sent("hightouch", bindings="[]") == []
    assert sent("hightouch", bindings=[{"remoteId": "", "boundIds": [-1, 0, "-5"]}]) == [
        {"remoteId": "", "boundIds": [-1, 0, -5]}
    ]


@pytest.mark.parametrize(
    ("value", "place", "shown"),
    [
        (None, "bindings", "None (NoneType)"),
        (BINDINGS[0], "bindings", "'remoteId': '1'"),
        ("", "bindings", "'' (str)"),
        ("[", "bindings", "'[' (str)"),
        ("(" * 100_000, "bindings", "((("),
        ("__import__('os').getcwd()", "bindings", "__import__"),
        (b"[]", "bindings", "b'[]' (bytes)"),
        (bytearray(b"[]"), "bindings", "bytearray"),
        ({1, 2}, "bindings", "{1, 2} (set)"),
        ([7], "bindings[0]", "7 (int)"),
        ([*BINDINGS, None], "bindings[1]", "None (NoneType)"),
        ([{"boundIds": [1]}], "bindings[0]", "has no 'remoteId' (found: 'boundIds')"),
        ([{"remoteId": "1"}], "bindings[0]", "has no 'boundIds' (found: 'remoteId')"),
        ([{}], "bindings[0]", "has no 'remoteId' (found: nothing)"),
        ([{"remoteId": None, "boundIds": []}], "bindings[0].remoteId", "None (NoneType)"),
        ([{"remoteId": True, "boundIds": []}], "bindings[0].remoteId", "True (bool)"),
        ([{"remoteId": "1", "boundIds": 5}], "bindings[0].boundIds", "5 (int)"),
        ([{"remoteId": "1", "boundIds": "12"}], "bindings[0].boundIds", "'12' (str)"),
        ([{"remoteId": "1", "boundIds": [1, True]}], "bindings[0].boundIds[1]", "True (bool)"),
        ([{"remoteId": "1", "boundIds": [2.0]}], "bindings[0].boundIds[0]", "2.0 (float)"),
        ([{"remoteId": "1", "boundIds": ["x"]}], "bindings[0].boundIds[0]", "'x' (str)"),
        ([{"remoteId": "1", "boundIds": [None]}], "bindings[0].boundIds[0]", "None (NoneType)"),
    ],
)
def test_no_bindings(sent: Any, refused: Any, value: Any, place: str, shown: str) -> None:
    said = refused(sent, "hightouch", bindings=value)
    assert names(place, said)
    assert shown in said


# Secrets.


def test_secret(sent: Any) -> None:
    assert sent("hightouch", token=" abc\n") == "abc"


@pytest.mark.parametrize("value", ["", " \n", None, 5, [TOKEN], TOKEN.encode()])
def test_no_secret(sent: Any, refused: Any, value: Any) -> None:
    said = refused(sent, "hightouch", token=value)
    assert names("token", said)
    assert "empty" in said
    assert TOKEN not in said


# The string that a template makes of null, in an operator.


@pytest.mark.parametrize(
    ("value", "result"),
    [("None", None), (" None\n", None), ("none", "none"), (None, None), (5, "5")],
)
def test_the_text_of_null(connect: Any, requests_mock: Any, value: Any, result: Any) -> None:
    dbt = KINDS["dbt"]
    dbt.operator(
        task_id="t", bi_datasource_id=7, indexing_cron=None, name=value, **dbt.arguments
    ).execute({})
    assert requests_mock.last_request.json()["name"] == result


# Whole configurations.


@pytest.fixture
def body(requests_mock: Any) -> Callable[..., Any]:
    def create(kind: Any, config: Any) -> Any:
        with DatafoldHook() as hook:
            hook.create_integration(kind, config)
        return requests_mock.last_request.json()

    return create


@pytest.mark.parametrize("kind", KINDS)
def test_field_that_is_not_given(body: Any, kind: str) -> None:
    config = {**KINDS[kind].required, **dict.fromkeys(KINDS[kind].optional, NOT_GIVEN)}
    assert body(kind, config) == KINDS[kind].required


@pytest.mark.parametrize(
    ("kind", "config", "arrives"),
    [
        (
            "hightouch",
            {"workspace": 5, "indexing_cron": "0  6 * * *", "token": " t\n"},
            {"workspace": "5", "indexing_cron": "0 6 * * *", "token": "t"},
        ),
        (
            "looker",
            {"repo_id": "3", "project_ids": "['a', 'b']", "bindings": str(BINDINGS)},
            {"repo_id": 3, "project_ids": ["a", "b"], "bindings": BINDINGS},
        ),
        ("tableau", {"site_id": 5}, {"site_id": "5"}),
        ("powerbi", {"client_secret": " s\n"}, {"client_secret": "s"}),
        ("dbt", {"ci_config_id": "-4"}, {"ci_config_id": -4}),
    ],
)
def test_body_is_made_right(body: Any, kind: str, config: Any, arrives: Any) -> None:
    given = {**KINDS[kind].fields, **config}
    assert body(kind, given) == {**given, **arrives}


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind in KINDS for field in KINDS[kind].fields]
    + [("powerbi", "auth_type"), ("looker", "repo_id"), ("dbt", "ci_config_id")],
)
def test_body_with_a_wrong_field(body: Any, refused: Any, kind: str, field: str) -> None:
    wrong = True if field in ("bindings", "project_ids") else []
    said = refused(body, kind, {**KINDS[kind].fields, field: wrong})
    assert names(field, said)


def test_unknown_field(body: Any, refused: Any) -> None:
    said = refused(body, "dbt", {"ci_config_id": 4, "token": "t"})
    assert "'token'" in said
    assert "dbt" in said
    assert [name for name in KINDS["dbt"].fields if name not in said] == []


@pytest.mark.parametrize(
    "config", ['{"ci_config_id": "4", "name": null}', "{'ci_config_id': 4, 'name': None}"]
)
def test_config_as_text(body: Any, config: str) -> None:
    assert body("dbt", config) == {"ci_config_id": 4, "name": None}


@pytest.mark.parametrize("config", [None, 7, "", "{", "[]", "7", [("ci_config_id", 4)]])
def test_no_config(body: Any, refused: Any, config: Any) -> None:
    said = refused(body, "dbt", config)
    assert names("config", said)
    assert type(config).__name__ in said


@pytest.mark.parametrize(
    ("value", "length"),
    [("x" * 118, 120), ("x" * 119, 120), ("x" * 1_000, 120), (10**500, 40)],
)
def test_a_long_value_is_shown_in_part(value: Any, length: int) -> None:
    assert len(format_value(value)) == length


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1, 2, 3, 4], "[1, 2, 3, 4]"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, ...]"),
        ((1, 2, 3, 4, 5), "(1, 2, 3, 4, ...)"),
        (dict.fromkeys("abcde"), "{'a': None, 'b': None, 'c': None, 'd': None, ...}"),
        ([[[[1]]]], "[[[[1]]]]"),
        ([[[[[1]]]]], "[[[[[...]]]]]"),
    ],
)
def test_of_a_large_value_the_beginning_is_shown(value: Any, shown: str) -> None:
    assert format_value(value) == shown
