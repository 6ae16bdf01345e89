from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow_provider_datafold.kinds import KINDS

from airflow_provider_datafold.connection import (
    Settings,
    is_loopback,
    read_config,
    read_settings,
)
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from tests.conftest import API_KEY


@pytest.fixture
def refused(connect: Any) -> Any:
    """Set the connection and give the text of the error that it leads to."""

    def error(**fields: Any) -> str:
        connect("datafold_default", **{"password": API_KEY, **fields})
        with pytest.raises(DatafoldConfigurationError) as caught:
            read_settings("datafold_default")
        assert API_KEY not in str(caught.value)
        assert "Nothing was sent." in str(caught.value)
        return str(caught.value)

    return error


def test_defaults(connect: Any) -> None:
    connect("mine", password=f" {API_KEY}\n")
    settings = read_settings("mine")
    assert settings == Settings(
        conn_id="mine",
        base_url="https://app.datafold.com",
        api_key=API_KEY,
        timeout=30.0,
        max_retries=3,
        verify=None,
    )
    assert API_KEY not in repr(settings)


@pytest.mark.parametrize("conn_type", ["generic", "http"])
def test_type_that_says_nothing_of_another_system(connect: Any, conn_type: str) -> None:
    connect("mine", conn_type=conn_type, password=API_KEY)
    assert read_settings("mine").api_key == API_KEY


def test_extra_fields(connect: Any) -> None:
    extra = {"timeout": "1.5", "max_retries": 0, "ca_bundle": " /ca.pem ", "verify_ssl": "True"}
    connect("mine", password=API_KEY, extra=extra)
    settings = read_settings("mine")
    assert (settings.timeout, settings.max_retries, settings.verify) == (1.5, 0, "/ca.pem")


@pytest.mark.parametrize("flag", [False, "false", "False"])
def test_verify_ssl_off_wins_over_ca_bundle(connect: Any, flag: Any) -> None:
    connect("mine", password=API_KEY, extra={"ca_bundle": "/ca.pem", "verify_ssl": flag})
    assert read_settings("mine").verify is False


@pytest.mark.parametrize(("timeout", "max_retries"), [(0.5, 100), (86_400, "100")])
def test_extremes(connect: Any, timeout: Any, max_retries: Any) -> None:
    connect("mine", password=API_KEY, extra={"timeout": timeout, "max_retries": max_retries})
    settings = read_settings("mine")
    assert (settings.timeout, settings.max_retries) == (timeout, 100)


def test_empty_extra_fields_count_as_not_given(connect: Any) -> None:
    extra = {"timeout": "", "max_retries": None, "ca_bundle": "", "verify_ssl": "", "more": 1}
    connect("mine", password=API_KEY, extra=extra)
    settings = read_settings("mine")
    assert (settings.timeout, settings.max_retries, settings.verify) == (30.0, 3, None)


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
        ({"host": "datafold.acme.io", "schema": "https"}, "https://datafold.acme.io"),
        ({"host": "https://acme.io", "schema": " HTTPS "}, "https://acme.io"),
        ({"host": "https://acme.io/datafold/"}, "https://acme.io/datafold"),
        ({"host": "acme.io/datafold"}, "https://acme.io/datafold"),
        ({"host": "acme.io/X/"}, "https://acme.io/X"),
        ({"host": "127.0.0.1", "port": 8080, "schema": "http"}, "http://127.0.0.1:8080"),
        ({"host": "http://localhost:8080"}, "http://localhost:8080"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "::1", "port": 8080, "schema": "http"}, "http://[::1]:8080"),
        ({"host": "2001:db8::5"}, "https://[2001:db8::5]"),
        ({"host": "http://acme.io", "extra": {"allow_http": True}}, "http://acme.io"),
        ({"host": "acme.io", "schema": "http", "extra": {"allow_http": "true"}}, "http://acme.io"),
    ],
)
def test_base_url(connect: Any, fields: dict[str, Any], base_url: str) -> None:
    connect("mine", password=API_KEY, **fields)
    assert read_settings("mine").base_url == base_url


def test_connection_as_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", "datafold://:KEY@127.0.0.1:8080/http?timeout=5")
    settings = read_settings("mine")
    assert (settings.base_url, settings.api_key, settings.timeout) == (
        "http://127.0.0.1:8080",
        "KEY",
        5,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"host": "http://acme.io"},
            "field 'host' is plain http, over which everyone on the way can read the API key. Use "
            "https, or set the extra field 'allow_http' to true if the network is safe. Nothing",
        ),
        ({"host": "x:y@z"}, "field 'host' holds a user or password; put the key in 'password'."),
        ({"host": "http://localhost.acme.io"}, "field 'host' is plain http"),
        ({"host": "acme.io", "schema": "http"}, "'allow_http' to true if the network is safe"),
        ({"host": "http://acme.io", "extra": {"allow_http": False}}, "plain http"),
        (
            {"host": "ftp://acme.io"},
            "field 'host' has to begin with https:// (or http://), or with none.",
        ),
        (
            {"host": "acme.io", "schema": "ftp"},
            "field 'schema' has to be http or https, or empty. In",
        ),
        ({"schema": f"{API_KEY}@acme.io"}, "write %2F for '/' in the password. Nothing"),
        ({"host": "https://acme.io", "schema": "http"}, "is http, but the host is to be https"),
        ({"schema": "http"}, "field 'schema' is http, but the host is to be https"),
        ({"host": "acme.io:1", "port": 2}, "field 'port' says 2, but the host says 1"),
        ({"host": f"https://me:{API_KEY}@acme.io"}, "field 'host' holds a user or password"),
        (
            {"host": "https://"},
            "field 'host' has to be a host such as 'eu.datafold.com' or a URL such as "
            "'https://eu.datafold.com'. Nothing was sent.",
        ),
        ({"host": "acme.io:port"}, "field 'host' has to be a host"),
        ({"host": "acme.io:99999"}, "field 'host' has to be a host"),
        ({"host": "acme .io"}, "field 'host' has to be a host"),
        ({"host": "acme.io\\x"}, "field 'host' has to be a host"),
        ({"host": "acme.io?a=b"}, "field 'host' has to be a host"),
        ({"host": "acme.io#a"}, "field 'host' has to be a host"),
        ({"host": "/acme.io"}, "field 'host' has to be a host"),
        ({"password": ""}, "field 'password' is empty; it has to be the API key"),
        ({"password": None}, "field 'password' is empty; it has to be the API key"),
        ({"password": " \n"}, "field 'password' is empty; it has to be the API key"),
        ({"password": "a\nb"}, "field 'password' has characters that no API key has"),
        ({"password": "schl\u00fcssel"}, "field 'password' has characters that no API key has"),
        ({"password": f"Key {API_KEY}"}, "field 'password' has to be the API key alone, without"),
        ({"password": f"'{API_KEY}'"}, "field 'password' has to be the API key alone, without"),
        ({"conn_type": "snowflake"}, "'conn_type' is 'snowflake'; it has to be 'datafold'."),
        ({"extra": {"timeout": 0}}, "field 'timeout' has to be a number above 0 and at most 86400"),
        ({"extra": {"timeout": -1}}, "field 'timeout'"),
        ({"extra": {"timeout": 86401}}, "field 'timeout'"),
        ({"extra": {"timeout": "soon"}}, "field 'timeout'"),
        ({"extra": {"timeout": "nan"}}, "field 'timeout'"),
        ({"extra": {"timeout": True}}, "field 'timeout'"),
        ({"extra": {"timeout": [5]}}, "field 'timeout'"),
        ({"extra": {"max_retries": -1}}, "field 'max_retries' has to be a whole number from 0 to"),
        ({"extra": {"max_retries": 101}}, "from 0 to 100."),
        ({"extra": {"max_retries": 2.5}}, "field 'max_retries'"),
        ({"extra": {"max_retries": True}}, "field 'max_retries'"),
        (
            {"extra": {"verify_ssl": "maybe"}},
            "'verify_ssl' has to be true or false.",
        ),
        ({"extra": {"allow_http": 1}}, "field 'allow_http' has to be true or false."),
        ({"extra": {"ca_bundle": True}}, "field 'ca_bundle' has to be a text"),
    ],
)
def test_wrong_field(refused: Any, fields: dict[str, Any], said: str) -> None:
    text = refused(**fields)
    assert text.startswith("Airflow connection 'datafold_default': field '")
    assert said in text


@pytest.mark.parametrize("extra", ["[1]", "not JSON"])
def test_extra_is_no_object(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    class Connection:
        conn_id = "mine"
        conn_type = host = schema = port = None
        password = API_KEY

    Connection.extra = extra  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: Connection())
    with pytest.raises(
        DatafoldConfigurationError,
        match="^Airflow connection 'mine': field 'extra' has to be a JSON object. Nothing was sent",
    ):
        read_settings("mine")


def test_port_zero_in_the_host_is_not_overridden(connect: Any) -> None:
    connect("mine", password=API_KEY, host="acme.io:8443", port=0)
    assert read_settings("mine").base_url == "https://acme.io:8443"


def test_no_such_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_connection(conn_id: str) -> None:
        raise AirflowNotFoundException("foreign text")

    monkeypatch.setattr(BaseHook, "get_connection", get_connection)
    for read, meaning in (
        (read_settings, "Datafold"),
        (partial(read_config, kind=KINDS["hightouch"], given=()), "Hightouch's token"),
        (partial(read_config, kind=KINDS["mode"], given=()), "Mode's token, password"),
    ):
        with pytest.raises(DatafoldConfigurationError) as caught:
            read("nowhere")
        assert str(caught.value).startswith(
            f"There is no Airflow connection 'nowhere' ({meaning}). Nothing was sent. Add it"
        )
        assert str(caught.value).endswith(
            "or as the environment variable AIRFLOW_CONN_NOWHERE; if that is set, its JSON or URI "
            "can't be read."
        )
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_token_of_any_connection(connect: Any) -> None:
    connect("hightouch", conn_type="http", password=" token\n", login="x")
    assert read_config("hightouch", KINDS["hightouch"], ()) == {"token": "token"}


FULL = {
    "conn_type": "http",
    "host": "https://bi.acme.io",
    "login": " who ",
    "password": "secret\n",
    "extra": {"token": " tok ", "site_id": "site", "tenant_id": "tenant", "timeout": "nonsense"},
}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("hightouch", {"token": "secret"}),
        (
            "looker",
            {"base_url": "https://bi.acme.io", "client_id": "who", "client_secret": "secret"},
        ),
        ("mode", {"token": "tok", "password": "secret"}),
        (
            "tableau",
            {
                "server_url": "https://bi.acme.io",
                "site_id": "site",
                "token_name": "who",
                "token_value": "secret",
            },
        ),
        ("powerbi", {"tenant_id": "tenant", "client_id": "who", "client_secret": "secret"}),
        ("dbt", {}),
    ],
)
def test_config(connect: Any, kind: str, config: dict[str, str]) -> None:
    connect("bi", **FULL)
    assert read_config("bi", KINDS[kind], ()) == config
    for field in config:
        rest = {name: value for name, value in config.items() if name != field}
        assert read_config("bi", KINDS[kind], {field: "given"}) == rest


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
def test_address(connect: Any, fields: dict[str, Any], address: str) -> None:
    connect("bi", conn_type="generic", login="who", password="secret", **fields)
    assert read_config("bi", KINDS["looker"], ())["base_url"] == address


@pytest.mark.parametrize(
    ("kind", "missing", "said"),
    [
        ("hightouch", "password", "'password' is empty; it has to be Hightouch's token"),
        ("looker", "host", "'host' is empty; it has to be Looker's base_url"),
        ("looker", "login", "'login' is empty; it has to be Looker's client_id"),
        ("mode", "extra", "'token' is empty; it has to be Mode's token"),
        ("tableau", "extra", "'site_id' is empty; it has to be Tableau's site_id"),
    ],
)
def test_connection_lacks_a_field(connect: Any, kind: str, missing: str, said: str) -> None:
    # A port alone makes no address. (Airflow 2.11 would mask a password of one space everywhere.)
    nothing = {"password": "", "extra": {}}.get(missing, " ")
    connect("bi", port=80, **{**FULL, missing: nothing})
    with pytest.raises(DatafoldConfigurationError) as caught:
        read_config("bi", KINDS[kind], ())
    assert str(caught.value) == f"Airflow connection 'bi': field {said}. Nothing was sent."


def test_address_that_is_none(connect: Any) -> None:
    connect("bi", conn_type="generic", login="who", password="secret", host="ftp://bi.acme.io")
    with pytest.raises(DatafoldConfigurationError, match="field 'host' has to begin with https"):
        read_config("bi", KINDS["looker"], ())


def test_power_bi_can_do_without(connect: Any) -> None:
    connect("bi", conn_type="generic")
    assert read_config("bi", KINDS["powerbi"], ()) == {}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True)]
    + [("10.0.0.1", False), ("acme.io", False), ("localhost.acme.io", False), ("", False)],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_settings_know_whether_they_stay_on_this_machine() -> None:
    assert Settings("c", "http://[::1]:80/x", "k").is_loopback
    assert not Settings("c", "https://app.datafold.com", "k").is_loopback
