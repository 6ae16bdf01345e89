"""What an Airflow connection may contain, and how the hook reads it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from requests_mock import ANY

from airflow_provider_datafold.connection.fetch import fetch_settings
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.secret import Secret
from tests.conftest import API_KEY
from tests.integrations import KINDS


@pytest.fixture
def sent(requests_mock: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Take any request, and return the last one."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    requests_mock.register_uri("GET", ANY, json=1)

    def last(conn_id: str = "mine") -> Any:
        DatafoldHook(conn_id).run("GET", "/x")
        return requests_mock.last_request

    return last


@pytest.fixture
def refused(connect: Any, requests_mock: Any) -> Any:
    """Set the connection, and return the message of the error that it causes."""

    def error(**fields: Any) -> str:
        connect("datafold_default", **{"password": API_KEY, **fields})
        said = []
        for call in (DatafoldHook.get_conn, DatafoldHook.list_integrations):
            with pytest.raises(DatafoldConfigurationError) as caught:
                call(DatafoldHook())
            said.append(str(caught.value))
        works, told = DatafoldHook().test_connection()
        assert not works
        assert said[0].startswith(told.rstrip("."))
        assert API_KEY not in said[0] + told
        assert "Nothing was sent." in said[0]
        assert said[0] == said[1]
        assert requests_mock.request_history == []
        return said[0]

    return error


def test_defaults(connect: Any, sent: Any) -> None:
    connect("mine", password=f" {API_KEY}\n")
    request = sent()
    assert request.url == "https://app.datafold.com/x"
    assert request.headers["Authorization"] == f"Key {API_KEY}"
    assert request.timeout == 30
    assert request.verify is True


@pytest.mark.parametrize("conn_type", ["generic", "http"])
def test_type_that_says_nothing_of_another_system(connect: Any, sent: Any, conn_type: str) -> None:
    connect("mine", conn_type=conn_type, password=API_KEY)
    assert sent().headers["Authorization"] == f"Key {API_KEY}"


def test_extra_fields(connect: Any, sent: Any, tmp_path: Any) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    extra = {
        "timeout": "1.5",
        "max_retries": 0,
        "ca_bundle": f" {file} ",
        "verify_ssl": "True",
    }
    connect("mine", password=API_KEY, extra=extra)
    request = sent()
    assert (request.timeout, request.verify) == (1.5, str(file))


@pytest.mark.parametrize("flag", [False, "false", "False"])
def test_verify_ssl_off_wins_over_ca_bundle(connect: Any, sent: Any, flag: Any) -> None:
    connect("mine", password=API_KEY, extra={"ca_bundle": "/ca.pem", "verify_ssl": flag})
    assert sent().verify is False


@pytest.mark.parametrize(("timeout", "max_retries"), [(0.5, 100), (86_400, "100")])
def test_extremes(connect: Any, sent: Any, timeout: Any, max_retries: Any) -> None:
    connect("mine", password=API_KEY, extra={"timeout": timeout, "max_retries": max_retries})
    assert sent().timeout == timeout


def test_empty_extra_fields_count_as_not_given(connect: Any, sent: Any) -> None:
    extra = {"timeout": "", "max_retries": None, "ca_bundle": "", "verify_ssl": "", "more": 1}
    connect("mine", password=API_KEY, extra=extra)
    request = sent()
    assert (request.timeout, request.verify) == (30, True)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": ""}, "https://app.datafold.com"),
        ({"host": "eu.datafold.com"}, "https://eu.datafold.com"),
        ({"host": " eu.datafold.com/ "}, "https://eu.datafold.com"),
        ({"host": "https://eu.datafold.com/"}, "https://eu.datafold.com"),
        ({"host": "HTTPS://EU.datafold.com"}, "https://eu.datafold.com"),
        ({"host": "datafold.acme.io:8443"}, "https://datafold.acme.io:8443"),
        ({"host": "datafold.acme.io", "port": 8443}, "https://datafold.acme.io:8443"),
        ({"host": "datafold.acme.io:8443", "port": 8443}, "https://datafold.acme.io:8443"),
        ({"host": "acme.io:8443", "port": 0}, "https://acme.io:8443"),
        ({"host": "acme.io", "port": 1}, "https://acme.io:1"),
        ({"host": "", "port": 443}, "https://app.datafold.com"),
        ({"host": "acme.io:443", "port": 443}, "https://acme.io"),
        ({"host": "acme.io", "port": 80}, "https://acme.io:80"),
        ({"host": "http://127.0.0.1", "port": 80}, "http://127.0.0.1"),
        ({"host": "acme.io:65535"}, "https://acme.io:65535"),
        ({"host": "datafold.acme.io", "schema": "https"}, "https://datafold.acme.io"),
        ({"host": "https://acme.io", "schema": " HTTPS "}, "https://acme.io"),
        ({"host": "https://acme.io/datafold/"}, "https://acme.io/datafold"),
        ({"host": "acme.io/datafold"}, "https://acme.io/datafold"),
        ({"host": "acme.io/X/"}, "https://acme.io/X"),
        ({"host": "acme.io."}, "https://acme.io."),
        ({"host": "XACME.io"}, "https://xacme.io"),
        ({"host": f"{'a' * 63}.io"}, f"https://{'a' * 63}.io"),
        ({"host": "127.0.0.1", "port": 8080, "schema": "http"}, "http://127.0.0.1:8080"),
        ({"host": "http://127.8.9.1"}, "http://127.8.9.1"),
        ({"host": "http://localhost:8080"}, "http://localhost:8080"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "::1", "port": 8080, "schema": "http"}, "http://[::1]:8080"),
        ({"host": "2001:db8::5"}, "https://[2001:db8::5]"),
        ({"host": "http://acme.io", "extra": {"allow_http": True}}, "http://acme.io"),
        ({"host": "acme.io", "schema": "http", "extra": {"allow_http": "true"}}, "http://acme.io"),
    ],
)
def test_address(connect: Any, sent: Any, fields: dict[str, Any], base_url: str) -> None:
    connect("mine", password=API_KEY, **fields)
    assert sent().url == f"{base_url}/x"
    assert DatafoldHook("mine").integrations_url == f"{base_url}/settings/integrations"


def test_connection_as_uri(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", "datafold://:KEY@127.0.0.1:8080/http?timeout=5")
    request = sent()
    assert request.url == "http://127.0.0.1:8080/x"
    assert request.headers["Authorization"] == "Key KEY"
    assert request.timeout == 5


@pytest.mark.parametrize(
    ("fields", "wrong", "said"),
    [
        ({"host": "http://acme.io"}, "host", "'allow_http'"),
        ({"host": "http://10.0.0.1"}, "host", "plain http"),
        ({"host": "http://localhost.acme.io"}, "host", "plain http"),
        ({"host": "acme.io", "schema": "http"}, "host", "plain http"),
        ({"host": "http://acme.io", "extra": {"allow_http": False}}, "host", "plain http"),
        ({"host": "x:y@z"}, "host", "'password'"),
        ({"host": f"https://me:{API_KEY}@acme.io"}, "host", "'password'"),
        ({"host": "ftp://acme.io"}, "host", "https://"),
        ({"host": "acme.io", "schema": "ftp"}, "schema", "http or https"),
        ({"schema": f"{API_KEY}@acme.io"}, "schema", "%2F"),
        ({"host": "https://acme.io", "schema": "http"}, "schema", "is http, but"),
        ({"schema": "http"}, "schema", "is http, but"),
        ({"host": "acme.io:1", "port": 2}, "port", "says 2, but the host says 1"),
        ({"host": "https://"}, "host", "https://eu.datafold.com"),
        ({"host": "acme.io:port"}, "host", "eu.datafold.com"),
        ({"host": "acme.io:99999"}, "host", "eu.datafold.com"),
        ({"host": "acme .io"}, "host", "eu.datafold.com"),
        ({"host": "acme.io\\x"}, "host", "eu.datafold.com"),
        ({"host": "acme.io?a=b"}, "host", "eu.datafold.com"),
        ({"host": "acme.io#a"}, "host", "eu.datafold.com"),
        ({"host": "/acme.io"}, "host", "eu.datafold.com"),
        ({"host": "acme..io"}, "host", "eu.datafold.com"),
        ({"host": f"{'a' * 64}.io"}, "host", "eu.datafold.com"),
        ({"host": ".acme.io"}, "host", "eu.datafold.com"),
        ({"host": "https://acme.io:"}, "host", "eu.datafold.com"),
        ({"host": "https://acme.io[::1]"}, "host", "eu.datafold.com"),
        ({"host": "https://[::1"}, "host", "eu.datafold.com"),
        ({"host": "https://acme.io]"}, "host", "eu.datafold.com"),
        ({"host": "https://[::1]:\u0661"}, "host", "eu.datafold.com"),
        ({"host": "https://https://acme.io"}, "host", "eu.datafold.com"),
        ({"host": "acme.io/x/../y"}, "host", "eu.datafold.com"),
        ({"host": "acme.io/./y"}, "host", "eu.datafold.com"),
        ({"host": "acme.io/x y"}, "host", "eu.datafold.com"),
        ({"password": ""}, "password", "empty"),
        ({"password": None}, "password", "empty"),
        ({"password": " \n"}, "password", "empty"),
        ({"password": "a\nb"}, "password", "characters"),
        ({"password": "schl\u00fcssel"}, "password", "characters"),
        ({"password": f"Key {API_KEY}"}, "password", "'Key'"),
        ({"password": f"'{API_KEY}'"}, "password", "quotes"),
        ({"conn_type": "snowflake"}, "conn_type", "'snowflake'"),
        ({"extra": {"timeout": 0}}, "timeout", "86400"),
        ({"extra": {"timeout": -1}}, "timeout", ""),
        ({"extra": {"timeout": 86401}}, "timeout", ""),
        ({"extra": {"timeout": "soon"}}, "timeout", ""),
        ({"extra": {"timeout": "nan"}}, "timeout", ""),
        ({"extra": {"timeout": "\u0665"}}, "timeout", ""),
        ({"extra": {"timeout": True}}, "timeout", ""),
        ({"extra": {"timeout": [5]}}, "timeout", ""),
        ({"extra": {"max_retries": -1}}, "max_retries", "whole number"),
        ({"extra": {"max_retries": 101}}, "max_retries", "100"),
        ({"extra": {"max_retries": 2.5}}, "max_retries", ""),
        ({"extra": {"max_retries": True}}, "max_retries", ""),
        ({"extra": {"verify_ssl": "maybe"}}, "verify_ssl", "true or false"),
        ({"extra": {"allow_http": 1}}, "allow_http", "true or false"),
        ({"extra": {"ca_bundle": True}}, "ca_bundle", ""),
    ],
)
def test_wrong_field(refused: Any, fields: dict[str, Any], wrong: str, said: str) -> None:
    text = refused(**fields)
    assert "connection 'datafold_default'" in text
    assert f"field {wrong!r}" in text
    assert said in text


@pytest.mark.parametrize("extra", ["[1]", "not JSON"])
def test_extra_is_no_object(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    class FromABackend:
        conn_id = "mine"
        conn_type = host = schema = port = login = None
        password = API_KEY

    # Airflow itself makes no such connection, but a secrets backend may.
    FromABackend.extra = extra  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: FromABackend())
    with pytest.raises(DatafoldConfigurationError) as caught:
        DatafoldHook("mine").get_conn()
    assert "connection 'mine': field 'extra'" in str(caught.value)
    assert "JSON object" in str(caught.value)
    assert "Nothing was sent" in str(caught.value)


# Connections to other systems.


@pytest.fixture
def config(connect: Any, requests_mock: Any) -> Any:
    """Run a kind's operator, and return what it sends from the connection ``bi``."""
    connect("datafold_default", password=API_KEY)
    requests_mock.register_uri("PUT", ANY, json={})
    requests_mock.register_uri("GET", ANY, json={"bindings": []})

    def sent(kind: str, conn_id: str = "bi", **given: Any) -> Any:
        arguments = {
            "bi_datasource_id": 7,
            "indexing_cron": None,
            f"{kind}_conn_id": conn_id,
            **KINDS[kind].arguments,
            **given,
        }
        KINDS[kind].operator(task_id="t", **arguments).execute({})
        body = requests_mock.last_request.json()
        return {name: body[name] for name in body if name not in {*arguments, "bindings"}}

    return sent


@pytest.mark.parametrize(
    ("kind", "meaning"), [("hightouch", "Hightouch's token"), ("mode", "Mode's token, password")]
)
def test_no_such_connection(config: Any, requests_mock: Any, kind: str, meaning: str) -> None:
    for call, what in (
        (lambda: DatafoldHook("nowhere").get_conn(), "Datafold"),
        (lambda: config(kind, "nowhere"), meaning),
    ):
        with pytest.raises(DatafoldConfigurationError) as caught:
            call()
        assert "'nowhere'" in str(caught.value)
        assert what in str(caught.value)
        assert "AIRFLOW_CONN_NOWHERE" in str(caught.value)
        assert "Nothing was sent" in str(caught.value)
    assert requests_mock.request_history == []


def test_secret_of_any_connection(connect: Any, config: Any) -> None:
    connect("bi", conn_type="http", password=" token\n", login="x")
    assert config("hightouch") == {"token": "token"}


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


@pytest.mark.parametrize("kind", HELD)
def test_config(connect: Any, config: Any, kind: str) -> None:
    connect("bi", **FULL)
    assert config(kind) == HELD[kind]


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind in HELD for field in sorted(set(HELD[kind]) - KINDS[kind].secrets)],
)
def test_what_is_given_is_not_read(connect: Any, config: Any, kind: str, field: str) -> None:
    place = next(place for place, name in KINDS[kind].connection.items() if name == field)
    connect("bi", **{**FULL, place: {} if place == "extra" else "ftp://wrong"})
    rest = {name: value for name, value in HELD[kind].items() if name != field}
    assert config(kind, **{field: "given"}) == rest


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
def test_address_of_the_other_system(
    connect: Any, config: Any, fields: dict[str, Any], address: str
) -> None:
    connect("bi", conn_type="generic", login="who", password="secret", **fields)
    assert config("looker")["base_url"] == address


@pytest.mark.parametrize(
    ("kind", "missing", "field"),
    [
        ("hightouch", "password", "token"),
        ("looker", "host", "base_url"),
        ("looker", "login", "client_id"),
        ("mode", "extra", "token"),
        ("tableau", "extra", "site_id"),
    ],
)
def test_connection_lacks_a_field(
    connect: Any, config: Any, requests_mock: Any, kind: str, missing: str, field: str
) -> None:
    # A port alone is not an address. (Airflow 2.11 would mask a password of one space everywhere.)
    nothing = {"password": "", "extra": {}}.get(missing, " ")
    connect("bi", port=80, **{**FULL, missing: nothing})
    with pytest.raises(DatafoldConfigurationError) as caught:
        config(kind)
    place = field if missing == "extra" else missing
    assert f"connection 'bi': field {place!r}" in str(caught.value)
    assert f"{KINDS[kind].title}'s {field}" in str(caught.value)
    assert "Nothing was sent." in str(caught.value)
    assert requests_mock.request_history == []


def test_address_that_is_none(connect: Any, config: Any, requests_mock: Any) -> None:
    connect("bi", conn_type="generic", login="who", password="secret", host="ftp://bi.acme.io")
    with pytest.raises(DatafoldConfigurationError, match="connection 'bi': field 'host'"):
        config("looker")
    assert requests_mock.request_history == []


def test_power_bi_can_do_without(connect: Any, config: Any) -> None:
    connect("bi", conn_type="generic")
    assert config("powerbi") == {}


@pytest.mark.parametrize(("host", "proxy"), [("acme.io", "http://proxy"), ("[::1]", None)])
def test_settings_name_the_proxy_of_the_environment(
    host: str, proxy: str | None, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    connect("mine", host=f"https://{host}", password=API_KEY)
    found = fetch_settings("mine").proxy
    assert (found and found.reveal()) == proxy


def test_settings_have_the_defaults_of_the_form() -> None:
    settings = Settings("mine", "https://app.datafold.com", Secret(API_KEY))
    assert (settings.timeout, settings.max_retries, settings.call_timeout) == (30.0, 3, None)
    assert (settings.verify, settings.proxy, settings.warnings) == (True, None, ())
