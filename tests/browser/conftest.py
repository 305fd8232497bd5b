"""A real browser, Debian's Chromium, that the tests drive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from tests.helpers.peers import PROGRAM_LIMIT


def pytest_itemcollected(item: pytest.Item) -> None:
    """A browser takes its time."""
    item.add_marker(pytest.mark.limit(2 * PROGRAM_LIMIT))


class Browser:
    """Chromium. What is asked of it blocks one greenlet, and no other."""

    def __init__(self) -> None:
        self._pool = gevent.get_hub().threadpool
        self._driver: Any = self._pool.apply(_start)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function with the driver, in a thread."""
        return self._pool.apply(function, (self._driver, *args))

    def open(self, url: str, width: int = 1280, height: int = 860, dark: bool = False) -> None:
        """Open a page in a window of this size."""
        self.call(_open, url, width, height, dark)

    def script(self, text: str, *args: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.call(lambda driver: driver.execute_script(text, *args))

    def wait_for(self, text: str, *args: Any) -> Any:
        """Wait until a piece of JavaScript returns something true."""
        while not (found := self.script(text, *args)):
            gevent.sleep(0.05)
        return found

    def text(self, selector: str) -> str:
        """The text of the first element."""
        found: str = self.script("return document.querySelector(arguments[0]).innerText", selector)
        return found

    def click(self, selector: str) -> None:
        """Click on the first element."""
        self.call(lambda driver: driver.find_element("css selector", selector).click())

    def type(self, selector: str, text: str) -> None:
        """Type into the first element, in the place of what is there."""
        self.call(_type, selector, text)

    def complaints(self) -> list[str]:
        """What the page has done wrong since the last time."""
        logged = self.call(lambda driver: driver.get_log("browser"))
        return [each["message"] for each in logged]

    def screenshot(self, path: str) -> None:
        """Write what is seen to a file."""
        assert self.call(lambda driver: driver.save_screenshot(path))

    def close(self) -> None:
        self.call(lambda driver: driver.quit())


def _start() -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for each in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
        "--hide-scrollbars", "--no-first-run", "--proxy-server=direct://",
        "--disable-background-networking",
    ):  # fmt: skip
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def _open(driver: Any, url: str, width: int, height: int, dark: bool) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(url)


def _type(driver: Any, selector: str, text: str) -> None:
    field = driver.find_element("css selector", selector)
    field.clear()
    field.send_keys(text)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests; they are skipped where there is none."""
    pytest.importorskip("selenium", reason="the group of dependencies called browser has it")
    if os.environ.get("GNET_TEST_PATCHED") == "1":
        pytest.skip("what drives the browser blocks, in a thread of its own")
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("neither chromium nor chromium-driver is installed")
    made = Browser()
    try:
        yield made
    finally:
        made.close()
