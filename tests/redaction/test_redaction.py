"""No secret in what a call returns, raises or logs, and Airflow's own masker knows them too."""

from __future__ import annotations

import contextlib
import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from copy import deepcopy
from enum import Enum
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow.providers.common.compat.sdk import redact
from hypothesis import given, settings, strategies as st

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import Secret, conceal, encode, secrets_in
from dev.faults.behaviours import answers
from tests.conftest import API_KEY, TOKEN
from tests.integrations import KINDS, SECRET_FIELDS
from tests.sending import ask, failure

SECRETS = {"token": "s3cret-key", "password": "my-s3cret-key-longer", "client_secret": "abcd"}


def redacted(value: Any, sent: Any = SECRETS) -> Any:
    """Return what is left of a response after a request with this body."""
    redactor = Redactor([Secret(API_KEY), *secrets_in(conceal(sent))])
    return redactor.json(deepcopy(value), by_name=True)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("s3cret-key", "***"),
        ("Key s3cret-key!", "Key ***!"),
        ("my-s3cret-key-longer s3cret-key", "*** ***"),
        ("abcd", "***"),
        ("abcde", "abcde"),
        ("", ""),
        (f"x {API_KEY}", "x ***"),
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (["a", ["s3cret-key"]], ["a", ["***"]]),
        ({"a": {"b": ["x s3cret-key"]}}, {"a": {"b": ["x ***"]}}),
        ({"s3cret-key": 1}, {"***": 1}),
        ({"a": [{"token": "another"}]}, {"a": [{"token": "***"}]}),
        ({"token": None}, {"token": None}),
        ({"token": {"a": "abcd"}}, {"token": "***"}),
        ({"token": ["abcd", 5]}, {"token": "***"}),
        ({"token": 5}, {"token": "***"}),
        ({"token": False}, {"token": "***"}),
        ({"other": "another"}, {"other": "another"}),
        # Keys that become the same are all kept.
        (
            {"s3cret-key": 1, "***": 2, API_KEY: 3, "a s3cret-key": 4, "a ***": 5, "*** (2)": 6},
            {"***": 1, "*** (2)": 2, "*** (3)": 3, "a ***": 4, "a *** (2)": 5, "*** (2) (2)": 6},
        ),
    ],
)
def test_what_is_left_of_a_value(value: Any, left: Any) -> None:
    assert redacted(value) == left


@pytest.mark.parametrize(
    ("token", "text", "left"),
    [("", "", ""), ("", "text", "text"), ("abcde", "xabcdex", "x***x")],
)
def test_what_is_left_after_a_short_secret(token: str, text: str, left: str) -> None:
    assert redacted(text, {"token": token}) == left


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in a path": quote,
    "in a part of a path": lambda text: quote(text, safe=""),
    "in small letters": lambda text: re.sub(
        "%..", lambda found: found[0].lower(), quote(text, safe="")
    ),
    "in a form": quote_plus,
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON of any letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in Python": lambda text: repr(text)[1:-1],
    "in an attribute": html.escape,
    "in a page": lambda text: html.escape(text, quote=False),
}


@pytest.mark.parametrize("place", SPELLINGS)
def test_a_secret_is_taken_out_whole_however_it_is_spelt(place: str) -> None:
    # Another one for each, because the redactor remembers the spellings of a secret.
    secret = f"{place}\"b\\c/d é\x07&<+Z'"
    assert Redactor([Secret(secret)]).text(f"({SPELLINGS[place](secret)})") == "(***)"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("offset", range(6))
@pytest.mark.parametrize("length", range(9, 15))
def test_of_base64_all_letters_that_the_secret_alone_makes_are_taken_out(
    encode: Callable[[bytes], bytes], offset: int, length: int
) -> None:
    # Another one for each, because the redactor remembers the forms of a secret.
    secret = f"{offset}{encode.__name__[0]}cret?>~(0)>x"[:length]

    def encoded(neighbour: bytes) -> str:
        text = neighbour * offset + secret.encode()
        return encode(text + neighbour * (6 - len(text) % 3)).decode()

    ours, other = encoded(b"\0"), encoded(b"\xff")
    same = [place for place, letter in enumerate(ours) if letter == other[place]]
    assert Redactor([Secret(secret)]).text(ours) == (f"{ours[: same[0]]}***{ours[same[-1] + 1 :]}")


@pytest.mark.parametrize(
    ("secret", "content", "may_be"),
    [
        ("abcdef", '{"a": ["abcde", 1.5, null]}', False),
        ("abcdef", '{"a": "xabcdefx"}', True),
        ("abcdef", '{"abcdef": 1}', True),
        ("abcdef", r'{"a": "ab\u0063def"}', True),
        ("abc/ef", r'{"a": "abc\/ef"}', True),
        ("abc/ef", '{"a": "abc%2Fef"}', True),
        ("abcd", '{"a": "abcd"}', True),
        ("abcd", '{"a": "abc"}', False),
        ("12345", '{"a": 1.2345e4}', True),
        ("1e+22", '{"a": 10000000000000000000000.0}', True),
        ("", '{"a": ""}', False),
    ],
)
def test_json_that_may_hold_a_secret(secret: str, content: str, may_be: bool) -> None:
    redactor = Redactor([Secret(secret)])
    assert redactor.may_be_in(content) is may_be
    assert (redactor.json(json.loads(content), by_name=False) != json.loads(content)) is may_be


PIECES = st.sampled_from(["a", "b/", "é", "1", "2.5", "\\", '"', "0", "-", "e", "+"])
TEXTS = st.lists(PIECES, max_size=7).map("".join)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    secret=TEXTS,
    value=st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)),
    is_ascii=st.booleans(),
)
def test_no_secret_is_in_json_of_which_that_is_said(
    secret: str, value: Any, is_ascii: bool
) -> None:
    redactor = Redactor([Secret(secret)])
    content = json.dumps(value, ensure_ascii=is_ascii)
    assert redactor.may_be_in(content) or redactor.json(deepcopy(value), by_name=False) == value


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
@pytest.mark.parametrize(
    "body",
    [
        lambda field: {field: "xxxxx", "name": "yyyyy"},
        lambda field: {"a": [({field: "xxxxx"},), {"name": "yyyyy"}], field: "zzzzz"},
        lambda field: {field: [{field: "xxxxx"}, None, 5], "name": "yyyyy"},
    ],
)
def test_secret_by_the_name_of_its_field(field: str, body: Any) -> None:
    assert redacted("xxxxx and yyyyy", body(field)) == "*** and yyyyy"
    assert redacted([{field: "xxxxx", "name": "yyyyy"}], {}) == [{field: "***", "name": "yyyyy"}]


@pytest.mark.parametrize("sent", [None, "a text", 5, ["a text"], {"name": "a text"}])
def test_nothing_else_is_taken_for_a_secret(sent: Any) -> None:
    assert redacted("a text", sent) == "a text"


def test_path_with_a_secret(serve: Any) -> None:
    serve(answers(404))
    error = failure(exceptions.DatafoldNotFoundError, lambda: ask("GET", f"/{API_KEY}"))
    assert error.path == "/***"


# A wrong value is shown unless it may contain a secret.


def wrong(call: Callable[[], Any], name: str) -> str:
    """Return what is said of a value that is refused before anything is sent."""
    said = str(failure(exceptions.DatafoldInputError, call))
    assert said.startswith(f"{name}: ")
    assert "Nothing was sent" in said
    return said


def wrong_path(path: Any, token: str = TOKEN) -> str:
    return wrong(lambda: ask("POST", path, {"token": token}), "path")


def wrong_name(value: Any, token: str) -> str:
    config = {**KINDS["hightouch"].required, "token": token, "name": [value]}
    with DatafoldHook() as hook:
        return wrong(lambda: hook.create_integration("hightouch", config), "name")


@pytest.mark.parametrize("said_of", [wrong_path, wrong_name])
@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ("s3cret-key", "s3cret-key"),
        ("s3cret-key", [{"a": ("x s3cret-key x",)}]),
        ("s3cret-key", b"s3cret-key"),
        ("abcd", "abcd"),
        ("abcd", ["abcd"]),
        ("abcde", "xabcdex"),
        ("it's\n5", ["x it's\n5 x"]),
        ('it\'s "5"', 'it\'s "5"'),
        ("zq-unrelated", API_KEY),
        ("zq-unrelated", f"x{API_KEY}"),
        # It is known without the white space around it.
        ("abcde\n", "xabcdex"),
        ("\nabcde", "xabcdex"),
        (" abcde ", "xabcdex"),
    ],
)
def test_wrong_value_with_a_secret_is_not_shown(
    serve: Any, said_of: Any, secret: str, value: Any
) -> None:
    server = serve(answers())
    said = said_of(value, secret)
    assert secret.strip() not in said
    assert repr(secret)[1:-1] not in said
    assert repr(value) not in said
    assert "not shown" in said
    assert server.requests == []


@pytest.mark.parametrize("said_of", [wrong_path, wrong_name])
@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ("abcd", "abcde"),
        ("s3cret-key", "s3cret"),
        ("s3cret-key", None),
        ("abcde", "xbcdex"),
        ("abcde\n", "xabcdx"),
        ("ab cde", "xabcdx"),
        ("abcdef", "xabcdx"),
    ],
)
def test_wrong_value_without_a_secret_is_shown(
    serve: Any, said_of: Any, secret: str, value: Any
) -> None:
    serve(answers())
    assert repr(value) in said_of(value, secret)


def test_no_secrets_are_found_nowhere(serve: Any) -> None:
    server = serve(answers())
    assert "anything" in wrong_path("anything", "")
    assert server.requests == []


def nested(wrap: Any, inner: Any) -> Any:
    for _ in range(100_000):
        inner = wrap(inner)
    return inner


def in_itself() -> list[Any]:
    value: list[Any] = [TOKEN]
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(lambda inner: [inner], TOKEN),
        nested(lambda inner: (inner,), TOKEN),
        nested(lambda inner: {"a": inner}, TOKEN),
        in_itself(),
    ],
    ids=["lists", "tuples", "objects", "in itself"],
)
def test_value_that_is_nested_too_deeply_is_not_shown(serve: Any, value: Any) -> None:
    server = serve(answers())
    assert TOKEN not in wrong(lambda: ask("GET", value), "path")
    assert server.requests == []


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
LOOKER = KINDS["looker"].required
CALLS: dict[str, Callable[[DatafoldHook, str], Any]] = {
    "Hj4sBn7Xc1Wd": lambda hook, secret: hook.update_hightouch_integration(
        7, token=f"{secret}\n", bindings=[], indexing_cron=None, name="Gt5yPk0Mv3Ez"
    ),
    # It is refused later.
    "Yd6fRq9Ju2Ls": lambda hook, secret: hook.create_integration(
        "hightouch", {"token": secret, "bindings": None}
    ),
    "Bw1kZx8Gh5Ta": lambda hook, secret: hook.create_integration(
        "looker", {**LOOKER, "client_secret": secret}
    ),
    "Ne3vCp7Qo4Xi": lambda hook, secret: hook.create_integration(
        "looker", MappingProxyType({**LOOKER, "client_secret": secret})
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
    with DatafoldHook() as hook, contextlib.suppress(exceptions.DatafoldInputError):
        assert CALLS[secret](hook, secret)["name"] == "***"
    assert is_masked(secret)
    assert not is_masked("Gt5yPk0Mv3Ez")


def test_a_secret_that_json_escapes_is_found() -> None:
    # JSON may escape what is not ASCII, and a lone surrogate can be in a secret.
    for secret in ("gehe\u00efmnis", "gehe\ud800imnis"):
        redactor = Redactor([Secret(secret)])
        assert redactor.text(f"({json.dumps(secret)[1:-1]})") == "(***)"
        assert redactor.text(f"({secret})") == "(***)"


def test_a_secret_that_has_no_utf8_is_refused_and_not_shown(serve: Any) -> None:
    server = serve(answers())
    error = failure(
        exceptions.DatafoldInputError, lambda: ask("POST", json={"token": f"{TOKEN}\ud800"})
    )
    assert str(error).startswith("the body cannot be encoded as JSON")
    assert server.requests == []


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_secret_in_a_list_is_concealed(kind: Any) -> None:
    assert repr(conceal(kind([{"password": "abc", "host": "db", "token": None}]))) == (
        "[{'password': ***, 'host': 'db', 'token': None}]"
    )


class Token(str, Enum):
    MINE = "planted"


@pytest.mark.parametrize(
    ("secret", "texts"),
    [
        ({"a": True, "b": None, "c": [False, 1.5, " x "]}, ["1.5", " x ", "x"]),
        (["first", 12345], ["first", "12345"]),
        (("first", 12345), ["first", "12345"]),
        # It shows itself as something else.
        (Token.MINE, ["planted"]),
    ],
)
def test_only_what_is_written_of_a_secret_is_a_secret(secret: Any, texts: list[str]) -> None:
    assert [*Secret(secret).texts()] == texts


@pytest.mark.parametrize(("texts", "is_found"), [(10_000, False), (10_001, True)])
def test_a_value_that_is_too_large_to_tell_may_hold_a_secret(texts: int, is_found: bool) -> None:
    assert Redactor([Secret(TOKEN)]).finds_in(["x"] * texts) is is_found


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys])
def test_a_secret_is_found_in_any_collection(kind: Any) -> None:
    assert Redactor([Secret(TOKEN)]).finds_in({"a": kind([f"<{TOKEN}>"])})
    assert not Redactor([Secret(TOKEN)]).finds_in({"a": kind(["another"])})


def test_a_secret_may_be_in_what_is_nested_too_deeply_to_look() -> None:
    assert Redactor([Secret(TOKEN)]).finds_in(nested(lambda inner: [inner], "another"))


def test_a_body_is_written_as_utf8() -> None:
    assert encode({"name": "é", "token": Secret("ü")}).reveal() == (
        '{"name": "é", "token": "ü"}'.encode()
    )
