"""The summary at the end of a run: the verdict and what matters of it, on one screen."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Mapping
from typing import TextIO

from vnode_suite.model import Grade, Language, Level, Result, Status, Text
from vnode_suite.report.types import Report, Row

#: A screen, where the terminal does not tell its size: columns and lines.
SCREEN = (100, 24)

_STYLES = {"red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36", "dim": "2", "bold": "1"}
_COLOURS = {
    Result.CONFORMANT: "green",
    Result.REJECTED: "red",
    Result.INCOMPLETE: "yellow",
    Result.INTERRUPTED: "yellow",
    Result.ERROR: "magenta",
}
#: Said even where colour is off.
_RESULTS = {
    Result.CONFORMANT: Text("CONFORMANT", "符合"),
    Result.REJECTED: Text("REJECTED", "不予验收"),
    Result.INCOMPLETE: Text("INCOMPLETE", "不完整"),
    Result.INTERRUPTED: Text("INTERRUPTED", "已中断"),
    Result.ERROR: Text("ERROR", "框架出错"),
}
_ORDER = ("passed", "failed", "could-not-run", "error", "info", "not-applicable", "out-of-scope", "excluded")
STATUS_NAMES: Mapping[str, Text] = {
    "passed": Text("passed", "通过"),
    "failed": Text("failed", "未通过"),
    "could-not-run": Text("could not run", "无法执行"),
    "error": Text("error", "框架出错"),
    "info": Text("info", "仅记录"),
    "not-applicable": Text("not applicable", "不适用"),
    "out-of-scope": Text("out of scope", "范围之外"),
    "excluded": Text("excluded", "无法观测"),
}


def colour_wanted(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour what is written to *stream*: a terminal, and the user did not say NO_COLOR."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def summary(
    report: Report,
    language: Language = "en",
    *,
    width: int | None = None,
    height: int | None = None,
    colour: bool = False,
    where: str = "",
) -> str:
    """The summary as text, no longer than a screen.

    :param width: columns; the terminal's own, else 100.
    :param height: lines; the terminal's own, else 24.
    :param where: folder of the report, to be shown.
    """
    screen = shutil.get_terminal_size(SCREEN)
    return _Summary(report, language, width or screen.columns, height or screen.lines, colour).text(where)


class _Summary:
    def __init__(self, report: Report, language: Language, width: int, height: int, colour: bool) -> None:
        self._report = report
        self._language: Language = language
        self._width = max(40, width)
        self._height = max(12, height)
        self._colour = colour

    def text(self, where: str) -> str:
        head = [*self._verdict(), *self._wrapped(self._say(self._report.verdict.scope)), "", self._counts()]
        tail = [self._clip(line) for line in (self._controls(), self._cleanup(), self._where(where)) if line]
        # One line is kept free for the shell's prompt.
        room = self._height - len(head) - len(tail) - 2
        return "\n".join([*head, *self._middle(room), *tail])

    def _say(self, text: Text) -> str:
        return text.of(self._language)

    def _paint(self, text: str, *styles: str) -> str:
        if not self._colour or not text:
            return text
        codes = ";".join(_STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def _verdict(self) -> list[str]:
        verdict = self._report.verdict
        name = self._say(_RESULTS[verdict.result])
        grade = verdict.evidence.value if verdict.evidence else "-"
        facts = Text(
            f"  exit {verdict.exit_status} · evidence {grade}",
            f"  退出码 {verdict.exit_status} · 证据 {grade}",
        )
        line = self._paint(name, "bold", _COLOURS[verdict.result]) + self._paint(self._say(facts), "dim")
        return [line, *self._wrapped(self._say(self._accepted()))]

    def _accepted(self) -> Text:
        verdict = self._report.verdict
        if verdict.accepted:
            return Text("Accepted.", "予以验收。")
        if verdict.evidence is not Grade.LIVE:
            return Text(
                "Nothing was accepted: this run did not meet the live ECI service.",
                "本次运行未对接真实 ECI 服务，不构成任何验收。",
            )
        return Text(
            "Not accepted: that needs a conformant run of all clauses, profile standard or more.",
            "未予验收：验收要求覆盖全部条款、档位为 standard 或以上且结论为符合。",
        )

    def _counts(self) -> str:
        counts = self._report.verdict.counts
        shown = [f"{counts[name]} {self._say(STATUS_NAMES[name])}" for name in _ORDER if counts.get(name)]
        return self._clip(" · ".join(shown) or self._say(Text("nothing was judged", "没有任何判定")))

    def _middle(self, room: int) -> list[str]:
        failed = [row for row in self._report.results if row.status is Status.FAILED]
        failed.sort(key=lambda row: (row.level is not Level.MUST, row.waiver is not None))
        reasons = [f"- {self._say(reason)}" for reason in self._report.verdict.reasons]
        blocks = [self._wrapped(reason, indent=2) for reason in reasons]
        blocks += [self._failure(row) for row in failed]
        lines: list[str] = []
        for number, block in enumerate(blocks):
            if len(lines) + len(block) > room - 1:
                more = len(blocks) - number
                lines.append(
                    self._paint(
                        self._say(Text(f"  … {more} more in the report", f"  … 另有 {more} 项见报告")), "dim"
                    )
                )
                break
            lines += block
        return lines

    def _failure(self, row: Row) -> list[str]:
        mark = self._paint("x", "bold", "red" if row.level is Level.MUST and not row.waiver else "yellow")
        actual = self._say(row.actual) if row.actual else row.reason
        lines = [f"{mark} " + self._clip(f"{row.clause} {row.cell}: {actual}", 2)]
        if row.remedy:
            lines.append(self._paint("  " + self._clip(f"-> {self._say(row.remedy)}", 2), "dim"))
        return lines

    def _controls(self) -> str:
        controls = self._report.controls
        if not controls:
            return ""
        caught = sum(control.caught for control in controls)
        return self._say(
            Text(
                f"negative controls: {caught} of {len(controls)} caught",
                f"反例对照：{len(controls)} 项中识破 {caught} 项",
            )
        )

    def _cleanup(self) -> str:
        cleanup = self._report.cleanup
        if not cleanup.created:
            return ""
        return self._say(
            Text(
                f"cleanup: {len(cleanup.created)} created, {len(cleanup.deleted)} deleted,"
                f" {len(cleanup.left) + len(cleanup.unaccounted)} left",
                f"清理：创建 {len(cleanup.created)}，删除 {len(cleanup.deleted)}，"
                f"遗留 {len(cleanup.left) + len(cleanup.unaccounted)}",
            )
        )

    def _where(self, where: str) -> str:
        return f"{self._say(Text('report:', '报告：'))} {where}" if where else ""

    def _clip(self, text: str, taken: int = 0) -> str:
        text = " ".join(text.split())
        room = self._width - taken
        if columns(text) <= room:
            return text
        while text and columns(text) > room - 1:
            text = text[:-1]
        return text + "…"

    def _wrapped(self, text: str, indent: int = 0) -> list[str]:
        lines, line = [], ""
        for word in _words(text):
            if line.strip() and columns(line + word.rstrip()) > self._width:
                lines.append(line.rstrip())
                line = " " * indent
            line += word
        return [*lines, line.rstrip()]


def _words(text: str) -> list[str]:
    """Where a line may be broken: after a space, and around every wide character."""
    words, word = [], ""
    for character in text:
        word += character
        if character == " " or columns(character) == 2:
            words.append(word)
            word = ""
    return [*words, word] if word else words


def columns(text: str) -> int:
    """Columns that *text* takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
