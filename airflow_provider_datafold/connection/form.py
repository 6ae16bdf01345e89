"""The connection form: declared once, for every version of Airflow.

Airflow 3.2 and later read the declaration out of the provider info, without importing the
hook; older versions ask the hook, which calls :func:`widgets` and :func:`behaviour`.
"""

from __future__ import annotations

from typing import Any

DEFAULT_HOST = "https://app.datafold.com"
"""Datafold's own deployment, by its API contract."""

DEFAULT_TIMEOUT = 30.0
SHORTEST_TIMEOUT = 0.1
LONGEST_TIMEOUT = 86_400.0
"""Seconds."""

DEFAULT_MAX_RETRIES = 3
MOST_RETRIES = 100

FIELD_BEHAVIOUR: dict[str, Any] = {
    # Not the port: Airflow 3.3.1 and 3.3.2 can test a saved connection only if it has one
    # (apache/airflow, pull request 73298).
    "hidden-fields": ["login", "schema"],
    "relabeling": {"host": "Datafold URL", "password": "API key"},
    "placeholders": {
        "host": "https://app.datafold.com, or eu., us., eub.datafold.com: where you log in",
        "port": "443",
    },
}
"""The standard fields, in the words of ``ui-field-behaviour``."""

_SECONDS = {
    "type": ["number", "null"],
    "minimum": SHORTEST_TIMEOUT,
    "maximum": LONGEST_TIMEOUT,
}

EXTRA_FIELDS: dict[str, dict[str, Any]] = {
    "timeout": {
        "label": "Timeout",
        "description": "Seconds that one request may take, from looking up the host to the last "
        "byte of the response.",
        "schema": {**_SECONDS, "default": DEFAULT_TIMEOUT},
    },
    "max_retries": {
        "label": "Retries",
        "description": "How often a call is tried again after a temporary error, before Airflow's "
        "own retries.",
        "schema": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": MOST_RETRIES,
            "default": DEFAULT_MAX_RETRIES,
        },
    },
    "call_timeout": {
        "label": "Timeout of a call",
        "description": "Seconds after which a call is not tried again. Empty for no limit.",
        "schema": _SECONDS,
    },
    "ca_bundle": {
        "label": "CA bundle",
        "description": "Path, on the workers, of a file of CA certificates. Empty for those that "
        "the environment trusts.",
        "schema": {"type": ["string", "null"]},
    },
    "verify_ssl": {
        "label": "Verify the TLS certificate",
        "description": "Turn this off only to find a fault: anyone on the network path can then "
        "read the API key.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "allow_http": {
        "label": "Allow plain http",
        "description": "Without this, plain http is refused except to this machine itself.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}
"""The fields of the connection's extra, in the words of ``conn-fields``."""


def behaviour() -> dict[str, Any]:
    """Declare the standard fields to Airflow before 3.2."""
    return {name.replace("-", "_"): value for name, value in FIELD_BEHAVIOUR.items()}


def widgets() -> dict[str, Any]:
    """Declare the extra fields to Airflow before 3.2: a WTForms field by name."""
    # There only where the pages of Airflow 2 are, or what stands in for them in 3.1. In 3.0
    # without them, Airflow shows no fields of the extra.
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from wtforms import BooleanField, IntegerField, StringField
    from wtforms.validators import Optional

    kinds = {
        # These versions allow no field for numbers with a fraction. A text will do: it is checked
        # when the connection is used or tested.
        "number": (StringField, {"widget": BS3TextFieldWidget()}),
        "integer": (IntegerField, {"widget": BS3TextFieldWidget()}),
        "string": (StringField, {"widget": BS3TextFieldWidget()}),
        "boolean": (BooleanField, {}),
    }
    found = {}
    for name, field in EXTRA_FIELDS.items():
        schema = field["schema"]
        kind, more = kinds[schema["type"][0]]
        default = schema.get("default")
        found[name] = kind(
            field["label"],
            validators=[Optional()],
            description=field["description"],
            default=f"{default:g}" if isinstance(default, float) else default,
            **more,
        )
    return found
