"""An operation of the API: its request, and what it is unless it says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api import bi, data_diffs, data_sources, monitors
from airflow_provider_datafold.api.operation import Effect, Operation, free_request
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret, secrets_in


def test_what_an_operation_is_unless_it_says_otherwise() -> None:
    operation = Operation("GET", "/things", Effect.READS, "thing", dict)
    assert (operation.path_fields, operation.query, operation.body) == ({}, {}, None)
    assert (operation.body_name, operation.to_check) == ("config", "the id")
    assert operation.largest == 10 * 1024 * 1024
    assert operation.may_be_empty is False
    assert operation.carries_secrets is False
    assert operation.is_classic is False
    assert operation.is_findable is False


def test_only_a_start_must_not_be_repeated() -> None:
    repeatable = {effect for effect in Effect if effect.is_repeatable}
    assert repeatable == {Effect.READS, Effect.SETS}


def test_what_can_be_looked_for_after_it_was_started() -> None:
    assert data_diffs.CREATE.is_findable is True
    assert data_diffs.GET.is_findable is False


def test_what_may_be_answered_with_nothing() -> None:
    for module, names in (
        (bi, {"DELETE", "SYNC"}),
        (data_diffs, {"UPDATE"}),
        (monitors, {"UPDATE", "TOGGLE", "DELETE"}),
        (data_sources, set()),
    ):
        found = {name for name, it in vars(module).items() if getattr(it, "may_be_empty", False)}
        assert found == names


@pytest.mark.parametrize("kind", [list, tuple, lambda items: dict(enumerate(items))])
def test_secrets_are_found_in_any_collection(kind: Any) -> None:
    found = secrets_in(kind([Secret(1), kind([Secret(2), "x"])]))
    assert sorted(secret.reveal() for secret in found) == [1, 2]


def test_path_and_query() -> None:
    assert data_diffs.GET.request(datadiff_id=" 7 ").path == "/api/v1/datadiffs/7"
    assert data_diffs.GET.request(datadiff_id=7).content is None
    path = data_diffs.LIST.request(page=2, accessible_only=True, sort_order=None).path
    assert path == "/api/v1/datadiffs?page=2&accessible_only=true"
    assert data_diffs.LIST.request(accessible_only="False").path.endswith("accessible_only=false")
    with pytest.raises(DatafoldInputError, match="^page: must be"):
        data_diffs.LIST.request(page="two")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_order_of_a_list(order: str) -> None:
    assert monitors.LIST.request(sort_order=order).path.endswith(f"sort_order={order}")


def test_a_body_and_its_secrets() -> None:
    options = '{"host": "db", "dbname": "d", "user": "u", "password": "abcdef"}'
    body = {"name": "a", "type": "pg", "options": options}
    request = data_sources.CREATE.request(body)
    assert b'"password": "abcdef"' in request.content.reveal()  # type: ignore[union-attr]
    assert [secret.reveal() for secret in request.secrets] == ["abcdef"]
    assert "abcdef" not in repr(request)


def test_a_request_that_no_operation_declares() -> None:
    request = free_request(
        "get", "/a?b=1", {"token": Secret("abcdef")}, is_repeatable=None, may_be_empty=True
    )
    assert (request.operation.method, request.path) == ("GET", "/a?b=1")
    assert request.operation.carries_secrets
    assert request.operation.may_be_empty
    assert request.operation.effect.is_repeatable
    assert [secret.reveal() for secret in request.secrets] == ["abcdef"]
    for method, is_repeatable in (("POST", False), ("PATCH", False), ("PUT", True)):
        free = free_request(method, "/a", None, is_repeatable=None, may_be_empty=False)
        assert free.operation.effect.is_repeatable is is_repeatable
        free = free_request(method, "/a", None, is_repeatable=True, may_be_empty=False)
        assert free.operation.effect.is_repeatable is True
