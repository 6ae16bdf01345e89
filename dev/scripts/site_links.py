"""Check the links inside the built site, and list those that leave it.

``python -m dev.scripts.site_links build/docs``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page of the site links to, and what can be linked to in it.

    :param file: the page.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.anchors = {""}
        self.targets: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the parser has found.

        :param tag: ignored: whatever has an address is a link.
        :param attrs: the attributes.
        """
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value or "")
            elif name in ("href", "src"):
                self.targets.append(value or "")


def main() -> None:
    """Check the site in the folder that the command line names."""
    pages = {file.resolve(): Page(file) for file in Path(sys.argv[1]).rglob("*.html")}
    outside = {target for page in pages.values() for target in page.targets if is_outside(target)}
    for target in sorted(outside):
        print(f"not checked: {target}")
    broken = [f"{page.file}: {target}" for page in pages.values() for target in lost(page, pages)]
    count = sum(not is_outside(target) for page in pages.values() for target in page.targets)
    print(f"{len(pages)} pages, {count} links inside, {len(broken)} broken", *broken, sep="\n")
    sys.exit(bool(broken or not count))


def is_outside(target: str) -> bool:
    """Whether a link leaves the site.

    :param target: what it links to.
    """
    parts = urlsplit(target)
    return bool(parts.scheme or parts.netloc)


def lost(page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    """Find the links of a page that lead to no file, or to no such place in it.

    :param page: the page.
    :param pages: all pages, by file.
    """
    for target in page.targets:
        parts = urlsplit(target)
        if is_outside(target):
            continue
        file = (page.file.parent / unquote(parts.path)).resolve() if parts.path else page.file
        found = pages.get(file.resolve())
        if not file.is_file() or (found and unquote(parts.fragment) not in found.anchors):
            yield target


if __name__ == "__main__":
    main()
