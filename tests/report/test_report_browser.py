"""report.html in a real Chromium: it runs without errors, reads without scripts, and can be used by everybody."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import browser
import pytest
import stories
from browser import BROWSER, DESKTOP, NARROW, NODE_MODULES, NODE_PACKAGES, Browser

from vnode_suite.core.ledger import read
from vnode_suite.report.document import build
from vnode_suite.report.html import write_html

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.chromium() is None, reason=BROWSER),
]
STORIES = ("passing", "failing", "incomplete", "killed", "interrupted", "matrix")
LANGUAGES = {"en": "English", "zh": "中文"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each kind of run."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name in STORIES:
        story = getattr(stories, name)(folder / name / "events.jsonl")
        made[name] = write_html(build(read(story.tell()), story.catalogue), folder / f"{name}.html")
    return made


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    """A browser for all of these tests."""
    with browser.started() as opened:
        yield opened


@pytest.fixture(scope="module")
def plain_window() -> Iterator[Browser]:
    """A browser in which pages may not run scripts."""
    with browser.started(scripts=False) as opened:
        yield opened


kinds = pytest.mark.parametrize("kind", STORIES)
languages = pytest.mark.parametrize("language", LANGUAGES)

#: Text that can be seen, links and buttons, whatever is collapsed opened first.
SEEN = """
for (const each of document.querySelectorAll("details")) each.open = true;
return document.querySelector("main").innerText;
"""


@kinds
@languages
def test_no_script_errors(window: Browser, pages: dict[str, Path], kind: str, language: str) -> None:
    """Loading, choosing a language, following a link, filtering and printing write nothing to the console."""
    window.open(pages[kind]).read_in(language)
    window.js("location.hash = '#c-DS-02'; document.querySelector('#find-clause').value = 'proxy';")
    window.js("document.querySelector('#find-clause').dispatchEvent(new Event('input'))")
    window.js("dispatchEvent(new Event('beforeprint'))")
    assert window.complaints() == []


@kinds
@languages
def test_without_scripts_nothing_is_missing(
    window: Browser, plain_window: Browser, pages: dict[str, Path], kind: str, language: str
) -> None:
    """The same text can be read as with scripts, but for the search, which is of no use then."""
    # A script of the driver runs in either: only the page's own are forbidden.
    with_scripts = window.open(pages[kind]).read_in(language).js(SEEN)
    window.js("document.querySelector('.filter').remove()")
    with_scripts = window.js(SEEN)
    assert plain_window.open(pages[kind]).js("return document.documentElement.className") == ""
    without = plain_window.read_in(language).js(SEEN)
    assert without.split() == with_scripts.split()
    assert len(without) > 5_000


@kinds
@languages
def test_only_the_chosen_language_is_seen(
    window: Browser, pages: dict[str, Path], kind: str, language: str
) -> None:
    """No word of the other one, but names and excerpts."""
    window.open(pages[kind]).read_in(language)
    assert window.js("return document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
    hidden = {"en": ":lang(zh)", "zh": "[lang=en]"}[language]
    shown = window.js(
        "return [...document.querySelector('.page').querySelectorAll(arguments[0])]"
        ".filter(each => each !== document.documentElement && each.checkVisibility())"
        ".map(each => each.outerHTML.slice(0, 99))",
        hidden,
    )
    assert shown == []


@kinds
@pytest.mark.parametrize(
    ("language", "dark"),
    [("en", False), ("en", True), ("zh", False), ("zh", True)],
    ids=["en-light", "en-dark", "zh-light", "zh-dark"],
)
@pytest.mark.skipif(not NODE_MODULES.is_dir(), reason=f"axe-core is not here: {NODE_PACKAGES}")
def test_axe_finds_nothing_serious(
    window: Browser, pages: dict[str, Path], kind: str, language: str, dark: bool
) -> None:
    """Contrast, names, roles, landmarks, headings: by the rules of WCAG 2.2 AA and axe's own practice."""
    window.open(pages[kind], dark=dark).read_in(language)
    if kind != "matrix":
        # Ten versions opened in full take axe a minute, and show what two do.
        window.js("for (const each of document.querySelectorAll('details')) each.open = true")
    assert window.axe() == []


@pytest.mark.skipif(not NODE_MODULES.is_dir(), reason=f"axe-core is not here: {NODE_PACKAGES}")
def test_axe_would_find_something(window: Browser, pages: dict[str, Path]) -> None:
    """Grey on white and a button without a name are found."""
    window.open(pages["passing"])
    window.js(
        "document.querySelector('main').insertAdjacentHTML('beforeend',"
        " '<p style=\"color:#bbb;background:#fff\">pale</p><button></button>')"
    )
    assert {each.split(" ")[0] for each in window.axe()} >= {"color-contrast", "button-name"}


@kinds
@pytest.mark.parametrize("size", [DESKTOP, NARROW], ids=["desktop", "narrow"])
@languages
def test_nothing_sticks_out_of_the_window(
    window: Browser, pages: dict[str, Path], kind: str, size: tuple[int, int], language: str
) -> None:
    """What is wider scrolls by itself; the page never does sideways."""
    window.open(pages[kind], size=size).read_in(language)
    window.js("for (const each of document.querySelectorAll('details')) each.open = true")
    assert window.js("return document.documentElement.scrollWidth") <= size[0]


def test_the_full_matrix_fits_a_desktop(window: Browser, pages: dict[str, Path]) -> None:
    """Twenty cells stand beside their clauses without scrolling."""
    window.open(pages["matrix"])
    wide, room = window.js(
        "const box = document.querySelector('table.matrix').parentElement; return [box.scrollWidth, box.clientWidth]"
    )
    assert wide <= room


@languages
def test_the_keyboard_leads_everywhere(window: Browser, pages: dict[str, Path], language: str) -> None:
    """Tab walks through all that can be used, in the order of reading, each with a focus that can be seen."""
    from selenium.webdriver.common.keys import Keys

    window.open(pages["failing"]).read_in(language)
    window.js("document.activeElement.blur(); scrollTo(0, 0)")
    wanted = window.js(
        """
        const usable = "a[href], button, input, summary, [tabindex='0']";
        let number = 0;
        const group = new Set();
        for (const each of document.querySelectorAll(usable)) {
          if (!each.checkVisibility({contentVisibilityAuto: true})) continue;
          if (each.type === "radio") { if (group.has(each.name)) continue; group.add(each.name); }
          each.dataset.order = ++number;
        }
        for (const each of document.querySelectorAll("input.language")) each.dataset.order = 1;
        return number;
        """
    )
    walked: list[int] = []
    for _ in range(wanted):
        window.press(Keys.TAB)
        order, ring = window.js(
            """
            const at = document.activeElement, style = getComputedStyle(at);
            const label = document.querySelector(`label[for="${at.id}"]`);
            const shown = at.matches("input.language") ? getComputedStyle(label) : style;
            return [Number(at.dataset.order || 0), shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) > 1];
            """
        )
        walked.append(order)
        assert ring, f"nothing shows that element {order} has the focus"
    assert walked == list(range(1, wanted + 1))
    assert wanted > 100


def test_the_keyboard_does_the_work(window: Browser, pages: dict[str, Path]) -> None:
    """Language, skip link, evidence and filter answer to keys alone."""
    from selenium.webdriver.common.keys import Keys

    window.open(pages["failing"])
    window.press(Keys.TAB, Keys.ARROW_RIGHT)
    assert window.js("return document.documentElement.lang") == "zh-CN"
    window.press(Keys.ARROW_LEFT, Keys.TAB, Keys.ENTER)
    assert window.js("return [document.documentElement.lang, location.hash]") == ["en", "#main"]
    window.js("document.querySelector('article.clause summary').focus()")
    window.press(Keys.ENTER)
    assert window.js("return document.activeElement.parentElement.open") is True
    window.js("document.querySelector('.filter button[data-status=failed]').focus()")
    window.press(Keys.SPACE)
    left = window.js(
        "return [...document.querySelectorAll('article.clause:not([hidden])')].map(each => each.id)"
    )
    assert left == ["c-PORT-02", "c-DS-02"]


def test_a_cell_of_the_matrix_leads_to_its_evidence(window: Browser, pages: dict[str, Path]) -> None:
    """Also to a clause that the filter hides."""
    window.open(pages["failing"])
    window.js("document.querySelector('.filter button[data-status=passed]').click()")
    window.js("document.querySelector('a.s.failed[href=\"#r-DS-02-1.22-bootstrap\"]').click()")
    assert window.js("return document.getElementById('c-DS-02').hidden") is False
    top = window.js("return document.getElementById('r-DS-02-1.22-bootstrap').getBoundingClientRect().top")
    assert 0 <= top < DESKTOP[1]


@kinds
@languages
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext (Debian: poppler-utils)")
def test_it_prints_on_a4(
    window: Browser, pages: dict[str, Path], tmp_path: Path, kind: str, language: str
) -> None:
    """Every sheet is A4, has its number, is not nearly empty, and no word reaches into the margin."""
    sheets = printed(window.open(pages[kind]).read_in(language).pdf(), tmp_path)
    text = "".join(word.text for sheet in sheets for word in sheet.words)
    for wanted in {
        "en": ["Clausebyclause", "Whatthisrundoesnotprove", "CLEAN-03", "Integrity"],
        "zh": ["逐条结果", "本次运行不能说明什么", "CLEAN-03", "完整性"],
    }[language]:
        assert wanted in text
    for number, sheet in enumerate(sheets, 1):
        assert (round(sheet.width / POINTS), round(sheet.height / POINTS)) == (210, 297)
        outside = [
            word
            for word in sheet.words
            if word.left < MARGIN - GRACE or word.right > sheet.width - MARGIN + GRACE
        ]
        assert outside == [], f"sheet {number}"
        assert "".join(word.text for word in sheet.words).endswith(f"{number}/{len(sheets)}")
        assert len(sheet.words) > 20 or number == len(sheets), f"sheet {number} is nearly empty"


#: Points in a millimetre, and the margin beside the text, in points (15 mm).
POINTS = 72 / 25.4
MARGIN = 15 * POINTS
#: By so many points a word may be reckoned wider than it is drawn.
GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Word:
    """A word on a sheet; its edges in points from the sheet's left."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """A printed page; width and height in points."""

    width: float
    height: float
    words: tuple[Word, ...]


def printed(document: bytes, folder: Path) -> list[Sheet]:
    """The sheets of a PDF, as poppler reads them; Chinese as it was typed, and not by its radicals."""
    (folder / "printed.pdf").write_bytes(document)
    command = ["pdftotext", "-bbox", str(folder / "printed.pdf"), "-"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    space = "{http://www.w3.org/1999/xhtml}"
    return [
        Sheet(
            float(page.attrib["width"]),
            float(page.attrib["height"]),
            tuple(
                Word(
                    unicodedata.normalize("NFKC", word.text or ""),
                    float(word.attrib["xMin"]),
                    float(word.attrib["xMax"]),
                )
                for word in page.iter(f"{space}word")
            ),
        )
        for page in ET.fromstring(told).iter(f"{space}page")  # noqa: S314  (our own document)
    ]


def test_tables_fit_the_sheet(window: Browser, pages: dict[str, Path]) -> None:
    """No table, picture or excerpt is wider than the 180 mm between the margins: it would be cut off."""
    sheet = round(180 / 25.4 * 96)
    for kind in ("matrix", "failing"):
        window.open(pages[kind], size=(sheet, 1000))
        window.command("Emulation.setEmulatedMedia", media="print")
        window.js("dispatchEvent(new Event('beforeprint'))")
        wide = window.js(
            "return [...document.querySelectorAll('table, svg, pre, dl, article, section')]"
            ".filter(each => each.checkVisibility() && each.getBoundingClientRect().right > arguments[0] + 1)"
            ".map(each => each.outerHTML.slice(0, 99))",
            sheet,
        )
        assert wide == [], kind
        window.command("Emulation.setEmulatedMedia", media="")
