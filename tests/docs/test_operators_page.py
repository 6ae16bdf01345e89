"""docs/operators.md and docs/connection.md say what the code does."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_datafold.operators import bi
from tests import documents
from tests.conftest import ROOT
from tests.integrations import KINDS

PAGE = ROOT / "docs" / "operators.md"
CONNECTION = ROOT / "docs" / "connection.md"

OPERATORS = [
    value
    for name, value in vars(bi).items()
    if re.fullmatch(r"Datafold\w+Operator", name) and "__init__" in vars(value)
]
UPDATES = {name: kind.operator for name, kind in KINDS.items()}


def arguments(operator: Any) -> dict[str, inspect.Parameter]:
    """The arguments of an operator, without those that all of Airflow's operators have."""
    return {
        name: parameter
        for name, parameter in inspect.signature(operator).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def shared(operators: Iterable[Any]) -> set[str]:
    return set.intersection(*(set(arguments(operator)) for operator in operators))


OF_ALL = shared(OPERATORS)
OF_UPDATES = shared(UPDATES.values()) - OF_ALL


def heading(operator: Any, name: str) -> str:
    """The heading of the page under which an argument is explained."""
    if name in OF_ALL:
        return "What all take"
    if name in OF_UPDATES and operator in UPDATES.values():
        return "What all updates take"
    return operator.__name__


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_argument_is_in_a_table(operator: Any) -> None:
    wanted: dict[str, list[tuple[str, str]]] = {operator.__name__: []}
    for name in arguments(operator):
        templated = "yes" if name in operator.template_fields else "no"
        wanted.setdefault(heading(operator, name), []).append((f"`{name}`", templated))

    for title, named in wanted.items():
        rows = documents.rows(documents.section(PAGE, title))
        assert [(name, templated) for name, templated, _ in rows] == named


@pytest.mark.parametrize("operator", OPERATORS)
def test_defaults_are_named(operator: Any) -> None:
    for name, parameter in arguments(operator).items():
        rows = documents.rows(documents.section(PAGE, heading(operator, name)))
        (takes,) = (takes for row, _, takes in rows if row == f"`{name}`")
        has_default = parameter.default is not parameter.empty
        assert has_default == ("default" in takes)
        if isinstance(parameter.default, str):
            assert f"default `{parameter.default}`" in takes


@pytest.mark.parametrize("operator", OPERATORS)
def test_help_explains_each_argument(operator: Any) -> None:
    explained = re.findall(r":param (\w+):", operator.__doc__ or "")
    assert explained == list(arguments(operator))


@pytest.mark.parametrize("name", sorted(OF_ALL | OF_UPDATES))
def test_an_argument_means_the_same_for_all(name: str) -> None:
    operators = OPERATORS if name in OF_ALL else UPDATES.values()
    found = {arguments(operator)[name] for operator in operators}
    assert len(found) == 1


def test_the_connections_are_those_of_the_kinds() -> None:
    wanted = []
    for name, kind in KINDS.items():
        argument = f"{name}_conn_id"
        if kind.connection:
            default = arguments(UPDATES[name])[argument].default
            fields = (
                kind.connection.get(place) for place in ("host", "login", "password", "extra")
            )
            places = [f"`{field}`" if field else "" for field in fields]
            wanted.append([kind.title, f"`{argument}`", f"`{default}`", *places])
        else:
            assert argument not in arguments(UPDATES[name])

    assert documents.rows(documents.section(CONNECTION, "Connections to other systems")) == wanted


@pytest.mark.parametrize("name", KINDS)
def test_all_fields_but_secrets_are_arguments(name: str) -> None:
    secrets = KINDS[name].secrets
    assert not secrets & set(arguments(UPDATES[name]))
    assert set(KINDS[name].fields) - secrets <= set(arguments(UPDATES[name]))


def test_every_kind_has_an_operator() -> None:
    assert {
        operator.kind: operator for operator in OPERATORS if hasattr(operator, "kind")
    } == UPDATES
