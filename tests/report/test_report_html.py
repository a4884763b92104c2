"""report.html is one file, complete without scripts, in two languages, and readable by everybody."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
import stories
from stories import Teller

from vnode_suite.core.ledger import read
from vnode_suite.model import Text
from vnode_suite.report.document import build
from vnode_suite.report.html import LETTERS, render_html

VOID = {"meta", "input", "br", "link", "img", "hr", "path", "circle", "rect", "line"}


class Page(HTMLParser):
    """A page taken apart: elements, ids, links and the text by language."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: dict[str, list[str]] = {"en": [], "zh-CN": [], "": []}
        self.open: list[tuple[str, str]] = []
        self.problems: list[str] = []
        self.feed(text)
        self.ids = Counter(given["id"] for _, given in self.elements if "id" in given)
        self.links = [given["href"] for tag, given in self.elements if tag == "a"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the element, and the language it is in."""
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag not in VOID:
            around = self.open[-1][1] if self.open and tag != "html" else ""
            self.open.append((tag, given.get("lang", around) if tag != "html" else ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a picture."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Every element is closed where it was opened."""
        if not self.open or self.open[-1][0] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        """Text, by language."""
        if data.strip() and self.open and self.open[-1][0] not in ("style", "script", "title"):
            self.words.setdefault(self.open[-1][1], []).append(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every such element."""
        return [given for name, given in self.elements if name == tag]


@pytest.fixture
def page(told: Teller, any_story: stories.Story) -> Page:
    """The page of each kind of run in turn."""
    return Page(render_html(told(any_story)))


def test_it_is_well_formed(page: Page) -> None:
    """Elements are nested and closed, and no id is given twice."""
    assert page.problems == []
    assert page.open == []
    assert [name for name, count in page.ids.items() if count > 1] == []


def test_every_link_leads_somewhere_in_the_page(page: Page) -> None:
    """The cells of the matrix lead to their evidence; only the source page lies outside."""
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert [link for link in inside if link not in page.ids] == []
    assert {link for link in page.links if not link.startswith("#")} == {"https://help.aliyun.com/example"}
    assert sum(link.startswith("r-") for link in inside) == 2 * len(stories.CLAUSES)


def test_it_needs_no_network(page: Page) -> None:
    """Nothing is loaded, and the page forbids it to itself."""
    assert not [
        given for tag, given in page.elements if tag in ("link", "img", "iframe", "object") or "src" in given
    ]
    policy = next(given["content"] for given in page.all("meta") if "http-equiv" in given)
    assert policy.startswith("default-src 'none'")
    style = (resources.files("vnode_suite.report") / "templates" / "report.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_both_languages_are_complete(page: Page) -> None:
    """What stands in one language stands in the other, and no Chinese is outside its language."""
    assert len(page.words["en"]) == len(page.words["zh-CN"]) > 100
    stray = [text for text in page.words[""] if re.search("[\u4e00-\u9fff]", text)]
    assert set(stray) <= {"中文"}


@pytest.mark.parametrize(("language", "checked"), [("en", "show-en"), ("zh", "show-zh")])
def test_it_opens_in_the_language_asked_for(
    told: Teller, ledger_path: Path, language: str, checked: str
) -> None:
    """And the other is a click away, without a script."""
    page = Page(render_html(told(stories.passing(ledger_path)), language))  # type: ignore[arg-type]
    radios = [given for given in page.all("input") if given.get("type") == "radio"]
    assert [given["id"] for given in radios if "checked" in given] == [checked]
    assert {given["for"] for given in page.all("label")} >= {"show-en", "show-zh"}


def test_it_has_landmarks_and_headings_in_order(page: Page) -> None:
    """A screen reader finds its way: one h1, no level left out, header, main, navigation and footer."""
    tags = [tag for tag, _ in page.elements]
    assert {"header", "main", "nav", "footer"} <= set(tags)
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip([1, *levels], levels, strict=False))
    assert all("scope" in given for given in page.all("th"))


def test_verdict_and_scope_come_first(told: Teller, any_story: stories.Story) -> None:
    """Before any table, and a simulated run says that nothing was accepted."""
    report = told(any_story)
    text = render_html(report)
    places = [
        text.index('<h1 id="verdict">'),
        text.index(report.verdict.scope.en[:40]),
        text.index("Nothing was accepted"),
    ]
    assert places == sorted(places)
    assert places[-1] < text.index("<table")


def test_a_live_run_that_is_accepted_says_so(ledger_path: Path) -> None:
    """And does not say that nothing was."""
    from vnode_suite.model import Grade

    story = stories.Story(ledger_path, cloud="live", grade=Grade.LIVE)
    text = render_html(build(read(story.tell()), story.catalogue))
    assert '<strong><span lang="en">Accepted</span>' in text
    assert "Nothing was accepted" not in text


def test_a_failure_is_told_with_all_that_helps(told: Teller, ledger_path: Path) -> None:
    """Expected, seen, remedy, evidence, and the command that repeats it."""
    text = render_html(told(stories.failing(ledger_path)))
    first = text[text.index('<article class="trouble failed') :]
    first = first[: first.index("</article>")]
    for said in (
        "no kube-proxy Pod is bound to the VNode", "kube-proxy-x7k2p is bound to", "See to it that",
        "pytest --region cn-shanghai --vnode-k8s-version 1.22 --vnode-identity bootstrap --vnode-clause "
        "DS-02",
        "answer of the API server",
    ):  # fmt: skip
        assert said in first


def test_each_status_has_a_shape_and_a_letter_of_its_own() -> None:
    """Colour is never the only sign."""
    assert len(set(LETTERS.values())) == len(LETTERS) == 8
    style = (resources.files("vnode_suite.report") / "templates" / "report.css").read_text()
    shapes = {name: re.findall(rf"^\.s\.{name}\{{([^}}]*)\}}", style, re.MULTILINE) for name in LETTERS}
    assert all(shapes.values())
    assert len({found[0] for found in shapes.values()}) == len(shapes)


def test_what_others_wrote_cannot_become_markup(told: Teller, ledger_path: Path) -> None:
    """A log line is text, whatever it holds."""
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
    story = stories.Story(
        ledger_path, failing={("DS-02", "*"): Text(evil, evil)}, evidence_text=evil, run_id=evil
    )
    page = Page(render_html(told(story)))
    assert len(page.all("script")) == 1
    assert page.all("img") == []


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 has it."""
    full = "".join(digit * 2 for digit in colour) if len(colour) == 3 else colour
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2 has it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_enough_for_reading(palette: int) -> None:
    """WCAG AA: 4.5 for every colour of text on every ground it stands on."""
    style = (resources.files("vnode_suite.report") / "templates" / "report.css").read_text()
    colours = dict(
        re.findall(r"--([\w-]+):#([0-9a-f]{3,6})", re.findall(r":root\{([^}]*)\}", style)[palette])
    )
    texts = ("ink", "soft", "link", "passed", "failed", "blocked", "error", "info", "quiet")
    for text in texts:
        for ground in ("paper", "raised", "mark"):
            if text in ("ink", "soft", "link") or ground == "paper":
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("passed", "failed", "blocked", "error", "link"):
        assert contrast(colours["on"], colours[ground]) >= 4.5, ground
    assert contrast(colours["ink"], colours["note-bg"]) >= 4.5


def test_the_full_matrix_stays_below_five_megabytes(told: Teller, ledger_path: Path) -> None:
    """Ten versions, two identities, every clause, each with evidence of 20 kB."""
    from dataclasses import replace

    story = replace(stories.matrix(ledger_path), evidence_text="evidence " * 2200)
    assert len(render_html(told(story)).encode()) < 5_000_000


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_opens_it_without_an_error(told: Teller, any_story: stories.Story, tmp_path: Path) -> None:
    """The script runs under the page's own policy, and the console stays empty."""
    file = tmp_path / "report.html"
    file.write_text(render_html(told(any_story)))
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
    )
    done = subprocess.run(
        ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert re.search(r"<html[^>]* class=\"scripted\"", done.stdout)
