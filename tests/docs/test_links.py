"""Links within the pages: each names an existing file, and an existing heading if it names one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
    ROOT / "tests" / "bench" / "README.md",
)
#: Fenced and inline code, in which brackets are not links.
CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
#: The text of a link may continue on the next line.
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links_of(text: str) -> list[str]:
    """The targets of a page's links, except those to other sites."""
    return [link for link in LINK.findall(CODE.sub("", text)) if "://" not in link]


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub forms them."""
    headings = HEADING.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_from(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    missing = []
    for link in links_of(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target.read_text("utf-8"))):
            missing.append(link)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_resolve(page: Path) -> None:
    assert missing_from(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, first\n[here](#a-heading-first) [no](#no) [gone](gone.md) [page](page.md)\n"
        "`[code](gone.md)` [site](https://example.com/gone.md)\n",
        "utf-8",
    )
    assert missing_from(page) == ["#no", "gone.md"]


def test_every_page_of_docs_is_linked_from_the_readme_or_contributing() -> None:
    linked = set()
    for name in ("README.md", "CONTRIBUTING.md"):
        linked.update(links_of((ROOT / name).read_text("utf-8")))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked
