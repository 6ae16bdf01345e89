"""No secret in what a call returns, raises or logs, and Airflow's own masker knows them too."""

from __future__ import annotations

import html
import json
import re
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from copy import deepcopy
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow.providers.common.compat.sdk import redact
from hypothesis import given, settings, strategies as st

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import Secret, conceal, encode
from dev.faults.behaviours import answers, echoes
from tests.conftest import API_KEY, TOKEN
from tests.integrations import KINDS, SECRET_FIELDS
from tests.sending import ask, failure

SECRETS = {"token": "s3cret-key", "password": "my-s3cret-key-longer", "client_secret": "abcd"}


@pytest.fixture
def answered(serve: Any) -> Any:
    """Send a body, and return the result if the service responds with a value."""

    def call(value: Any, body: Any = SECRETS) -> Any:
        serve(answers(200, json.dumps(value).encode()))
        return ask("POST", json=body)

    return call


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("s3cret-key", "***"),
        ("Key s3cret-key!", "Key ***!"),
        ("my-s3cret-key-longer s3cret-key", "*** ***"),
        ("abcd", "***"),
        ("abcde", "abcde"),
        ("", ""),
        (f"x {API_KEY}", "x ***"),
    ],
)
def test_text(answered: Any, text: str, redacted: str) -> None:
    assert answered(text) == redacted


def test_an_empty_secret_is_none(answered: Any) -> None:
    assert answered("", {"token": ""}) == ""
    assert answered("text", {"token": ""}) == "text"


def test_five_characters_are_looked_for_in_longer_texts(answered: Any) -> None:
    assert answered("xabcdex", {"token": "abcde"}) == "x***x"


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
    ("value", "redacted"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (["a", ["s3cret-key"]], ["a", ["***"]]),
        ({"a": {"b": ["x s3cret-key"]}}, {"a": {"b": ["x ***"]}}),
        ({"s3cret-key": 1}, {"***": 1}),
        ({"token": "another"}, {"token": "***"}),
        ({"a": [{"token": "another"}]}, {"a": [{"token": "***"}]}),
        ({"token": None}, {"token": None}),
        ({"token": {"a": "abcd"}}, {"token": "***"}),
        ({"token": ["abcd", 5]}, {"token": "***"}),
        ({"token": 5}, {"token": "***"}),
        ({"token": False}, {"token": "***"}),
        ({"other": "another"}, {"other": "another"}),
    ],
)
def test_json(answered: Any, value: Any, redacted: Any) -> None:
    assert answered(value) == redacted


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
def test_secret_by_the_name_of_its_field(answered: Any, field: str) -> None:
    assert answered([{field: "xxxxx", "name": "yyyyy"}], {}) == [{field: "***", "name": "yyyyy"}]


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
@pytest.mark.parametrize(
    "body",
    [
        lambda field: {field: "xxxxx", "name": "yyyyy"},
        lambda field: {"a": [({field: "xxxxx"},), {"name": "yyyyy"}], field: "zzzzz"},
        lambda field: {field: [{field: "xxxxx"}, None, 5], "name": "yyyyy"},
    ],
)
def test_secret_that_was_sent(answered: Any, field: str, body: Any) -> None:
    assert answered("xxxxx and yyyyy", body(field)) == "*** and yyyyy"


@pytest.mark.parametrize("value", [None, "a text", 5, ["a text"], {"name": "a text"}])
def test_nothing_else_is_taken_for_a_secret(answered: Any, value: Any) -> None:
    assert answered("a text", value) == "a text"


def test_all_that_was_sent_comes_back(serve: Any, log: Any) -> None:
    serve(echoes(200))
    echoed = ask(json={**SECRETS, "name": f"x {API_KEY} {SECRETS['token']}"})
    assert echoed["name"] == "x *** ***"
    assert echoed["request"]["authorization"] == "Key ***"
    assert {echoed[field] for field in SECRETS} == {"***"}
    told = json.dumps(echoed) + log.text
    assert [secret for secret in (API_KEY, *SECRETS.values()) if secret in told] == []


def test_error_with_all_that_was_sent(serve: Any, log: Any) -> None:
    detail = [{"loc": ["body", TOKEN], "msg": f"no {TOKEN} for {API_KEY}", "input": TOKEN}]
    serve(answers(422, json.dumps({"detail": detail}).encode()))
    error = failure(exceptions.DatafoldValidationError)
    assert error.errors == (("body.***", "no *** for ***"),)
    assert TOKEN not in log.text
    assert API_KEY not in log.text


def test_path_with_a_secret(serve: Any) -> None:
    serve(answers(404))
    error = failure(exceptions.DatafoldNotFoundError, lambda: ask("GET", f"/{API_KEY}"))
    assert error.path == "/***"


# A wrong value is shown unless it may contain a secret.


def wrong_name(secret: str, value: Any) -> str:
    config = {**KINDS["hightouch"].required, "token": secret, "name": [value]}
    with DatafoldHook() as hook, pytest.raises(exceptions.DatafoldInputError) as caught:
        hook.create_integration("hightouch", config)
    assert str(caught.value).startswith("name: ")
    assert "Nothing was sent" in str(caught.value)
    return "".join(traceback.format_exception(caught.value, limit=0))


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
    ],
)
def test_wrong_value_with_a_secret_is_not_shown(serve: Any, secret: str, value: Any) -> None:
    server = serve(answers())
    said = wrong_name(secret, value)
    assert secret not in said
    assert repr(secret)[1:-1] not in said
    assert repr(value) not in said
    assert "not shown" in said
    assert server.requests == []


@pytest.mark.parametrize(
    ("secret", "value"),
    [("abcd", "abcde"), ("s3cret-key", "s3cret"), ("s3cret-key", None), ("abcde", "xbcdex")],
)
def test_wrong_value_without_a_secret_is_shown(serve: Any, secret: str, value: Any) -> None:
    serve(answers())
    assert repr(value) in wrong_name(secret, value)


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
    with DatafoldHook() as hook, pytest.raises(exceptions.DatafoldInputError) as caught:
        hook.run("GET", value)
    assert str(caught.value).startswith("path: ")
    assert TOKEN not in str(caught.value)
    assert server.requests == []


def test_no_secrets_are_found_nowhere(serve: Any) -> None:
    server = serve(answers())
    with pytest.raises(exceptions.DatafoldInputError, match="anything"):
        ask("POST", "anything", {"token": ""})
    assert server.requests == []


@pytest.mark.parametrize("secret", ["abcde\n", "\nabcde", " abcde "])
def test_secret_is_known_without_the_white_space_around_it(serve: Any, secret: str) -> None:
    server = serve(answers())
    with pytest.raises(exceptions.DatafoldInputError, match="not shown") as caught:
        ask("POST", "xabcdex", {"token": secret})
    assert "abcde" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("secret", ["abcde\n", "ab cde", "abcdef"])
def test_part_of_a_secret_is_none(serve: Any, secret: str) -> None:
    serve(answers())
    with pytest.raises(exceptions.DatafoldInputError, match="xabcdx"):
        ask("POST", "xabcdx", {"token": secret})


@pytest.mark.parametrize("path", [API_KEY, f"x{API_KEY}", TOKEN])
def test_wrong_path_with_a_secret_is_not_shown(serve: Any, path: str) -> None:
    server = serve(answers())
    error = failure(exceptions.DatafoldInputError, lambda: ask("POST", path))
    assert str(error).startswith("path: ")
    assert "not shown" in str(error)
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


def test_airflow_knows_the_token_of_an_argument(serve: Any) -> None:
    assert not is_masked("Hj4sBn7Xc1Wd")
    serve(answers())
    with DatafoldHook() as hook:
        hook.update_hightouch_integration(
            7, token="Hj4sBn7Xc1Wd\n", bindings=[], indexing_cron=None, name="Gt5yPk0Mv3Ez"
        )
    assert is_masked("Hj4sBn7Xc1Wd")
    assert not is_masked("Gt5yPk0Mv3Ez")


def test_airflow_knows_a_secret_before_it_is_checked(serve: Any) -> None:
    serve(answers())
    with DatafoldHook() as hook, pytest.raises(exceptions.DatafoldInputError):
        hook.create_integration("hightouch", {"token": "Yd6fRq9Ju2Ls", "bindings": None})
    assert is_masked("Yd6fRq9Ju2Ls")


@pytest.mark.parametrize(
    ("mapping", "secret"), [(dict, "Bw1kZx8Gh5Ta"), (MappingProxyType, "Ne3vCp7Qo4Xi")]
)
def test_airflow_knows_a_secret_by_its_field(serve: Any, mapping: Any, secret: str) -> None:
    serve(answers())
    config = {**KINDS["looker"].required, "client_secret": secret}
    with DatafoldHook() as hook:
        hook.create_integration("looker", mapping(config))
    assert is_masked(secret)


def test_airflow_knows_a_secret_of_any_call(serve: Any) -> None:
    serve(answers())
    ask("POST", json={"some": [{"client_secret": "Uf2mAs6Dk8Wy"}]})
    assert is_masked("Uf2mAs6Dk8Wy")


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


def test_only_what_is_written_of_a_secret_is_a_secret() -> None:
    assert [*Secret({"a": True, "b": None, "c": [False, 1.5, " x "]}).texts()] == [
        "1.5",
        " x ",
        "x",
    ]


@pytest.mark.parametrize("kind", [list, tuple])
def test_each_text_of_a_secret_list_is_a_secret(kind: Any) -> None:
    assert [*Secret(kind(["first", 12345])).texts()] == ["first", "12345"]


def test_keys_that_become_the_same_are_all_kept() -> None:
    redactor = Redactor([Secret("abcde"), Secret("fghij"), Secret("klmno")])
    redacted = redactor.json({"abcde": 1, "fghij": 2, "klmno": 3}, by_name=False)
    assert redacted == {"***": 1, "*** (2)": 2, "*** (3)": 3}


def test_a_secret_inside_a_json_string_is_known_too(serve: Any) -> None:
    secret = "Zt8qLd3Vb6Rn"
    source = {"id": 1, "name": secret, "type": "pg"}
    serve(answers(201, body=json.dumps(source).encode()))
    options = json.dumps({"host": "db", "dbname": "d", "user": "u", "password": secret})
    config = {"name": "warehouse", "type": "pg", "options": options}
    with DatafoldHook() as hook:
        assert hook.create_data_source(config)["name"] == "***"
    assert is_masked(secret)


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
