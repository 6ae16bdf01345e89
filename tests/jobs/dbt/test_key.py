"""Where a dbt project says what identifies a row."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.key import Key, find_key, split
from airflow_provider_datafold.jobs.dbt.manifest import read_manifest
from tests.dbt import VERSIONS, a_model, a_test, manifest

WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "customers": ("the model's meta", "the model's meta", ("customer_id",)),
    "order_lines": ("the columns' meta", "the columns' meta", ("order_id", "line")),
    "products": ("the columns' tags", "the columns' tags", ("product_id",)),
    "orders": ("dbt's primary_key", "tests", ("order_id",)),
    "loyalty": ("dbt's primary_key", "tests", ("customer_id",)),
    "shipments": ("dbt's primary_key", "tests", ("order_id", "parcel")),
    "returns": ("dbt's primary_key", "tests", ("order_id", "reason")),
    "prices": ("tests", "tests", ("product_id", "valid_from")),
    "events": ("unique_key", "unique_key", ("event_id", "kind")),
    "payments": ("dbt's primary_key", "constraints", ("payment_id",)),
}
"""The models of the small project: where each version of dbt shows the key, and the key."""


@pytest.mark.parametrize("model", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_finds_the_key_in_what_dbt_wrote(version: str, model: str) -> None:
    found = find_key(
        read_manifest("manifest", manifest(version=version))[f"model.shop.{model}"], "primary-key"
    )
    *origins, columns = WAYS[model]
    assert found == Key(columns, origins[VERSIONS.index(version)])


def key_of(
    node: dict[str, Any], *tests: dict[str, Any], tag: str = "primary-key", **metadata: Any
) -> Any:
    nodes = {each["unique_id"]: each for each in (node, *tests)}
    (model,) = read_manifest("manifest", {"metadata": metadata, "nodes": nodes}).values()
    found = find_key(model, tag)
    return found and (found.origin, list(found.columns))


def incremental(unique_key: Any, **config: Any) -> dict[str, Any]:
    return {"config": {"materialized": "incremental", "unique_key": unique_key, **config}}


def constrained(*columns: str, of: str = "primary_key") -> dict[str, Any]:
    return {"constraints": [{"type": of, "columns": [*columns]}]}


def with_id(**more: Any) -> dict[str, Any]:
    return {"columns": {"id": {"name": "id", **more}}}


COLUMNS = {"id": {"name": "id"}, "kind": {"name": "kind"}}


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ({}, None),
        # The older place, the newer one, and a name that is not described.
        ({"meta": {"primary-key": ["x", "id"]}}, ("the model's meta", ["x", "id"])),
        ({"config": {"meta": {"primary-key": ["id"]}}}, ("the model's meta", ["id"])),
        ({"meta": {"primary-key": "id, kind"}}, ("the model's meta", ["id", "kind"])),
        (with_id(config={"meta": {"primary-key": True}}), ("the columns' meta", ["id"])),
        (with_id(meta={"primary-key": False}), None),
        (with_id(config={"tags": ["primary-key"]}), ("the columns' tags", ["id"])),
        # dbt lists them in any order.
        ({"primary_key": ["kind", "id"]}, ("dbt's primary_key", ["id", "kind"])),
        ({"primary_key": ["x", "kind"]}, ("dbt's primary_key", ["kind", "x"])),
        (incremental("id || kind"), ("unique_key", ["id", "kind"])),
        (incremental(["id", "id"]), ("unique_key", ["id"])),
        # Of a function nobody knows the columns.
        (incremental("md5(other)"), None),
        (incremental("id", incremental_strategy="delete+insert"), ("unique_key", ["id"])),
        (incremental("id", incremental_strategy="merge"), ("unique_key", ["id"])),
        # Nothing makes it unique.
        (incremental("id", incremental_strategy="append"), None),
        (incremental("id", incremental_strategy="insert_overwrite"), None),
        (incremental("id", incremental_strategy="microbatch"), None),
        (incremental("id", materialized="table"), None),
        ({"meta": {"primary-key": "false"}}, None),
        (with_id(meta={"primary-key": "False"}), None),
        (with_id(meta={"primary-key": "true"}), ("the columns' meta", ["id"])),
        # One column, in any case, unless the project quotes two.
        ({"meta": {"primary-key": ["id", "ID", "kind"]}}, ("the model's meta", ["id", "kind"])),
        (
            {
                "meta": {"primary-key": ["x", "X"]},
                "columns": {name: {"name": name, "quote": True} for name in ("x", "X")},
            },
            ("the model's meta", ["x", "X"]),
        ),
        (constrained("id", "kind"), ("constraints", ["id", "kind"])),
        # dbt writes them into SQL as they are.
        (constrained('"Id"', "kind"), ("constraints", ["Id", "kind"])),
        (
            {
                "columns": {
                    "id": {"constraints": [{"type": "unique"}]},
                    "code": {"constraints": [{"type": "unique"}, {"type": "not_null"}]},
                }
            },
            ("constraints", ["id"]),
        ),
        (constrained("kind", of="unique"), ("constraints", ["kind"])),
        (constrained("kind", of="check"), None),
        (constrained(), None),
    ],
)
def test_a_place(node: dict[str, Any], found: Any) -> None:
    assert key_of(a_model("orders", **{"columns": COLUMNS, **node})) == found


def test_the_first_place_counts() -> None:
    places: list[dict[str, Any]] = [
        {"meta": {"primary-key": ["a"]}},
        {"columns": {"b": {"meta": {"primary-key": True}}}},
        {"columns": {"c": {"tags": ["primary-key"]}}},
        {"primary_key": ["d"]},
        {},  # the test below
        incremental("f"),
        constrained("g"),
    ]
    found = []
    for begin in range(len(places)):
        node = a_model("orders")
        for place in reversed(places[begin:]):
            node |= place
        tests = [a_test("unique", "orders", column_name="e")] if begin < 5 else []
        # Otherwise dbt's own key would be a part of what is tested.
        tests += [a_test("unique", "orders", column_name="d")] if begin < 4 else []
        found.append(key_of(node, *tests)[1][0])
    assert found == ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("adapter", "strategy", "counts"),
    [
        ("spark", "merge", True),
        ("databricks", None, True),
        *((adapter, None, False) for adapter in ("spark", "dremio", "teradata", "vertica")),
    ],
)
def test_not_each_adapter_merges_by_default(adapter: str, strategy: Any, counts: bool) -> None:
    node = a_model("orders", **incremental("id", incremental_strategy=strategy))
    assert bool(key_of(node, adapter_type=adapter)) is counts


def test_another_tag() -> None:
    node = a_model("orders", meta={"pk": ["id"], "primary-key": ["x"]})
    assert key_of(node, tag="pk") == ("the model's meta", ["id"])


@pytest.mark.parametrize("value", [True, 7, [], [1], ["id", ""], [" "], {"id": 1}])
def test_a_tag_without_names(value: Any) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        key_of(a_model("orders", meta={"primary-key": value}))
    assert str(caught.value) == (
        "model 'orders': 'primary-key' in its meta: must be a list of columns, e.g. ['id'], not "
        f"{value!r} ({type(value).__name__}). Nothing was sent."
    )


PARTLY_UNIQUE_ID = a_test("unique", "orders", config={"where": "kind = 1"}, column_name="id")
UNIQUE_ID = a_test("unique", "orders", column_name="id")
UNIQUE_KIND = a_test("unique", "orders", column_name="kind")
NOT_NULL_KIND = a_test("not_null", "orders", column_name="kind")


def together(*columns: str, **more: Any) -> dict[str, Any]:
    kind = "unique_combination_of_columns"
    return a_test(kind, "orders", combination_of_columns=[*columns], **more)


BOTH = together("id", "kind")
AT_ID = together("id", "kind", column_name="id")


@pytest.mark.parametrize(
    ("tests", "found"),
    [
        ([UNIQUE_ID, UNIQUE_KIND], ["id"]),
        # A null is not unique.
        ([UNIQUE_ID, UNIQUE_KIND, NOT_NULL_KIND], ["kind"]),
        ([BOTH, NOT_NULL_KIND], ["id", "kind"]),
        # The project has it at a column.
        ([AT_ID], ["id", "kind"]),
        ([PARTLY_UNIQUE_ID], None),
        *(
            ([a_test("unique", "orders", config=config, column_name="id")], found)
            for config, found in [
                ({"severity": "warn"}, None),
                ({"severity": "ERROR", "error_if": ">10"}, None),
                ({"severity": "ERROR", "error_if": "> 0", "warn_if": "> 9"}, ["id"]),
                ({"fail_calc": "Count( * )"}, ["id"]),
                ({"fail_calc": "case when count(*) > 9 then 1 else 0 end"}, None),
            ]
        ),
        ([a_test("unique", "orders", attached_node=None, column_name="id")], ["id"]),
        ([a_test("unique", "orders", attached_node=None, depends_on={}, column_name="id")], None),
        ([a_test("unique", "orders")], None),
        ([a_test("unique", "orders", column_name="md5(x)")], None),
        ([a_test("unique", "orders", column_name='"Order Id"')], ["Order Id"]),
        ([together('"Order Id"', "line_no")], ["Order Id", "line_no"]),
        # A part of a key is none.
        ([together("md5(x)", "line_no")], None),
        ([a_test("accepted_values", "orders", column_name="id")], None),
        ([a_test("not_null", "orders", column_name="id")], None),
        ([a_test("unique", "customers", column_name="id")], None),
        ([a_test("unique", "orders", resource_type="unit_test", column_name="id")], None),
    ],
)
def test_tests(tests: list[dict[str, Any]], found: list[str] | None) -> None:
    assert key_of(a_model("orders"), *tests) == (found and ("tests", found))


@pytest.mark.parametrize(
    ("node", "tests", "found"),
    [
        # Unique only together, and dbt names the one without nulls.
        ({"primary_key": ["kind"]}, [BOTH, NOT_NULL_KIND], ["id", "kind"]),
        ({"primary_key": ["kind"]}, [BOTH, UNIQUE_KIND], ["kind"]),
        ({"primary_key": ["kind", "id"]}, [BOTH], ["kind", "id"]),
        ({"primary_key": ["kind", "id"]}, [UNIQUE_ID, UNIQUE_KIND], ["kind", "id"]),
        # dbt takes no notice of a test's where.
        ({"primary_key": ["id"]}, [PARTLY_UNIQUE_ID], None),
        ({"primary_key": ["id", "kind"]}, [PARTLY_UNIQUE_ID, UNIQUE_KIND], ["id", "kind"]),
        # A constraint is no guess.
        ({"primary_key": ["kind"], **constrained("kind")}, [BOTH], ["kind"]),
    ],
)
def test_dbt_s_own_key(node: dict[str, Any], tests: list[dict[str, Any]], found: Any) -> None:
    key = key_of(a_model("orders", **node), *tests)
    assert (key and key[1]) == found


def test_a_test_that_is_disabled_shows_no_key() -> None:
    node = a_model("orders", primary_key=["id"])
    content = {"nodes": {node["unique_id"]: node}, "disabled": {"test.shop.x": [UNIQUE_ID]}}
    assert find_key(read_manifest("manifest", content)[node["unique_id"]], "primary-key") is None


@pytest.mark.parametrize(
    ("expression", "known", "columns"),
    [
        (" ID ", ["id"], ["id"]),
        ("order id", ["order id"], ["order id"]),
        ("id || '-' || kind", [], ["id", "kind"]),
        ("id||'it''s, id2'||kind", [], ["id", "kind"]),
        ("CONCAT(a, '-', concat_ws('-', b, 7.5))", [], ["a", "b"]),
        ('concat(a, "-", "b", `c`)', [], ["a", "b", "c"]),
        ("`Order Id`", [], ["Order Id"]),
        (' "Order ""Id""" ', [], ['Order "Id"']),
        ("concat(`Order Id`, b)", [], ["Order Id", "b"]),
        # A column, or a string of BigQuery's?
        ('concat("Order Id", b)', [], []),
        ('concat("Order Id", b)', ["order id", "b"], ["Order Id", "b"]),
        ('"Order ""Id""" || x', ['order "id"', "x"], ['Order "Id"', "x"]),
        ("A || B", ["a", "b"], ["a", "b"]),
        # It does more: only columns that the project describes are sure to be columns. A part of a
        # key is none.
        ("md5(a || b)", ["a"], []),
        ("coalesce(a, 0) || cast(b as varchar)", ["a"], []),
        ("a::text || cast(b as numeric(9, 2))", ["a", "b"], ["a", "b"]),
        ('md5(concat(a, "-", b))', ["a", "b"], ["a", "b"]),
        ("coalesce(a, 0) || cast(b as varchar)", ["a", "b"], ["a", "b"]),
        ("md5(a)", [], []),
        ("a collate nocase", [], []),
        ("t.a || b", ["b"], []),
        ("t.a || t.b", ["a", "b"], ["a", "b"]),
        ("{{ dbt_utils.generate_surrogate_key(['a', 'b']) }}", ["a", "b"], []),
        ("'a'", ["a"], []),
        ("", ["a"], []),
    ],
)
def test_columns_of_an_expression(expression: str, known: list[str], columns: list[str]) -> None:
    assert split(expression, known) == columns
