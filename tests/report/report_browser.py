"""A headless browser without a network, for tests that look at a report."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # Whatever the page asks of a network fails and then shows in the console.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--window-size=1280,900",
)


def require_browser() -> None:
    """Skip the test without a browser, or fail if GREENSHIFT_REQUIRE_BROWSER says that there must be one."""
    missing = [path for path in (CHROMIUM, DRIVER) if shutil.which(path) is None]
    try:
        import selenium  # noqa: F401
    except ImportError:
        missing.append("selenium")
    if missing and os.environ.get("GREENSHIFT_REQUIRE_BROWSER") == "1":
        pytest.fail(f"no browser: {', '.join(missing)} missing")
    if missing:
        pytest.skip(f"no browser: {', '.join(missing)} missing")


@contextmanager
def browser(profile: Path, dark: bool = False) -> Iterator[Any]:
    """Start Chromium with an empty profile folder.

    Args:
        profile: Folder that does not exist yet.
        dark: Prefer a dark theme.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    try:
        if dark:
            feature = {"name": "prefers-color-scheme", "value": "dark"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        yield driver
    finally:
        driver.quit()


def open_report(driver: Any, path: Path) -> None:
    """Load a report and wait until its plots are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(path.as_uri())
    WebDriverWait(driver, 30).until(lambda d: d.execute_script("return document.body.dataset.drawn"))


def screenshot(driver: Any, path: Path) -> None:
    """Write a picture of the whole page."""
    import base64

    size = driver.execute_script("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))
