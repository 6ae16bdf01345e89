"""What an Airflow connection may contain, and which settings that makes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.connection.fetch import fetch_settings
from airflow_provider_datafold.connection.settings import Settings, judge
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from tests.conftest import API_KEY


@pytest.fixture
def read(connect: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Set a connection, and read it in an environment that names no CA bundle."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    def read(**fields: Any) -> Settings:
        connect("mine", **{"password": API_KEY, **fields})
        return fetch_settings("mine")

    return read


def test_an_empty_connection_has_the_defaults_of_the_form(read: Any) -> None:
    settings = read(password=f" {API_KEY}\n", conn_type="generic")
    assert settings.base_url == "https://app.datafold.com"
    assert settings.api_key.reveal() == API_KEY
    assert (settings.timeout, settings.max_retries, settings.call_timeout) == (30.0, 3, None)
    assert (settings.verify, settings.warnings) == (True, ())
    assert Settings("mine", "https://app.datafold.com", settings.api_key) == settings
    assert settings.place == "https://app.datafold.com (Airflow connection 'mine')"


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ({"timeout": 0.1, "call_timeout": 0.1}, {"timeout": 0.1, "call_timeout": 0.1}),
        ({"timeout": 86_400, "max_retries": "100"}, {"timeout": 86_400, "max_retries": 100}),
        ({"call_timeout": 86_400, "max_retries": 0}, {"call_timeout": 86_400, "max_retries": 0}),
        ({"max_retries": 100, "ca_bundle": " /ca.pem "}, {"max_retries": 100, "verify": "/ca.pem"}),
        ({"verify_ssl": "True", "ca_bundle": "/ca.pem"}, {"verify": "/ca.pem"}),
        ({"verify_ssl": "false"}, {"verify": False}),
        # What is empty counts as not given.
        ({"timeout": "", "max_retries": None}, {"timeout": 30, "max_retries": 3}),
        ({"ca_bundle": "", "verify_ssl": ""}, {"verify": True}),
    ],
)
def test_extra_fields(read: Any, extra: dict[str, Any], found: dict[str, Any]) -> None:
    settings = read(extra=extra)
    assert {name: getattr(settings, name) for name in found} == found


@pytest.mark.parametrize(
    ("name", "hint"), [("max_retry", "; did you mean 'max_retries'?"), ("colour", ".")]
)
def test_unknown_extra_is_warned_of(read: Any, name: str, hint: str) -> None:
    assert read(extra={name: 1}).warnings == (
        f"The extra of connection 'mine' has a field that is not read: {name!r}{hint}",
    )


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": " eu.datafold.com/ "}, "https://eu.datafold.com"),
        ({"host": "HTTPS://EU.datafold.com/"}, "https://eu.datafold.com"),
        ({"host": "datafold.acme.io", "port": 8443}, "https://datafold.acme.io:8443"),
        ({"host": "datafold.acme.io:8443", "port": 8443}, "https://datafold.acme.io:8443"),
        ({"host": "acme.io:8443", "port": 0}, "https://acme.io:8443"),
        ({"host": "acme.io", "port": 1}, "https://acme.io:1"),
        ({"host": "", "port": 443}, "https://app.datafold.com"),
        ({"host": "acme.io:443", "port": 443}, "https://acme.io"),
        ({"host": "http://127.0.0.1", "port": 80}, "http://127.0.0.1"),
        ({"host": "acme.io:65535"}, "https://acme.io:65535"),
        ({"host": "https://acme.io", "schema": " HTTPS "}, "https://acme.io"),
        ({"host": "https://acme.io/datafold/"}, "https://acme.io/datafold"),
        ({"host": "acme.io."}, "https://acme.io."),
        ({"host": f"{'a' * 63}.io"}, f"https://{'a' * 63}.io"),
        ({"host": "127.0.0.1", "port": 8080, "schema": "http"}, "http://127.0.0.1:8080"),
        ({"host": "http://127.8.9.1"}, "http://127.8.9.1"),
        ({"host": "http://localhost"}, "http://localhost"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "::1", "port": 8080, "schema": "http"}, "http://[::1]:8080"),
        ({"host": "2001:db8::5"}, "https://[2001:db8::5]"),
        ({"host": "acme.io", "schema": "http", "extra": {"allow_http": "true"}}, "http://acme.io"),
    ],
)
def test_address(read: Any, fields: dict[str, Any], base_url: str) -> None:
    assert read(**fields).base_url == base_url


def test_connection_as_uri(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_URI", "datafold://:KEY@127.0.0.1:8080/http?timeout=5")
    settings = fetch_settings("uri")
    assert (settings.base_url, settings.timeout) == ("http://127.0.0.1:8080", 5)
    assert settings.api_key.reveal() == "KEY"


WANTED = "must be a host, e.g. 'eu.datafold.com', or a URL"
NO_ADDRESS = [
    *("https://", "acme.io:port", "acme.io:99999", "acme .io", "acme.io\\x", "acme.io?a=b"),
    *("acme.io#a", "/acme.io", "acme..io", f"{'a' * 64}.io", ".acme.io", "https://acme.io:"),
    *("https://[::1", "https://acme.io]", "https://[::1]:\u0661", "acme.io[::1]", "https://*"),
    *("https://[::1]acme.io", "https:/acme.io", "https:///acme.io", "https://https://acme.io"),
    *("acme.io/x/../y", "acme.io/./y", "acme.io/x y", "acme.io/a//b", "https://acme.io\r\nx"),
    # Clients write these in their own ways.
    *("acme.io/%2e%2e", "acme.io/a%2fb", "acme.io/\u00e4", "https://fa\u00df.de"),
    *("https://a\u200db.com", "http://[::1%lo]"),
]
NO_SECONDS = [
    *("1e-320", 1e-320, "1e5", "nan", "inf", "-1", -1, 0, "0", 86_401, 10**400, True, False),
    *("\u0661", "1.5.", [], [5], {}, "9" * 30, "soon"),
]
NO_COUNT = ["1_0", 1.5, "1.5", -1, 101, 10**400, True, False, "\u0661", []]
SECONDS = "must be a number of seconds from 0.1 to 86400"
COUNT = "must be a whole number from 0 to 100"


@pytest.mark.parametrize(
    ("fields", "wrong", "said"),
    [
        ({"host": "http://acme.io"}, "host", "'allow_http'"),
        ({"host": "http://10.0.0.1"}, "host", "plain http"),
        ({"host": "http://localhost.acme.io"}, "host", "plain http"),
        ({"host": "http://acme.io", "extra": {"allow_http": False}}, "host", "plain http"),
        ({"host": f"https://me:{API_KEY}@acme.io"}, "host", "'password'"),
        ({"host": "https://acme.io\\@evil.test"}, "host", "'password'"),
        ({"host": "ftp://acme.io"}, "host", "https://"),
        ({"host": "acme.io", "schema": "ftp"}, "schema", "http or https"),
        ({"schema": f"{API_KEY}@acme.io"}, "schema", "%2F"),
        ({"schema": "http"}, "schema", "is http, but"),
        ({"host": "acme.io:1", "port": 2}, "port", "says 2, but the host says 1"),
        ({"host": "acme.io:0"}, "port", "must be from 1 to 65535"),
        ({"host": "acme.io", "port": 65536}, "port", "must be from 1 to 65535"),
        ({"password": None}, "password", "empty"),
        ({"password": " \n"}, "password", "empty"),
        ({"password": "a\nb"}, "password", "characters"),
        ({"password": "schl\u00fcssel"}, "password", "characters"),
        ({"password": f"Key {API_KEY}"}, "password", "'Key'"),
        ({"password": f"'{API_KEY}'"}, "password", "quotes"),
        ({"conn_type": "snowflake"}, "conn_type", "'snowflake'"),
        ({"extra": {"verify_ssl": "maybe"}}, "verify_ssl", "true or false"),
        ({"extra": {"allow_http": 1}}, "allow_http", "true or false"),
        ({"extra": {"ca_bundle": True}}, "ca_bundle", "must be a string"),
        *(({"host": host}, "host", WANTED) for host in NO_ADDRESS),
        ({"extra": {"call_timeout": "soon"}}, "call_timeout", SECONDS),
        *(({"extra": {"timeout": value}}, "timeout", SECONDS) for value in NO_SECONDS),
        *(({"extra": {"max_retries": value}}, "max_retries", COUNT) for value in NO_COUNT),
    ],
)
def test_wrong_field(read: Any, fields: dict[str, Any], wrong: str, said: str) -> None:
    with pytest.raises(DatafoldConfigurationError, match="Nothing was sent") as caught:
        read(**fields)
    text = str(caught.value)
    assert f"connection 'mine': field {wrong!r}" in text
    assert said in text
    assert API_KEY not in text
    assert text.isprintable()


DEEP = "[" * 3000 + "]" * 3000


# Airflow itself makes no such connection, but a secrets backend may.
@pytest.mark.parametrize("extra", ["[1]", "not JSON", f'{{"timeout": {DEEP}}}'])
def test_extra_is_no_object(extra: str) -> None:
    connection: Any = SimpleNamespace(
        conn_id="mine", conn_type=None, host=None, schema=None, password=API_KEY, extra=extra
    )
    with pytest.raises(DatafoldConfigurationError, match="'mine': field 'extra' must be a JSON"):
        judge(connection, {})


@pytest.mark.parametrize(
    ("extra", "verify"),
    [({}, "/theirs"), ({"ca_bundle": "/ours"}, "/ours"), ({"verify_ssl": False}, False)],
)
def test_the_connection_counts_before_the_environments_bundle(
    extra: dict[str, Any], verify: bool | str, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "/theirs")
        assert read(extra=extra).verify == verify
        monkeypatch.delenv(name)
