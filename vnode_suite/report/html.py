"""``report.html``: one file, complete without scripts and without a network, in both languages."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vnode_suite.model import Language, Text
from vnode_suite.report.figures import LANES, ready_chart, timeline
from vnode_suite.report.html_view import view
from vnode_suite.report.terminal import STATUS_NAMES
from vnode_suite.report.types import Report

#: Letter of each status; its shape is in the style sheet.
LETTERS = {
    "passed": "P",
    "failed": "F",
    "could-not-run": "C",
    "error": "E",
    "info": "I",
    "not-applicable": "–",
    "out-of-scope": "O",
    "excluded": "X",
}


def bilingual(text: Text | None) -> Markup:
    """Both languages, each marked as what it is; the style sheet shows the one that was chosen."""
    if text is None:
        return Markup("")
    if text.en == text.zh:
        return _marked_up(text.en)
    return Markup('<span lang="en">{}</span><span lang="zh-CN">{}</span>').format(
        _marked_up(text.en), _marked_up(text.zh)
    )


_CODE = re.compile(r"`([^`\n]+)`")


def _marked_up(sentence: str) -> Markup:
    """A sentence with what stands between backticks set as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(sentence))))  # noqa: S704  (escaped before)


def phrase(english: str, chinese: str) -> Markup:
    """A phrase of the page itself."""
    return bilingual(Text(english, chinese))


def when(at: str) -> str:
    """A time as a person reads it, in UTC."""
    return f"{at[:10]} {at[11:19]} UTC" if len(at) >= 19 else at


def size(amount: float) -> str:
    """Bytes in MiB."""
    return f"{amount / 2**20:.0f} MiB"


def letters(name: str) -> str:
    """Letters, digits and dashes of *name*: what may stand in a style sheet's string as it is."""
    return re.sub(r"[^\w.-]", "", name)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vnode_suite.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(
        L=phrase,
        t=bilingual,
        letters=LETTERS,
        status_names=STATUS_NAMES,
        lanes=dict(LANES),
        timeline=timeline,
    )
    environment.filters.update(when=when, size=size, letters=letters)
    return environment


@functools.cache
def _asset(name: str) -> str:
    return (resources.files("vnode_suite.report") / "templates" / name).read_text(encoding="utf-8")


def prepare() -> None:
    """Compile the templates, which takes half a second: for whoever has to wait for something else anyway."""
    environment = _environment()
    for name in environment.list_templates(extensions=["j2"]):
        environment.get_template(name)


def render_html(report: Report, language: Language | None = None) -> str:
    """The page.

    :param language: shown first; the run's own by default. The other one is a click away.
    """
    shown: Any = language or report.run.language
    style, script = _asset("report.css"), _asset("report.js")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            v=view(report),
            r=report,
            language=shown if shown in ("en", "zh") else "en",
            style=Markup(style),  # noqa: S704  (our own file)
            script=Markup(script),  # noqa: S704  (our own file)
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            chart=ready_chart(report.cells),
        )
    )


def write_html(report: Report, path: Path, language: Language | None = None) -> Path:
    """Write ``report.html`` to *path*."""
    path.write_text(render_html(report, language), encoding="utf-8")
    return path
