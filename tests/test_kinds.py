from __future__ import annotations

from typing import Any

import pytest
from airflow_provider_datafold.kinds import KINDS, SECRET_FIELDS, differences, find
from airflow_provider_datafold.omitted import OMITTED

from airflow_provider_datafold.exceptions import DatafoldInputError

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}, {"remoteId": "2", "boundIds": []}]


CONFIGS: dict[str, dict[str, Any]] = {
    "hightouch": {"token": "t", "bindings": BINDINGS},
    "looker": {"base_url": "u", "client_id": "c", "client_secret": "s", "repo_id": 3},
    "mode": {"token": "t", "password": "p"},
    "tableau": {"server_url": "u", "site_id": "i", "token_name": "n", "token_value": "v"},
    "powerbi": {},
    "dbt": {"ci_config_id": 4},
}
"""What each kind has to have."""


def message(kind: str, config: Any) -> str:
    with pytest.raises(DatafoldInputError) as caught:
        KINDS[kind].body(config)
    return str(caught.value)


def test_all_kinds_are_known() -> None:
    assert list(KINDS) == list(CONFIGS)
    assert all(KINDS[name].name == name for name in KINDS)
    assert [kind.title for kind in KINDS.values()] == [
        "Hightouch",
        "Looker",
        "Mode",
        "Tableau",
        "Power BI",
        "dbt",
    ]


def test_secret_fields() -> None:
    assert {"client_secret", "password", "token", "token_value"} == SECRET_FIELDS
    named = {(kind.name, field.name) for kind in KINDS.values() for field in kind.fields}
    secret = {(k.name, f.name) for k in KINDS.values() for f in k.fields if f.secret}
    assert secret == {(kind, field) for kind, field in named if field in SECRET_FIELDS}


def test_what_an_update_can_change() -> None:
    assert {name for name, kind in KINDS.items() if not kind.only_schedule} == {"powerbi", "dbt"}


def test_find() -> None:
    assert find("looker") is KINDS["looker"]
    for unknown in ("Looker", None, ["looker"]):
        with pytest.raises(DatafoldInputError, match="^kind: is .*; wanted: one of 'hightouch', "):
            find(unknown)


@pytest.mark.parametrize("kind", CONFIGS)
def test_least_body(kind: str) -> None:
    assert KINDS[kind].body(CONFIGS[kind]) == CONFIGS[kind]
    for field in CONFIGS[kind]:
        rest = {**CONFIGS[kind], field: OMITTED}
        title = KINDS[kind].title
        said = f"{field}: is missing; a {title} integration has to have it. Nothing was sent."
        assert message(kind, rest) == said


@pytest.mark.parametrize(
    ("kind", "config", "body"),
    [
        (
            "hightouch",
            {"workspace": 5, "indexing_cron": "0  6 * * *", "name": None, "token": " t\n"},
            {"workspace": "5", "indexing_cron": "0 6 * * *", "name": None, "token": "t"},
        ),
        ("hightouch", {"workspace": None, "name": "n"}, {"workspace": None, "name": "n"}),
        (
            "looker",
            {"repo_id": "3", "project_ids": "['a', 'b']", "bindings": str(BINDINGS)},
            {"repo_id": 3, "project_ids": ["a", "b"], "bindings": BINDINGS},
        ),
        ("mode", {"workspace": "w", "indexing_cron": None}, {"workspace": "w"}),
        ("tableau", {"site_id": 5, "name": "n"}, {"site_id": "5"}),
        ("powerbi", {"auth_type": "delegated"}, {"auth_type": "delegated"}),
        ("powerbi", {"auth_type": "service_principal"}, {"auth_type": "service_principal"}),
        (
            "powerbi",
            dict.fromkeys(["auth_type", "tenant_id", "client_id", "client_secret"]),
            {"auth_type": None, "client_secret": None},
        ),
        (
            "powerbi",
            {"tenant_id": "t", "client_id": "c", "client_secret": "s"},
            {"client_secret": "s"},
        ),
        ("dbt", {"ci_config_id": "-4", "name": None}, {"ci_config_id": -4, "name": None}),
    ],
)
def test_body(kind: str, config: Any, body: Any) -> None:
    given = {**CONFIGS[kind], **config}
    assert KINDS[kind].body(given) == {**given, **body}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(kind, field, []) for kind in KINDS for field in ("name", "indexing_cron")]
    + [(kind, field, None) for kind in CONFIGS for field in CONFIGS[kind]]
    + [("mode", "workspace", None), ("hightouch", "workspace", []), ("powerbi", "tenant_id", [])]
    + [("looker", "project_ids", None), ("looker", "bindings", None), ("looker", "repo_id", 1.5)]
    + [("powerbi", "auth_type", "x"), ("powerbi", "client_id", []), ("powerbi", "client_secret", 5)]
    + [("dbt", "ci_config_id", True)],
)
def test_no_body(kind: str, field: str, value: Any) -> None:
    said = message(kind, {**CONFIGS[kind], field: value})
    assert said.startswith(f"{field}: is ")
    assert said.endswith("Nothing was sent.")


def test_unknown_field() -> None:
    assert message("dbt", {"ci_config_id": 4, "token": "t"}) == (
        "config: has 'token', but the fields of a dbt integration are ci_config_id, "
        "indexing_cron, name. Nothing was sent."
    )


@pytest.mark.parametrize("config", [None, 7, "{}", [("ci_config_id", 4)]])
def test_no_config(config: Any) -> None:
    assert message("dbt", config).startswith("config: is ")


def test_body_comes_in_the_declared_order() -> None:
    config = {"name": None, "indexing_cron": None, "bindings": [], "token": "t"}
    assert list(KINDS["hightouch"].body(config)) == ["token", "bindings", "indexing_cron", "name"]


SENT = {"token": "t", "bindings": BINDINGS, "indexing_cron": None, "name": "n", "workspace": None}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "text",
        7,
        {},
        {"id": 7, "token": "***", "more": True},
        {**SENT, "bindings": BINDINGS[::-1]},
        {"bindings": [{"remoteId": "2", "boundIds": []}, {"remoteId": "1", "boundIds": [2, 1]}]},
        {"bindings": [{**binding, "id": 5} for binding in BINDINGS]},
        {"name": "n/"},
    ],
)
def test_no_differences(answer: Any) -> None:
    assert list(differences(SENT, answer)) == []


@pytest.mark.parametrize(
    ("field", "answered"),
    [
        ("indexing_cron", "0 0 * * *"),
        ("name", None),
        ("workspace", "w"),
        ("bindings", []),
        ("bindings", None),
        ("bindings", [5]),
        ("bindings", [{"remoteId": "1"}]),
        ("bindings", [{"remoteId": "1", "boundIds": None}]),
        ("bindings", [{"remoteId": "1", "boundIds": [1]}, {"remoteId": "2", "boundIds": []}]),
    ],
)
def test_differences(field: str, answered: Any) -> None:
    found = list(differences(SENT, {**SENT, field: answered}))
    assert found == [(field, SENT[field], answered)]


def test_order_of_texts_means_nothing() -> None:
    sent = {"project_ids": ["b", "a"]}
    assert list(differences(sent, {"project_ids": ["a", "b"]})) == []
    assert len(list(differences(sent, {"project_ids": ["a", "c"]}))) == 1
    assert len(list(differences(sent, {"project_ids": ["a", 5]}))) == 1


def test_differences_come_in_the_order_of_the_body() -> None:
    answer = {"workspace": 1, "name": 1, "indexing_cron": 1, "bindings": 1}
    found = [field for field, _, _ in differences(SENT, answer)]
    assert found == ["bindings", "indexing_cron", "name", "workspace"]
