from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_datafold import get_provider_info
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY

(CONNECTION_TYPE,) = get_provider_info()["connection-types"]
EXTRA_FIELDS = CONNECTION_TYPE["conn-fields"]


class Field:
    """The replacement for a WTForms field in Airflow 3.0 and 3.1."""

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        description: str = "",
        default: Any = None,
        widget: Any = None,
    ) -> None:
        self.shown = (label, description, default)
        self.validators = validators
        self.widget = widget


class StringField(Field):
    pass


class IntegerField(Field):
    pass


class BooleanField(Field):
    pass


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replacements for the libraries of Airflow 2's UI, which newer versions do not have."""
    wtforms = ModuleType("wtforms")
    validators = ModuleType("wtforms.validators")
    fieldwidgets = ModuleType("flask_appbuilder.fieldwidgets")
    vars(wtforms).update({kind.__name__: kind for kind in Field.__subclasses__()})
    vars(validators).update({"Optional": type("Optional", (), {})})
    vars(fieldwidgets).update({"BS3TextFieldWidget": type("BS3TextFieldWidget", (), {})})
    for module in (wtforms, validators, fieldwidgets, ModuleType("flask_appbuilder")):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("pages")
def test_older_versions_are_told_the_same_fields() -> None:
    widgets = DatafoldHook.get_connection_form_widgets()
    assert {name: type(widget) for name, widget in widgets.items()} == {
        "timeout": StringField,
        "max_retries": IntegerField,
        "call_timeout": StringField,
        "ca_bundle": StringField,
        "verify_ssl": BooleanField,
        "allow_http": BooleanField,
    }
    for name, field in EXTRA_FIELDS.items():
        default = "30" if name == "timeout" else field["schema"].get("default")
        assert widgets[name].shown == (field["label"], field["description"], default)
        assert [type(kind).__name__ for kind in widgets[name].validators] == ["Optional"]
        is_boolean = isinstance(widgets[name], BooleanField)
        assert (widgets[name].widget is None) is is_boolean


def test_what_each_field_is_called_and_may_hold() -> None:
    shown = {name: (field["label"], field["schema"]) for name, field in EXTRA_FIELDS.items()}
    number = {"type": ["number", "null"], "minimum": 0.1, "maximum": 86_400}
    assert shown == {
        "timeout": ("Timeout", {**number, "default": 30}),
        "max_retries": (
            "Retries",
            {"type": ["integer", "null"], "minimum": 0, "maximum": 100, "default": 3},
        ),
        "call_timeout": ("Timeout of a call", number),
        "ca_bundle": ("CA bundle", {"type": ["string", "null"]}),
        "verify_ssl": (
            "Verify the TLS certificate",
            {"type": ["boolean", "null"], "default": True},
        ),
        "allow_http": ("Allow plain http", {"type": ["boolean", "null"], "default": False}),
    }


def test_older_versions_are_told_the_same_labels() -> None:
    assert DatafoldHook.get_ui_field_behaviour() == {
        "hidden_fields": ["login", "schema"],
        "relabeling": {"host": "Datafold URL", "password": "API key"},
        "placeholders": {
            "host": "https://app.datafold.com, or eu., us., eub.datafold.com: where you log in",
            "port": "443",
        },
    }


def test_newer_versions_are_told_the_same_labels() -> None:
    behaviour = CONNECTION_TYPE["ui-field-behaviour"]
    assert {
        name.replace("-", "_"): value for name, value in behaviour.items()
    } == DatafoldHook.get_ui_field_behaviour()


def test_defaults_are_those_of_an_empty_connection(connect: Any, requests_mock: Any) -> None:
    defaults = {name: field["schema"].get("default") for name, field in EXTRA_FIELDS.items()}
    assert defaults == {
        "timeout": 30,
        "max_retries": 3,  # tests/client/test_retry.py counts them
        "call_timeout": None,
        "ca_bundle": None,
        "verify_ssl": True,
        "allow_http": False,
    }
    placeholder = DatafoldHook.get_ui_field_behaviour()["placeholders"]["host"]
    requests_mock.get(f"{placeholder.partition(',')[0]}/x", json=1)
    connect("datafold_default", password=API_KEY)
    DatafoldHook().run("GET", "/x")
    assert requests_mock.last_request.timeout == defaults["timeout"]
    assert requests_mock.last_request.verify is not False


def test_ranges(connect: Any) -> None:
    ranges = {
        name: (field["schema"]["minimum"], field["schema"]["maximum"])
        for name, field in EXTRA_FIELDS.items()
        if "minimum" in field["schema"]
    }
    assert ranges == {
        "timeout": (0.1, 86_400),
        "max_retries": (0, 100),
        "call_timeout": (0.1, 86_400),
    }
    for extremes in zip(*ranges.values(), strict=True):
        connect(
            "datafold_default", password=API_KEY, extra=dict(zip(ranges, extremes, strict=True))
        )
        DatafoldHook().get_conn()
