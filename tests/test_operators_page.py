"""docs/operators.md and docs/connection.md say what the code does."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_datafold.kinds import KINDS
from airflow_provider_datafold.operators import bi
from tests import documents
from tests.conftest import ROOT

OPERATORS = ROOT / "docs" / "operators.md"
CONNECTION = ROOT / "docs" / "connection.md"

CLASSES = [
    value
    for value in vars(bi).values()
    if isinstance(value, type) and issubclass(value, bi.DatafoldOperator)
]
HEADINGS = {
    operator: {
        bi.DatafoldOperator: "What all take",
        bi.DatafoldUpdateOperator: "What all updates take",
    }.get(operator, operator.__name__)
    for operator in CLASSES
}
UPDATES = {
    operator.kind: operator
    for operator in CLASSES
    if issubclass(operator, bi.DatafoldUpdateOperator) and hasattr(operator, "kind")
}


def arguments(operator: type[bi.DatafoldOperator]) -> dict[str, inspect.Parameter]:
    """The arguments that an operator has besides those of its parent."""
    if "__init__" not in vars(operator):
        return {}
    return {
        name: parameter
        for name, parameter in inspect.signature(operator.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("operator", CLASSES)
def test_each_operator_has_its_table_of_arguments(operator: type[bi.DatafoldOperator]) -> None:
    rows = documents.rows(documents.section(OPERATORS, HEADINGS[operator]))

    assert [(name, templated) for name, templated, _ in rows] == [
        (f"`{name}`", "yes" if name in operator.template_fields else "no")
        for name in arguments(operator)
    ]


@pytest.mark.parametrize("operator", CLASSES)
def test_defaults_are_named(operator: type[bi.DatafoldOperator]) -> None:
    takes = {
        name: words
        for name, _, words in documents.rows(documents.section(OPERATORS, HEADINGS[operator]))
    }
    for name, parameter in arguments(operator).items():
        has_default = parameter.default is not parameter.empty
        assert has_default == ("default" in takes[f"`{name}`"])
        if isinstance(parameter.default, str):
            assert f"default `{parameter.default}`" in takes[f"`{name}`"]


def test_the_connections_are_those_of_the_kinds() -> None:
    wanted = []
    for kind in KINDS.values():
        places = {
            source: next((f"`{field.name}`" for field in kind.fields if field.source == source), "")
            for source in ("host", "login", "password", "extra")
        }
        argument = f"{kind.name}_conn_id"
        if any(places.values()):
            default = arguments(UPDATES[kind.name])[argument].default
            wanted.append([kind.title, f"`{argument}`", f"`{default}`", *places.values()])
        else:
            assert argument not in arguments(UPDATES[kind.name])

    assert documents.rows(documents.section(CONNECTION, "Connections to other systems")) == wanted


def test_no_secret_is_an_argument() -> None:
    for name, kind in KINDS.items():
        secrets = {field.name for field in kind.fields if field.secret}
        assert not secrets & set(arguments(UPDATES[name]))


def test_every_kind_has_an_operator() -> None:
    assert set(UPDATES) == set(KINDS)
