"""A sentence in the two languages of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Text:
    """The same sentence in English and in Chinese."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """The sentence in *language*."""
        return self.zh if language == "zh" else self.en

    def as_dict(self) -> dict[str, str]:
        """``{"en": ..., "zh": ...}``, as the ledger and the report carry it."""
        return {"en": self.en, "zh": self.zh}
