"""Chromium without a screen, driven over WebDriver."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

NEEDED = "needs Chromium (apt install chromium chromium-driver)"


class NoChromium(Exception):
    """There is no Chromium, or no driver for it. The message says what is missing."""


@contextlib.contextmanager
def chromium(width: int, height: int, *, load_strategy: str = "normal") -> Iterator[Any]:
    """A window of this size in pixels, closed at the end. Raises NoChromium.

    `load_strategy` is WebDriver's: what a navigation waits for.
    """
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        raise NoChromium(NEEDED)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.page_load_strategy = load_strategy
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--window-size={width},{height}",
    ):
        options.add_argument(flag)
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


def look(window: Any, width: int, height: int, *, dark: bool = False) -> None:
    """Give the page this size in CSS pixels, also one of a phone, and a colour scheme."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
