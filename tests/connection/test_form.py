from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_datafold import get_provider_info
from airflow_provider_datafold.hooks.datafold import DatafoldHook

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


STRING, INTEGER, BOOLEAN = (
    type(f"{kind}Field", (Field,), {}) for kind in ("String", "Integer", "Boolean")
)


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
        "timeout": STRING,
        "max_retries": INTEGER,
        "call_timeout": STRING,
        "ca_bundle": STRING,
        "verify_ssl": BOOLEAN,
        "allow_http": BOOLEAN,
    }
    for name, field in EXTRA_FIELDS.items():
        default = "30" if name == "timeout" else field["schema"].get("default")
        assert widgets[name].shown == (field["label"], field["description"], default)
        assert [type(kind).__name__ for kind in widgets[name].validators] == ["Optional"]
        is_boolean = isinstance(widgets[name], BOOLEAN)
        assert (widgets[name].widget is None) is is_boolean


def test_every_version_is_told_the_same_labels() -> None:
    behaviour = CONNECTION_TYPE["ui-field-behaviour"]
    told = {name.replace("-", "_"): value for name, value in behaviour.items()}
    assert told == DatafoldHook.get_ui_field_behaviour()
    assert told["relabeling"] == {"host": "Datafold URL", "password": "API key"}
