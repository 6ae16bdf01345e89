"""What a connection of another system holds of a BI integration's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.jobs.integration import fetch_config
from airflow_provider_datafold.redaction.secret import Secret
from tests.integrations import KINDS

FULL = {
    "conn_type": "http",
    "host": "https://bi.acme.io",
    "login": " who ",
    "password": "secret\n",
    "extra": {"token": " tok ", "site_id": "site", "tenant_id": "tenant", "timeout": "nonsense"},
}
HELD = {
    "hightouch": {"token": "secret"},
    "looker": {"base_url": "https://bi.acme.io", "client_id": "who", "client_secret": "secret"},
    "mode": {"token": "tok", "password": "secret"},
    "tableau": {
        "server_url": "https://bi.acme.io",
        "site_id": "site",
        "token_name": "who",
        "token_value": "secret",
    },
    "powerbi": {"tenant_id": "tenant", "client_id": "who", "client_secret": "secret"},
}


def config(kind: str, *given: str, conn_id: str = "bi") -> dict[str, Any]:
    """Read a configuration, in which exactly the secrets are concealed."""
    found = fetch_config(conn_id, bi.KINDS[kind], given)
    secrets = {name for name, value in found.items() if isinstance(value, Secret)}
    assert secrets == KINDS[kind].secrets & found.keys()
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in found.items()
    }


def refusal(kind: str, conn_id: str = "bi") -> str:
    with pytest.raises(DatafoldConfigurationError, match="Nothing was sent") as caught:
        config(kind, conn_id=conn_id)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind in HELD for field in sorted(set(HELD[kind]) - KINDS[kind].secrets)],
)
def test_what_is_given_is_not_read(connect: Any, kind: str, field: str) -> None:
    place = next(place for place, name in KINDS[kind].connection.items() if name == field)
    connect("bi", **{**FULL, place: {} if place == "extra" else "ftp://wrong"})
    rest = {name: value for name, value in HELD[kind].items() if name != field}
    assert config(kind, field) == rest


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "bi.acme.io"}, "https://bi.acme.io"),
        ({"host": " bi.acme.io ", "port": 19999}, "https://bi.acme.io:19999"),
        ({"host": "bi.acme.io", "schema": "http"}, "http://bi.acme.io"),
        ({"host": "http://bi.acme.io/x/"}, "http://bi.acme.io/x"),
        ({"host": "https://bi.acme.io:19999/x", "port": 19999}, "https://bi.acme.io:19999/x"),
    ],
)
def test_address_of_the_other_system(connect: Any, fields: dict[str, Any], address: str) -> None:
    connect("bi", conn_type="generic", login="who", password="secret", **fields)
    assert config("looker")["base_url"] == address


def test_no_such_connection() -> None:
    said = refusal("mode", "nowhere")
    facts = ("'nowhere'", "Mode's token, password", "AIRFLOW_CONN_NOWHERE")
    assert [fact for fact in facts if fact not in said] == []


@pytest.mark.parametrize(
    ("kind", "missing", "field"),
    [
        ("hightouch", "password", "token"),
        ("looker", "host", "base_url"),
        ("tableau", "extra", "site_id"),
    ],
)
def test_connection_lacks_a_field(connect: Any, kind: str, missing: str, field: str) -> None:
    # A port alone is not an address. (Airflow 2.11 would mask a password of one space everywhere.)
    nothing = {"password": "", "extra": {}}.get(missing, " ")
    connect("bi", port=80, **{**FULL, missing: nothing})
    place = field if missing == "extra" else missing
    said = refusal(kind)
    assert f"connection 'bi': field {place!r}" in said
    assert f"{KINDS[kind].title}'s {field}" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"conn_type": "generic", "host": "ftp://bi.acme.io"}, "field 'host'"),
        ({"conn_type": "datafold"}, "password is Datafold's API key. Name a connection"),
    ],
)
def test_connection_that_is_wrong(connect: Any, fields: dict[str, str], said: str) -> None:
    connect("bi", **{**FULL, **fields})
    assert said in refusal("looker")
