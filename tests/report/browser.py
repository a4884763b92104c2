"""A real Chromium for the tests of the page, and what they take from npm.

Chromium and its driver are the system's (Debian: ``chromium``, ``chromium-driver``); Selenium's own manager,
which would download others, is never asked.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NODE_MODULES = Path(__file__).parent / "node_modules"
#: What a test says that needs a package of npm.
NODE_PACKAGES = "npm ci --prefix tests/report"
#: What it says that needs the browser.
BROWSER = "no chromium and chromedriver, or no selenium"

#: A window of a desktop and of a telephone: CSS pixels.
DESKTOP = (1280, 900)
NARROW = (390, 844)


def chromium() -> str | None:
    """Path of the browser; None where it, its driver or Selenium is missing."""
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        return None
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return found if shutil.which("chromedriver") else None


class Browser:
    """One window. What the page wrote to the console is kept by the driver."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(
        self, page: Path, *, fragment: str = "", dark: bool = False, size: tuple[int, int] = DESKTOP
    ) -> Browser:
        """Load *page* anew, in a window of *size*."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            # A link leads at once where it leads.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.command("Emulation.setEmulatedMedia", media="", features=features)
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri() + fragment)
        return self

    def command(self, name: str, **given: Any) -> dict[str, Any]:
        """A command of the Chrome DevTools protocol."""
        return dict(self.driver.execute_cdp_cmd(name, given) or {})

    def js(self, script: str, *arguments: Any) -> Any:
        """What *script* (a function's body) returns; it runs beside the page, whatever the page forbids itself."""
        return self.driver.execute_script(script, *arguments)

    def read_in(self, language: str) -> Browser:
        """Choose a language as a reader does."""
        self.js(f"document.getElementById('show-{language}').click()")
        return self

    def complaints(self) -> list[str]:
        """Errors and warnings of the console."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def axe(self) -> list[str]:
        """What axe-core finds to be serious or critical: rule, impact and the first places."""
        self.js((NODE_MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
            ".then(found => done(JSON.stringify(found.violations)), error => done(JSON.stringify([{id: String(error),"
            " impact: 'critical', nodes: []}])));"
        )
        return [
            f"{each['id']} ({each['impact']}): {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in json.loads(found)
            if each["impact"] in ("serious", "critical")
        ]

    def pdf(self) -> bytes:
        """The page as it prints, on the paper that it asks for."""
        printed = self.command("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(printed["data"])


@contextmanager
def started(*, scripts: bool = True) -> Iterator[Browser]:
    """A headless browser that is ended with the block.

    :param scripts: whether pages may run theirs.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium())
    # Without a sandbox: CI may be root, and the page is our own. Without a network: it must need none.
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
    ):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    # axe takes the matrix of ten versions within seconds, or within minutes on a machine that is busy.
    driver.set_script_timeout(300)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
