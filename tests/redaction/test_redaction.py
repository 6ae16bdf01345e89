"""No secret in what a call returns, raises or logs, and Airflow's own masker knows them too."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import Secret, conceal, secrets_in
from dev.faults.behaviours import answers
from tests.conftest import API_KEY
from tests.sending import ask, failure

SECRETS = {"token": "s3cret-key", "password": "my-s3cret-key-longer", "client_secret": "abcd"}


def redacted(value: Any, sent: Any = SECRETS) -> Any:
    """Return what is left of a response after a request with this body."""
    redactor = Redactor([Secret(API_KEY), *secrets_in(conceal(sent))])
    return redactor.json(value, by_name=True)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("Key s3cret-key!", "Key ***!"),
        ("my-s3cret-key-longer s3cret-key", "*** ***"),
        # Too short to be replaced in a string.
        ("abcd", "abcd"),
        (f"x {API_KEY}", "x ***"),
        (1.5, 1.5),
        (["a", ["s3cret-key"]], ["a", ["***"]]),
        ({"a": {"b": ["x s3cret-key"]}}, {"a": {"b": ["x ***"]}}),
        ({"a": [{"token": "another"}]}, {"a": [{"token": "***"}]}),
        ({"token": None}, {"token": None}),
        ({"token": {"a": "abcd"}}, {"token": "***"}),
        ({"token": False}, {"token": "***"}),
        ({"other": "another"}, {"other": "another"}),
    ],
)
def test_what_is_left_of_a_value(value: Any, left: Any) -> None:
    assert redacted(value) == left


@pytest.mark.parametrize(
    "spell",
    [str, str.strip, lambda text: json.dumps(text)[1:-1], lambda text: repr(text)[1:-1]],
    ids=["as it is", "without the white space around it", "in JSON", "in Python"],
)
def test_a_secret_is_taken_out_whole_however_it_is_spelt(spell: Callable[[str], str]) -> None:
    secret = "--BEGIN \"b\\c/d \u00e9'\nEND--\n"
    redactor = Redactor([Secret(secret)])
    shown = f"({spell(secret)})"
    assert redactor.may_be_in(shown)
    assert redactor.text(shown).rstrip("\n)").removesuffix("\\n") == "(***"
    assert not redactor.may_be_in("(--BEGIN)")


@pytest.mark.parametrize("field", ["token", "client_secret"])
@pytest.mark.parametrize(
    "body",
    [
        lambda field: {"a": [({field: "xxxxx"},), {"name": "yyyyy"}], field: "zzzzz"},
        lambda field: {field: [{field: "xxxxx"}, None, 5], "name": "yyyyy"},
    ],
)
def test_secret_by_the_name_of_its_field(field: str, body: Any) -> None:
    assert redacted("xxxxx and yyyyy", body(field)) == "*** and yyyyy"


def test_path_with_a_secret(serve: Any) -> None:
    serve(answers(404))
    error = failure(exceptions.DatafoldNotFoundError, lambda: ask("GET", f"/{API_KEY}"))
    assert error.path == "/***"


# Airflow's own masker. Other tests' secrets are not part of these secrets.


def is_masked(secret: str) -> bool:
    shown = redact(f"<{secret}>")
    assert shown in ("<***>", f"<{secret}>")
    return shown == "<***>"


def test_airflow_knows_the_key_as_it_is_sent(connect: Any) -> None:
    # Airflow itself knows it only with the line break.
    connect("datafold_default", password="Vq8wLm2Zt9Rk\n")
    assert not is_masked("Vq8wLm2Zt9Rk")
    DatafoldHook().get_conn()
    assert is_masked("Vq8wLm2Zt9Rk")


PG = {"host": "db", "dbname": "d", "user": "u"}
CALLS: dict[str, Callable[[DatafoldHook, str], Any]] = {
    "Hj4sBn7Xc1Wd": lambda hook, secret: hook.update_hightouch_integration(
        7, token=f"{secret}\n", bindings=[], indexing_cron=None, name="Gt5yPk0Mv3Ez"
    ),
    "Uf2mAs6Dk8Wy": lambda hook, secret: hook.run("POST", "/x", {"a": [{"client_secret": secret}]}),
    # Inside a JSON string.
    "Zt8qLd3Vb6Rn": lambda hook, secret: hook.create_data_source(
        {"name": "a", "type": "pg", "options": json.dumps({**PG, "password": secret})}
    ),
}


@pytest.mark.parametrize("secret", CALLS)
def test_airflow_knows_the_secrets_of_a_call(serve: Any, secret: str) -> None:
    serve(answers(200, json.dumps({"name": secret}).encode()))
    assert not is_masked(secret)
    with DatafoldHook() as hook:
        assert CALLS[secret](hook, secret)["name"] == "***"
    assert is_masked(secret)
    assert not is_masked("Gt5yPk0Mv3Ez")


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_secret_in_a_list_is_concealed(kind: Any) -> None:
    assert repr(conceal(kind([{"password": "abc", "host": "db", "token": None}]))) == (
        "[{'password': ***, 'host': 'db', 'token': None}]"
    )
