"""From a dbt project to gates, in one process. tests/dags runs them in a real Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datafold.api import ci
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.operators.dbt import DatafoldDbtModelsOperator
from tests.conftest import API_KEY, Log
from tests.contexts import context_of
from tests.dbt import VERSIONS, a_model, a_test, artifact, manifest

NOTHING = "Nothing was sent."
pytestmark = pytest.mark.usefixtures("connections")
Read = Callable[..., Any]


@pytest.fixture
def left_out() -> list[tuple[str, str]]:
    """What the operator told as left out, with the reasons."""
    return []


@pytest.fixture
def read(tmp_path: Path, left_out: list[tuple[str, str]]) -> Read:
    """Run the operator over manifests. A manifest may be a list of nodes."""

    def run(built: Any = None, published: Any = None, **arguments: Any) -> Any:
        given: dict[str, Any] = {"data_source_id": 1, **arguments}
        for name, content in (
            ("manifest", manifest() if built is None else built),
            ("production_manifest", published),
        ):
            if content is not None:
                content = of_nodes(content) if isinstance(content, list) else content
                file = tmp_path / f"{name}.json"
                file.write_text(json.dumps(content))
                given.setdefault(name, str(file))
        if "production" not in given:
            given.setdefault("production_manifest", artifact("production"))
        task = DatafoldDbtModelsOperator(task_id="models", **given)
        context = context_of(task)
        try:
            return task.execute(context)
        finally:
            told = context["ti"].pushed["left_out"]
            left_out[:] = [(each["name"], each["reason"]) for each in told]

    return run


@pytest.fixture
def refused(read: Read) -> Read:
    """Run the operator where it must refuse an argument, and return what it says."""

    def run(*given: Any, **arguments: Any) -> str:
        with pytest.raises(DatafoldInputError) as caught:
            read(*given, **arguments)
        assert caught.value.__context__ is None
        return str(caught.value)

    return run


def compared(found: list[dict[str, Any]]) -> list[str]:
    return [each["table2"][-1] for each in found]


def of_nodes(nodes: list[Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "nodes": {node["unique_id"]: node for node in nodes}}


def schema(kind: str, version: int) -> dict[str, Any]:
    url = f"https://schemas.getdbt.com/dbt/{kind}/v{version}.json"
    return {"metadata": {"dbt_schema_version": url}}


EPHEMERAL = {"config": {"materialized": "ephemeral"}}
TO_PUBLIC = {"production": {"schema": "public"}}


def model(name: str = "orders", *, meta: Any = None, **more: Any) -> dict[str, Any]:
    """A model with a key. dbt writes an alias twice: what is configured, and what came of it."""
    config = {**more.pop("config", {}), **({"alias": more["alias"]} if "alias" in more else {})}
    return a_model(
        name, **{"meta": {"primary-key": ["id"], **(meta or {})}, "config": config, **more}
    )


def prefixed(name: str, **more: Any) -> dict[str, Any]:
    """A model whose table a macro of the project names after the target."""
    return {**model(name, **more), "alias": f"dev_{name}"}


def gate(name: str, *keys: str, schema: str = "", **more: Any) -> dict[str, Any]:
    return {
        "data_source1_id": 1,
        "data_source2_id": 1,
        "table1": ["shop", f"public{schema}", name],
        "table2": ["shop", f"staging{schema}", name],
        "pk_columns": list(keys),
        **more,
    }


GATES = [
    gate("customers", "customer_id", filter1="not is_test", filter2="not is_test")
    | {"exclude_columns": ["name"]},
    gate("events", "event_id", "kind"),
    gate("order_lines", "order_id", "line"),
    gate("orders", "order_id", max_rows_added=1000),
    gate("payments", "payment_id", schema="_finance"),
    gate("prices", "product_id", "valid_from", schema="_finance"),
    gate("products", "product_id"),
    gate("returns", "order_id", "reason"),
    gate("shipments", "order_id", "parcel"),
]
"""What the small project in dev/dbt_project comes to."""

LEFT_OUT = (
    "Comparing 9 of 13 models. Left out: never_diff: debug_notes; disabled: old_orders; ephemeral: "
    "stg_orders; new, so nothing is published: loyalty."
)


@pytest.mark.parametrize(
    ("version", "results"), [(VERSIONS[0], False), *((v, True) for v in VERSIONS)]
)
def test_real_projects(version: str, results: bool, sandbox: Any, task_log: Log) -> None:
    run_results = artifact("staging", "run_results", version) if results else None
    found = DatafoldDbtModelsOperator(
        task_id="models",
        manifest=artifact("staging", "manifest", version),
        production_manifest=artifact("production", "manifest", version),
        run_results=run_results,
        data_source_id=" 1",
    ).execute({})

    assert found == GATES
    assert [line for line in task_log.messages if "Left out" in line] == [LEFT_OUT]
    assert task_log.warnings == []
    # All that Datafold is asked is the type of the data source.
    assert [each.path for each in sandbox.state.requests] == ["/api/v1/data_sources/1"]


def test_the_log_says_where_a_key_is_from(read: Read, task_log: Log) -> None:
    read(select=["events", "prices"])
    assert "Comparing 2 of 2 models." in task_log.messages
    assert "Key of events: ['event_id', 'kind'] (unique_key)." in task_log.messages
    read([a_model("orders")], missing_pk="infer", **TO_PUBLIC)
    assert "Key of orders: inferred by Datafold." in task_log.messages


# What is selected


@pytest.mark.parametrize(
    ("selected", "names"),
    [
        (["tag:nightly"], ["orders", "products"]),
        (["path:./models/finance/"], ["payments", "prices"]),
        (["path:models\\finance\\prices.sql"], ["prices"]),
        ("['orders', 'events']", ["events", "orders"]),
        (["shop.shop.orders", "model.shop.events"], ["events", "orders"]),
        (["package:shop", "orders"], [gate["table2"][-1] for gate in GATES]),
        # It fits one that is left out.
        (["old_orders"], []),
    ],
)
def test_select(selected: Any, names: list[str], read: Read) -> None:
    assert compared(read(select=selected)) == names


@pytest.mark.parametrize(
    ("selected", "shown"),
    [
        (["orders", "order", "tag:x"], "'order', 'tag:x'"),
        (["path:models/fin"], "'path:models/fin'"),
        (["source:orders"], "'source:orders'"),
        (["package:shop", "package:sho"], "'package:sho'"),
        ([], "an empty list"),
    ],
)
def test_a_selector_that_fits_nothing(selected: Any, shown: str, refused: Read) -> None:
    assert refused(select=selected) == (
        f"select: no model fits {shown}. It takes names of models, 'tag:...', 'package:...', and "
        f"'path:...' from the project's folder. {NOTHING}"
    )


@pytest.mark.parametrize(
    ("selected", "excluded", "names"),
    [
        (None, ["package:tools"], ["a", "b"]),
        (None, "['tag:slow', 'path:models/b.sql', 'no_such_model']", ["a"]),
        (["tag:slow"], ["package:tools"], []),
        (["a", "c"], None, ["a", "c"]),
    ],
)
def test_exclude(selected: Any, excluded: Any, names: list[str], read: Read, left_out: Any) -> None:
    nodes = [model("a"), model("b"), model("c", unique_id="model.tools.c", tags=["slow"])]
    assert compared(read(nodes, select=selected, exclude=excluded, **TO_PUBLIC)) == names
    # Nobody asked for it.
    assert left_out == []


LISTED = """
\x1b[0m07:00:01  Running with dbt=1.11.16
07:00:02  Found 13 models, 1 seed
source:shop.raw.orders
shop.shop.orders
shop.shop.unique_orders_order_id
shop.finance.prices
shop.finance.payments
exposure:shop.dashboard
"""


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.parametrize(
    ("listed", "names"),
    [
        (LISTED, ["orders", "payments", "prices"]),
        ("orders\n", ["orders"]),
        # A person has added a line.
        ("orders\npath:models/finance/prices.sql\n", ["orders", "prices"]),
        # Nothing has changed.
        ("07:00:01  No nodes selected!\n", []),
        ("", []),
        ("path:models/finance/prices.sql", ["prices"]),
        ("source:shop.raw.orders", []),
    ],
)
def test_what_dbt_lists_is_selected(
    listed: str, names: list[str], is_file: bool, read: Read, tmp_path: Path
) -> None:
    content = manifest()
    tests = [node for node in content["nodes"].values() if node["resource_type"] == "test"]
    tests[0]["fqn"] = ["shop", "shop", "unique_orders_order_id"]
    # A test in SQL may have the name of the model that it is about.
    tests[1]["fqn"] = ["shop", "finance", "payments"]
    file = tmp_path / "listed.txt"
    file.write_text(listed, encoding="utf-8-sig")
    assert compared(read(content, select=str(file) if is_file else listed)) == names


def test_a_list_of_what_is_no_model(refused: Read, tmp_path: Path) -> None:
    assert refused(select="shop.shop.orders\n" + "{secret}\n" * 9).startswith(
        "select: no model fits '{secret}'. It takes"
    )
    assert "'no_9' and 5 more. " in refused(select=[f"no_{number}" for number in range(15)])
    # Of --output json.
    assert """'{"name": "orders"}'""" in refused(select='{"name": "orders"}\n' * 2)
    assert refused(select="no/file").startswith("select: no/file cannot be read at ")
    assert refused(select="state:modified+").startswith("select: no model fits 'state:modified+'.")
    (tmp_path / "listed.txt").write_bytes(b"\xff")
    assert refused(select=str(tmp_path / "listed.txt")).endswith(f"is not text in UTF-8. {NOTHING}")


def test_versions_of_a_model(read: Read, task_log: Log) -> None:
    versions = [
        model(unique_id=f"model.shop.orders.v{number}", alias=f"orders_v{number}", version=number)
        for number in (1, 2)
    ]
    names = ["orders_v1", "orders_v2"]
    assert compared(read(versions, **TO_PUBLIC)) == names
    assert len(read(versions, select=["orders"], **TO_PUBLIC)) == 2
    (only,) = read(versions, select=["orders.v2"], **TO_PUBLIC)
    assert only["table1"] == ["shop", "public", "orders_v2"]


# What was built


def results(tmp_path: Path, content: Any) -> str:
    file = tmp_path / "run_results.json"
    file.write_text(json.dumps(content))
    return str(file)


def of_run(tmp_path: Path, *models: Any, **more: Any) -> str:
    return results(tmp_path, {"results": [{"status": "success", **it} for it in models], **more})


def test_only_what_was_built(read: Read, tmp_path: Path, task_log: Log) -> None:
    nodes = [model(name) for name in "abcdef"]
    # Some batches of a microbatch failed; a status of dbt's next version.
    statuses = {"b": "error", "c": "skipped", "e": "partial success", "f": "reused"}
    built = [
        {"unique_id": f"model.shop.{name}", "status": statuses.get(name, "success")}
        for name in "abcef"
    ]
    file = results(tmp_path, {"args": {"which": "run"}, "results": ["nonsense", *built]})
    assert compared(read(nodes, run_results=file, **TO_PUBLIC)) == ["a", "e"]
    assert (
        "Comparing 2 of 6 models. Left out: not built (error): b; not built (skipped): c; "
        "not built (not in run_results): d; not built (reused): f." in task_log.messages
    )
    assert task_log.warnings[0] == "Not built (error), so not compared: b."
    assert task_log.warnings[2] == "Not built (reused), so not compared: f."
    assert len(task_log.warnings) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"nodes": {}}, "has no 'results', so it is not the run_results.json of dbt"),
        (
            {"results": [], **schema("sources", 3)},
            "is dbt's sources.json, not its run_results.json",
        ),
        (
            {"args": {"which": "compile"}, "results": []},
            "was written by 'dbt compile', which builds no models. Keep the file that dbt build or "
            "dbt run wrote, and pass that",
        ),
        *(
            (
                {"args": {"which": "build", **flags}, "results": []},
                f"was written by 'dbt build' with --{flag}, which builds tables without all of "
                f"their rows. Build without it, and pass the files of that run",
            )
            for flag, flags in {"empty": {"empty": True}, "sample": {"sample": "3 days"}}.items()
        ),
    ],
)
def test_other_results(content: Any, said: str, refused: Read, tmp_path: Path) -> None:
    assert refused(run_results=results(tmp_path, content)) == f"run_results: {said}. {NOTHING}"


def test_results_of_another_run_are_refused(refused: Read, tmp_path: Path, sandbox: Any) -> None:
    # Published, and built: the same models.
    nodes = [model(name, relation_name=f'"shop"."staging"."{name}"') for name in "abcd"]
    built = [
        {"unique_id": "model.shop.a", "relation_name": '"shop"."public"."a"'},
        {"unique_id": "model.shop.b", "relation_name": '"shop"."public"."b"', "status": "error"},
        {"unique_id": "model.shop.c", "relation_name": '"shop"."staging"."c"'},
        # Not of a table.
        {"unique_id": "model.shop.d", "relation_name": None},
        {"unique_id": "model.shop.gone", "relation_name": '"shop"."public"."gone"'},
    ]
    assert refused(nodes, run_results=of_run(tmp_path, *built), **TO_PUBLIC) == (
        "run_results: is of another run than the manifest, because other tables were built: a "
        '("shop"."public"."a", not "shop"."staging"."a"), b ("shop"."public"."b", not '
        f'"shop"."staging"."b"). Pass both files of the run that built the models. {NOTHING}'
    )
    assert sandbox.state.requests == []
    # Of those that are not selected, too: they say whose results these are.
    assert "is of another run" in refused(
        nodes, run_results=of_run(tmp_path, *built), select=["c"], **TO_PUBLIC
    )


def test_results_of_production(read: Read, task_log: Log) -> None:
    of_both = {
        name: artifact("production", name.removeprefix("production_"), "1.5")
        for name in ("production_manifest", "run_results")
    }
    # dbt did not write yet which tables it built.
    assert read(manifest=artifact("staging", "manifest", "1.5"), **of_both) == GATES
    assert task_log.warnings[0] == (
        "run_results and manifest are of different runs of dbt (their invocation_id differs). "
        "Check that both are of the build: run_results of another run says nothing about what "
        "was built."
    )


def test_models_that_the_results_lack_are_a_warning(
    read: Read, tmp_path: Path, task_log: Log
) -> None:
    # Nobody expects the last two.
    never = {"datafold": {"datadiff": {"never_diff": True}}}
    nodes = [model("a"), model("b"), model("c", **EPHEMERAL), model("d", meta=never)]
    # The manifest does not say of which run it is, so nobody knows whether they differ.
    facts = {"args": {"which": "retry"}, "metadata": {"invocation_id": "x"}}
    file = of_run(tmp_path, {"unique_id": "model.shop.a"}, **facts)
    assert len(read(nodes, run_results=file, **TO_PUBLIC)) == 1
    assert task_log.warnings == [
        "Not in run_results, so not compared: b. A task after the gates may publish them all the "
        "same. After 'dbt retry', leave run_results out."
    ]


# Where it is published


@pytest.mark.parametrize(
    ("twin", "table"),
    [
        ({"database": "live", "schema": "Sales", "alias": "all"}, ["live", "Sales", "all"]),
        # Some warehouses have no databases.
        ({"database": None, "schema": "live"}, ["live", "orders"]),
        (EPHEMERAL, None),
        ({"resource_type": "snapshot"}, None),
    ],
)
def test_the_twin_of_a_model(
    twin: Any, table: Any, read: Read, task_log: Log, left_out: Any
) -> None:
    found = read([model()], [model(**twin)])
    assert [each["table1"] for each in found] == ([table] if table else [])
    if table is None:
        assert left_out == [("orders", "new, so nothing is published")]
        assert task_log.warnings == [
            "No model is left to compare, so Airflow skips what is mapped to it."
        ]


def named(name: str, **more: Any) -> dict[str, Any]:
    """A model of production, in a schema of its own."""
    return model(name, schema="public", **more)


IN_FINANCE = {"config": {"schema": "finance"}}
A, B, ORDERS = named("a"), named("b"), named("orders")
SALES, INLINED = model("sales", alias="orders"), model("orders", **EPHEMERAL)
VERSIONED = model(unique_id="model.shop.orders.v1", alias="orders_v1", version=1)
SALES_IN_FINANCE = model("sales", alias="orders", **IN_FINANCE)
NEW, REMOVED = "new, so nothing is published", "removed"
NO_TWIN = [("sales", NEW), ("orders", REMOVED)]


def of_other(name: str) -> dict[str, Any]:
    """dbt Mesh: a model that another project builds and publishes."""
    return model(name, unique_id=f"model.other.{name}", original_file_path="")


@pytest.mark.parametrize(
    ("built", "published", "pairs", "left"),
    [
        # It was renamed, and its table was not.
        ([SALES], [ORDERS], [("orders", "orders")], []),
        # In any case, because most warehouses ignore it.
        ([model("sales", alias="ORDERS")], [ORDERS], [("orders", "ORDERS")], []),
        # It got a version.
        ([VERSIONED], [ORDERS], [], [("orders.v1", NEW), ("orders", REMOVED)]),
        # It moved to another package.
        ([model(unique_id="model.tools.orders")], [ORDERS], [("orders", "orders")], []),
        # Its own id goes on, and another model takes its table over.
        ([model("a", alias="old"), model("b", alias="a")], [A], [("a", "old"), ("a", "a")], []),
        # A macro names the tables of each target, and one name is that of another's table.
        (
            [prefixed("a"), prefixed("dev_a"), prefixed("new")],
            [named("a"), named("dev_a"), named("dev_new")],
            [("a", "dev_a"), ("dev_a", "dev_dev_a")],
            [("new", NEW), ("dev_new", REMOVED)],
        ),
        # They change places.
        ([model("a", alias="b"), model("b", alias="a")], [A, B], [("b", "b"), ("a", "a")], []),
        ([SALES_IN_FINANCE], [named("orders", **IN_FINANCE)], [("orders", "orders")], []),
        # Not the same table: another schema, or another database, of the project's own.
        ([SALES_IN_FINANCE], [ORDERS], [], NO_TWIN),
        ([SALES], [named("orders", config={"database": "own"})], [], NO_TWIN),
        # Nobody knows which.
        (
            [SALES],
            [ORDERS, named("b", alias="orders")],
            [],
            [NO_TWIN[0], ("b", REMOVED), NO_TWIN[1]],
        ),
        (
            [model("a"), of_other("b")],
            [A, of_other("b"), of_other("c")],
            [("a", "a")],
            [("b", "of another project")],
        ),
        # It takes over the table of one that is no longer built.
        ([SALES, INLINED], [ORDERS], [("orders", "orders")], [("orders", "ephemeral")]),
    ],
)
def test_a_table_that_another_model_takes_over(
    built: Any, published: Any, pairs: Any, left: Any, read: Read, left_out: Any
) -> None:
    found = read(built, published)
    assert [(each["table1"][-1], each["table2"][-1]) for each in found] == pairs
    assert left_out == left


def test_what_is_removed(read: Read, left_out: Any) -> None:
    nodes = [ORDERS, named("gone"), named("slow", tags=["slow"]), named("inlined", **EPHEMERAL)]
    published = of_nodes(nodes)
    published["disabled"] = {"model.shop.off": [named("off")]}
    assert len(read([model()], published, exclude=["tag:slow"])) == 1
    assert left_out == [("gone", REMOVED)]
    read([model()], published, select=["orders", "tag:slow"])
    assert left_out == [("slow", REMOVED)]
    read([model()], published, select=["orders"])
    assert left_out == []


def test_what_is_left_out_is_told_where_the_task_fails(refused: Read, left_out: Any) -> None:
    nodes = [a_model("a"), model("b"), model("c", config={"enabled": True})]
    published = [named("a"), model("b"), named("gone")]
    refused(nodes, published)
    assert left_out == [("a", "no primary key"), ("c", NEW), ("gone", REMOVED)]
    refused(nodes, published, missing_pk="skip")
    assert left_out == [("a", "no primary key"), ("c", NEW), ("gone", REMOVED)]
    refused(missing_pk="ask")
    assert left_out == []


@pytest.mark.parametrize(
    ("ours", "theirs", "whose"),
    [
        ({"project_name": "shop"}, {"project_name": "other"}, "the project other"),
        # dbt 1.5 writes no names.
        ({"project_id": "1"}, {"project_id": "2"}, "another project"),
    ],
)
def test_production_of_another_project(
    ours: Any, theirs: Any, whose: str, read: Read, refused: Read
) -> None:
    nodes = [named("orders", unique_id="model.other.orders")]
    if "project_name" in ours:  # Both have the same package.
        nodes.append(named("dates", unique_id="model.tools.dates"))
    built = of_nodes([model(), model(unique_id="model.tools.dates", alias="dates")], **ours)
    assert refused(built, of_nodes(nodes, **theirs)) == (
        f"production_manifest: is of {whose}, and has none of the models that were built. "
        f"Pass the manifest of the run that published them, or rules as production. {NOTHING}"
    )
    # A project that has this one as a package; and one that does not say which it is.
    assert read(built, of_nodes([*nodes, named("orders")], **theirs))
    assert read(built, of_nodes(nodes))


PREFIXED = {"schema": "public", "custom_schema": "prod_<custom_schema>"}


@pytest.mark.parametrize(
    ("rules", "more", "table"),
    [
        ("{'database': 'live', 'schema': None}", {}, ["live", "staging", "orders"]),
        ({"database": "live"}, {"config": {"database": "own"}}, ["own", "staging", "orders"]),
        ({"database": "live"}, IN_FINANCE, ["live", "staging", "orders"]),
        (PREFIXED, IN_FINANCE, ["shop", "prod_finance", "orders"]),
        (PREFIXED, {}, ["shop", "public", "orders"]),
        ({"custom_schema": "all"}, IN_FINANCE, ["shop", "all", "orders"]),
    ],
)
def test_rules(rules: Any, more: Any, table: list[str], read: Read) -> None:
    (found,) = read([model(**more)], production=rules)
    assert found["table1"] == table


KEYS = "must have at least one of 'database', 'schema', 'custom_schema', and no other keys"
ONE_PLACE = "pass exactly one of production_manifest and production"


@pytest.mark.parametrize(
    ("rules", "manifest", "said"),
    [
        ({"schema": None}, None, f"{KEYS}; found: nothing"),
        ({"schema": "public", "table": "x"}, None, f"{KEYS}; found: 'table'"),
        ("None", None, f"{ONE_PLACE}; found: none"),
        ({"schema": "a"}, "m", f"{ONE_PLACE}; found: production_manifest and production"),
    ],
)
def test_wrong_rules(rules: Any, manifest: Any, said: str, refused: Read) -> None:
    found = refused(production=rules, production_manifest=manifest)
    assert found == f"production: {said}. {NOTHING}"


def test_all_models_that_a_rule_lacks(refused: Read) -> None:
    nodes = [
        model("a", **IN_FINANCE),
        model("b"),
        model("c", config={"schema": "hr"}),
        # Left out anyway.
        model("d", config={"schema": "hr", "materialized": "ephemeral"}),
    ]
    assert refused(nodes, **TO_PUBLIC) == (
        "production: has no 'custom_schema', but these models have a schema of their own: a "
        "(finance), c (hr). Pass e.g. {'custom_schema': 'prod_<custom_schema>'}. Nothing was sent."
    )


def test_rules_that_send_two_models_to_one_table(read: Read, refused: Read) -> None:
    nodes = [
        model("a", alias="x", **IN_FINANCE),
        model("b", alias="x", config={"schema": "hr"}),
        model("c", alias="x", config={"enabled": True, "schema": "hr", **EPHEMERAL["config"]}),
        model("d"),
    ]
    assert refused(nodes, production={"custom_schema": "all"}) == (
        "production: sends several models to one published table: model.shop.a and model.shop.b "
        "(shop.all.x). Keep their schemas apart with '<custom_schema>' in 'custom_schema', or pass "
        "production_manifest. Nothing was sent."
    )
    assert compared(read(nodes, production=PREFIXED)) == ["x", "x", "d"]


@pytest.mark.parametrize(
    "how",
    [
        {"published": [model("a"), model("b"), model("c", schema="public")]},
        # Most warehouses take no notice of case.
        {"production": {"schema": "Staging"}},
        {"production": {"schema": "Staging"}, "upper_case": True},
        # One side has no database.
        {"published": [model("A", unique_id="model.shop.a", database=None), model("b")]},
    ],
)
def test_no_table_is_compared_with_itself(how: Any, refused: Read) -> None:
    nodes = [model(name) for name in ("a", "b")]
    assert refused(nodes, **how).startswith(
        f"{'production_manifest' if 'published' in how else 'production'}: says that these models "
        "are published where they were built, so that each table would be compared with itself: "
        "a, b. Pass "
    )


@pytest.mark.parametrize(
    ("published", "built"),
    [
        (0, None),
        ("0", None),
        ("-0.0", None),
        ("", None),
        ("now", None),
        (-3600, ["-3600.0"]),
        ("2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00Z"),
    ],
)
def test_a_moment_may_be_written_in_several_ways(published: Any, built: Any, refused: Read) -> None:
    moments = {"prod_time_travel": published}
    moments |= {} if built is None else {"pr_time_travel": built}
    same = model(meta={"datafold": {"datadiff": moments}})
    assert "compared with itself: orders" in refused([same], production={"schema": "staging"})


def test_a_table_may_be_compared_with_its_past(read: Read) -> None:
    past = model(meta={"datafold": {"datadiff": {"prod_time_travel": -3600}}})
    (found,) = read([past], production={"schema": "staging"})
    assert found["table1"] == found["table2"]
    assert found["options"] == {"time_travel_point1": -3600}


# The warehouse's names

NAMES = {
    # Datafold's own page has a list of one.
    "prod_time_travel": ["2024-01-01T00:00:00+00:00"],
    "pr_time_travel": "2024-01-02T00:00:00+00:00",
    "time_column": "ordered_on",
    "include_columns": ["id", "amount"],
    "exclude_columns": ["note"],
    "filter": "id > 7",
    "never_diff": False,
    "diff_tolerance": 0.01,
    # Of Datafold's CI alone.
    "slim_diff": "diff_when_downstream",
}


@pytest.mark.parametrize(
    ("source", "upper_case", "is_upper"),
    [(1, None, False), (2, None, True), (2, False, False), ("1", "True", True)],
)
def test_upper_case(
    source: Any, upper_case: Any, is_upper: bool, read: Read, sandbox: Any, task_log: Log
) -> None:
    node = model(meta={"datafold": {"datadiff": NAMES}})
    (found,) = read([node], data_source_id=source, upper_case=upper_case, **TO_PUBLIC)

    change = str.upper if is_upper else str
    same = gate("orders", "id")
    names = {name: [*map(change, same[name])] for name in ("table1", "table2", "pk_columns")}
    assert found == {
        "data_source1_id": int(source),
        "data_source2_id": int(source),
        **names,
        # SQL itself finds the names.
        "filter1": "id > 7",
        "filter2": "id > 7",
        "include_columns": [*map(change, ["id", "amount"])],
        "exclude_columns": [change("note")],
        "options": {
            "time_travel_point1": "2024-01-01T00:00:00+00:00",
            "time_travel_point2": NAMES["pr_time_travel"],
            "diff_tolerance": 0.01,
            "time_column": change("ordered_on"),
        },
    }
    assert task_log.warnings == []
    assert len(sandbox.state.requests) == (upper_case is None)


@pytest.mark.parametrize(
    ("relation", "published", "tables"),
    [
        ("shop.staging.orders", None, ["SHOP.PUBLIC.ORDERS", "SHOP.STAGING.ORDERS"]),
        ('shop."staging"."orders"', None, ["SHOP.public.orders", "SHOP.staging.orders"]),
        (
            '"shop".staging."orders"',
            'shop."public".orders',
            ["SHOP.public.ORDERS", "shop.STAGING.orders"],
        ),
    ],
)
def test_what_is_quoted_keeps_its_case(
    relation: str, published: str | None, tables: list[str], read: Read
) -> None:
    nodes = [named("orders", relation_name=published)] if published else None
    rules = {} if published else TO_PUBLIC
    (found,) = read([model(relation_name=relation)], nodes, data_source_id=2, **rules)
    assert [".".join(found["table1"]), ".".join(found["table2"])] == tables
    assert {type(part) for part in found["table1"]} == {str}


def test_what_upper_case_leaves_alone(read: Read) -> None:
    names = ["id", "größe", "ÿ", "orderId", "Order Id", '"lineNo"']
    columns = {"orderId": {"name": "orderId", "quote": True}, "id": {"name": "id", "quote": None}}
    node = model(meta={"primary-key": names}, columns=columns)
    (found,) = read([node], upper_case=True, **TO_PUBLIC)
    # A sharp s has no upper case of one letter. A column that is quoted has the case that it has.
    assert found["pk_columns"] == ["ID", "GRÖßE", "Ÿ", "orderId", "Order Id", "lineNo"]


LINES = {"combination_of_columns": ["orderId", "line"], "quote_columns": True}


@pytest.mark.parametrize(
    ("key", "test", "found"),
    [
        # dbt quotes the columns of all tests of a model with quote_columns.
        ([], {"column_name": '"orderId"'}, ["orderId"]),
        (['"orderId"'], {"column_name": '"orderId"'}, ["orderId"]),
        ([], {"column_name": """"orderId" || '-' || line"""}, ["orderId", "LINE"]),
        ([], {"column_name": '"ORDERID"'}, ["ORDERID"]),
        ([], LINES, ["orderId", "line"]),
        (["line", "orderId"], LINES, ["orderId", "line"]),
    ],
)
def test_a_key_that_its_test_quotes_keeps_its_case(
    key: list[str], test: Any, found: list[str], read: Read
) -> None:
    node = a_model("orders", columns={"orderId": {}, "line": {}}, primary_key=key)
    kind = "unique" if "column_name" in test else "unique_combination_of_columns"
    (gate_of_it,) = read([node, a_test(kind, "orders", **test)], upper_case=True, **TO_PUBLIC)
    assert gate_of_it["pk_columns"] == found
    assert {type(name) for name in gate_of_it["pk_columns"]} == {str}


# What a model says


LIMITS = {"max_rows_added": 1000, "min_match_ratio": 0.5, "on_empty": "pass"}
NO_SETTINGS = {"datadiff": {"filter": None, "include_columns": []}, "gate": {}}


@pytest.mark.parametrize(
    ("given", "limits"), [({"gate": LIMITS, "datadiff": None}, LIMITS), (NO_SETTINGS, {})]
)
def test_limits_of_a_model(given: Any, limits: Any, read: Read) -> None:
    found = read([model(meta={"datafold": given})], **TO_PUBLIC)
    assert found == [gate("orders", "id", **limits)]


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("gate", {"max_rows_addedd": 1}, "the gate has no limit 'max_rows_addedd'; did you mean "),
        ("gate", {"x": 1}, "the gate has no limit 'x'; its limits are on_difference, "),
        ("gate", {"max_rows_added": -1}, "max_rows_added: must be an integer from 0 to"),
        ("gate", [1], "must be an object, not a value of type list."),
        ("datadiff.include_columns", "id", "must be a list of strings,"),
        ("datadiff.filter", ["id > 7"], "must be a string"),
        ("datadiff.never_diff", "sometimes", "must be true or false, not 'sometimes'"),
        ("datadiff.pr_time_travel", True, "must be a string"),
        ("datadiff.prod_time_travel", [-60, -90], "must be one moment, not [-60, -90]"),
        ("datadiff.diff_tolerance", -1, "must be a number from 0 on, not -1"),
    ],
)
def test_wrong_settings_name_the_model(place: str, value: Any, said: str, refused: Read) -> None:
    outer, _, inner = place.partition(".")
    meta = {"datafold": {outer: {inner: value} if inner else value}}
    found = refused([model(meta=meta)], **TO_PUBLIC)
    assert found.startswith(f"model 'orders': datafold.{place} in its meta: {said}")


def test_settings_of_what_has_no_table_are_not_read(read: Read, left_out: Any) -> None:
    wrong = {"datafold": {"gate": {"x": 1}}}
    content = of_nodes([model(), model("inlined", meta=wrong, **EPHEMERAL)])
    content["disabled"] = {"model.shop.off": [model("off", meta=wrong)]}
    assert len(read(content, **TO_PUBLIC)) == 1
    assert left_out == [("inlined", "ephemeral"), ("off", "disabled")]


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("filter1", "filter", "id = '{{ conn.warehouse.password }}'"),
        ("include_columns", "include_columns", ["id", "{% if a %}"]),
        ("options", "time_column", "{# a #}"),
    ],
)
def test_a_project_has_no_templates(name: str, setting: str, value: Any, refused: Read) -> None:
    # Airflow renders what it maps: dbt's users would read its connections.
    node = model(meta={"datafold": {"datadiff": {setting: value}}})
    assert refused([node], **TO_PUBLIC) == (
        f"model 'orders': Airflow would take what the project gives for {name} for a template, "
        "which can read Airflow's connections: it contains '{{', '{%' or '{#'. Take that out of "
        "the project."
    )


def test_settings_that_are_unknown_are_named(read: Read, task_log: Log) -> None:
    datadiff = {"filtre": "id > 7", "owner": "me", "filter": "id > 8"}
    meta = {"datafold": {"gates": {"max_rows_added": 1}, "filter": "x", "datadiff": datadiff}}
    (found,) = read([model(meta=meta)], **TO_PUBLIC)
    assert found["filter1"] == "id > 8"
    assert task_log.warnings == [
        "Model orders: unknown settings are ignored: datafold.gates (did you mean "
        "'datafold.gate'?), datafold.filter (did you mean 'datafold.datadiff.filter'?), "
        "datafold.datadiff.filtre (did you mean 'datafold.datadiff.filter'?), "
        "datafold.datadiff.owner."
    ]


# Models without a key

KEYLESS = [model("a"), a_model("b"), a_model("c"), a_model("d", **EPHEMERAL)]


def test_all_models_without_a_key_are_named(refused: Read) -> None:
    assert refused(KEYLESS, primary_key_tag="primary-key", **TO_PUBLIC) == (
        "manifest: these models have no primary key: b, c. Name its columns under 'primary-key' in "
        "each model's meta, or test that they are unique; or pass missing_pk='skip', or 'infer' to "
        "let Datafold find them. Nothing was sent."
    )


def test_models_without_a_key_are_skipped(read: Read, left_out: Any) -> None:
    assert compared(read(KEYLESS, missing_pk="skip", **TO_PUBLIC)) == ["a"]
    assert left_out == [("d", "ephemeral"), ("b", "no primary key"), ("c", "no primary key")]


def test_long_lists_are_cut(
    read: Read, refused: Read, task_log: Log, tmp_path: Path, left_out: Any
) -> None:
    nodes = [model(f"m{number:03}") for number in range(100)]
    file = of_run(tmp_path, {"unique_id": "model.shop.m000"})
    read(nodes, run_results=file, **TO_PUBLIC)
    assert len(left_out) == 99
    assert "m010 and 89 more. A task after" in task_log.warnings[0]
    assert any(line.endswith("m010 and 89 more.") for line in task_log.messages)
    assert "m009 and 90 more. Pass" in refused(nodes, production={"schema": "staging"})


def test_datafold_infers_keys(read: Read) -> None:
    found = read(KEYLESS, missing_pk="infer", **TO_PUBLIC)
    assert [each.get("pk_columns") for each in found] == [["id"], None, None]
    assert [each.get("options") for each in found] == [None, {"infer_pk": True}, {"infer_pk": True}]


def test_a_new_model_needs_no_key(read: Read) -> None:
    assert read([a_model("a")], []) == []


# For CI


def test_changes_for_ci(read: Read, sandbox: Any, task_log: Log) -> None:
    found = read(returns="ci_changes", select=["customers", "prices"])
    customers = {"prod": "shop.public.customers", "pr": "shop.staging.customers"}
    prices = {"prod": "shop.public_finance.prices", "pr": "shop.staging_finance.prices"}
    assert found == [
        {**customers, "pk": ["customer_id"], "exclude_columns": ["name"]},
        {**prices, "pk": ["product_id", "valid_from"]},
    ]
    assert task_log.warnings == [
        "Datafold's CI takes no filters, limits and times, so it ignores those of: customers."
    ]
    assert ci.UPLOAD.fit(found) == found


def test_nothing_is_lost_for_ci(read: Read, task_log: Log) -> None:
    nodes = [model(schema="a.b", alias='o"s'), a_model("x")]
    found = read(nodes, returns="ci_changes", missing_pk="infer", upper_case=True, **TO_PUBLIC)
    assert found == [
        {"prod": 'SHOP.PUBLIC."O""S"', "pr": 'SHOP."A.B"."O""S"', "pk": ["ID"]},
        {"prod": "SHOP.PUBLIC.X", "pr": "SHOP.STAGING.X"},
    ]
    assert task_log.warnings == []


# As many as Airflow maps


def test_no_more_models_than_airflow_maps(
    read: Read, refused: Read, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    nodes = [model(name) for name in ("a", "b", "c")]
    assert refused(nodes, **TO_PUBLIC) == (
        "select: 3 models are more than Airflow maps (2, its setting [core] max_map_length). "
        f"Select fewer in each task, or ask for a higher setting. {NOTHING}"
    )
    assert sandbox.state.requests == []
    assert len(read(nodes[:2], **TO_PUBLIC)) == 2
    # These are not mapped.
    assert len(read(nodes, returns="ci_changes", **TO_PUBLIC)) == 3


# Manifests


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"nodes": {}, **schema("manifest", 8)},
            "is a manifest of version 8; versions from 9 on can be read (dbt 1.5 and newer)",
        ),
        ({"metadata": [1]}, "has no 'nodes', so it is not the manifest.json of a dbt project"),
        ({"nodes": {}, **schema("catalog", 1)}, "is dbt's catalog.json, not its manifest.json"),
        (
            {"nodes": {"model.shop.a": 7}},
            "'model.shop.a' is not an object, so it is not a manifest that dbt wrote",
        ),
        (
            of_nodes([model(schema=None)]),
            "'model.shop.orders' has no 'schema', so it is not a manifest that dbt wrote",
        ),
    ],
)
@pytest.mark.parametrize("argument", ["manifest", "production_manifest"])
def test_other_files(argument: str, content: Any, said: str, refused: Read) -> None:
    built, published = (content, None) if argument == "manifest" else (None, content)
    assert refused(built, published) == f"{argument}: {said}. {NOTHING}"


def test_whatever_else_is_in_a_manifest(read: Read, task_log: Log) -> None:
    content = of_nodes([model(alias=None, columns={"id": 7}, constraints=["x"], tags=None)])
    content["nodes"]["seed.shop.x"] = {"resource_type": "seed"}
    content["disabled"] = {
        "test.shop.x": [{"resource_type": "test"}],
        "model.shop.old": model("old"),
        "model.shop.odd": [7],
        # Enabled in another package.
        "model.shop.orders": [model()],
    }
    content |= schema("manifest", 20)
    (found,) = read(content, **TO_PUBLIC)
    assert found == gate("orders", "id")
    assert "Comparing 1 of 2 models. Left out: disabled: old." in task_log.messages


def test_a_file_is_missing(refused: Read) -> None:
    assert refused(run_results="/no/file").startswith("run_results: /no/file cannot be read")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("manifest", None),
        ("production_manifest", ["m"]),
        ("production", [1]),
        ("production", {"schema": ""}),
        ("select", 7),
        ("exclude", "orders\n"),
        ("data_source_id", 0),
        ("primary_key_tag", ""),
        ("missing_pk", "ask"),
        ("missing_pk", f"x {API_KEY}"),
        ("upper_case", "maybe"),
        ("returns", "gates"),
    ],
)
def test_a_wrong_argument_is_named(name: str, value: Any, refused: Read, sandbox: Any) -> None:
    found = refused(**{name: value})
    assert found.startswith((f"{name}: ", f"{name}.schema: "))
    assert API_KEY not in found
    assert sandbox.state.requests == []
