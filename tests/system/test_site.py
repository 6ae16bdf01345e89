"""The site that ``make docs`` has built, read from its files: nothing serves it, all is offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import ROOT

pytestmark = pytest.mark.ui

SITE = ROOT / "build" / "docs"
# The source of the package is one more page for each module.
PAGES = [*SITE.glob("*.html"), *SITE.glob("api/*.html")]


@pytest.fixture
def read(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the site's home in a window, which asks no machine for anything."""
    with ExitStack() as stack:
        asked: list[str] = []
        failed: list[str] = []

        def open_window(width: int = 1280, color_scheme: str = "light") -> Page:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=color_scheme
            )
            stack.callback(context.close)
            page = context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: failed.append(str(error)))
            page.goto((SITE / "index.html").as_uri())
            return page

        yield open_window
    assert asked
    assert failed == []
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("DatafoldNotComparedError", "Errors"),
        ("retry after", "The connection to Datafold"),
        ("max_rows_added", "Data diffs"),
        ("trusted publisher", "Releasing"),
    ],
)
def test_search_finds_pages(words: str, title: str, read: Callable[..., Page]) -> None:
    page = read()
    page.get_by_label("Search").fill(words)
    page.get_by_label("Search").press("Enter")
    page.locator("#search-results").get_by_role("link", name=title, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    ("color_scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(19, 20, 22)")]
)
def test_each_page_fits_the_window(
    width: int, color_scheme: str, background: str, read: Callable[..., Page]
) -> None:
    page = read(width, color_scheme)
    assert len(PAGES) > 20, "There is no site; `make docs` builds it"
    for file in PAGES:
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background


def test_a_person_gets_to_the_first_gate_on_a_phone(read: Callable[..., Page]) -> None:
    page = read(360)
    link = page.get_by_role("link", name="A first gate in five minutes").first
    expect(link).not_to_be_in_viewport()
    page.locator("label.nav-overlay-icon").click()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("A first gate")
