"""The site that ``make docs`` has built, read from its files: nothing serves it, all is offline."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.conftest import ROOT

pytestmark = pytest.mark.ui

SITE = ROOT / "build" / "docs"
# The source of the package is one more page for each module.
PAGES = [*SITE.glob("*.html"), *SITE.glob("api/*.html")]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    ("color_scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(19, 20, 22)")]
)
def test_each_page_fits_the_window_and_asks_no_machine(
    width: int, color_scheme: str, background: str, browser: Browser
) -> None:
    assert len(PAGES) > 20, "There is no site; `make docs` builds it"
    asked: list[str] = []
    failed: list[str] = []
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=color_scheme
    ) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        for file in PAGES:
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert asked
    assert failed == []
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
