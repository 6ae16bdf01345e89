"""Which proxy and which CA bundle the environment names."""

from __future__ import annotations

import pytest

from airflow_provider_datafold.connection import environment

HOST = "datafold.test"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (f"https://{HOST}", {}, None),
        (f"https://{HOST}", {"HTTPS_PROXY": ""}, None),
        (f"https://{HOST}", {"HTTPS_PROXY": "http://a"}, "http://a"),
        (f"https://{HOST}", {"HTTPS_PROXY": " http://a "}, "http://a"),
        (f"https://{HOST}", {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}, "http://b"),
        (f"https://{HOST}", {"HTTP_PROXY": "http://a"}, None),
        (f"http://{HOST}", {"HTTP_PROXY": "http://a", "HTTPS_PROXY": "http://b"}, "http://a"),
        (f"http://{HOST}", {"ALL_PROXY": "socks5h://a"}, "socks5h://a"),
        (f"https://{HOST}", {"ALL_PROXY": "http://a", "HTTPS_PROXY": "http://b"}, "http://b"),
        (f"https://{HOST}", {"HTTPS_PROXY": "a:3128"}, "http://a:3128"),
    ],
)
def test_proxy_that_is_chosen(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert environment.proxy(url, environ) == proxy


# Hosts, suffixes of whole labels only, ports, dots at the end; networks and addresses.
DIRECT = {
    HOST: [
        "*",
        "a.test, *",
        HOST,
        HOST.upper(),
        f"a.test , {HOST} ",
        "test",
        ".test",
        f"{HOST}:443",
    ]
    + [f"{HOST}."],
    f"eu.{HOST}": [HOST, f".{HOST}"],
    f"{HOST}:8443": [f"{HOST}:8443", HOST],
    f"eu.{HOST}:8443": [f".{HOST}:8443"],
    f"{HOST}:443": [f"{HOST}:443"],
    f"{HOST}.": [HOST, f"{HOST}.:443"],
    "10.1.2.3": ["10.0.0.0/8", "10.9.9.9/8", "10.1.2.3"],
    "10.1.2.3:8443": ["10.0.0.0/8", "10.1.2.3:8443"],
    "[fd12::1]": ["fd00::/8", "[fd12::1]", "[fd12::1]:443"],
}
PROXIED = {
    HOST: ["*.test", "a.test", ",,", "fold.test", f"eu.{HOST}", f"{HOST}:8443", f"{HOST}:80"]
    + ["10.0.0.0/8"],
    f"{HOST}:8444": [f"{HOST}:8443"],
    "11.1.2.3": ["10.0.0.0/8"],
    "10.1.2.30": ["10.1.2.3"],
    "10.1.2.3:8444": ["10.1.2.3:8443"],
    "10.1.2.3": ["fd00::/8"],
    "[fd12::1]": ["[fd12::1]:8443"],
    "[fe80::1]": ["fd00::/8"],
}


@pytest.mark.parametrize(
    ("host", "no_proxy", "proxy"),
    [
        (host, no_proxy, proxy)
        for hosts, proxy in ((DIRECT, None), (PROXIED, "http://a"))
        for host, entries in hosts.items()
        for no_proxy in entries
    ],
)
def test_hosts_without_a_proxy(host: str, no_proxy: str, proxy: str | None) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        environ = {"HTTPS_PROXY": "http://a", name: no_proxy}
        assert environment.proxy(f"https://{host}", environ) == proxy


@pytest.mark.parametrize(
    ("environ", "bundle"),
    [
        ({"REQUESTS_CA_BUNDLE": "a", "CURL_CA_BUNDLE": "b"}, "a"),
        ({"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "b"}, "b"),
        ({"CURL_CA_BUNDLE": ""}, None),
    ],
)
def test_ca_bundle_that_is_chosen(environ: dict[str, str], bundle: str | None) -> None:
    assert environment.ca_bundle(environ) == bundle
