# SPDX-License-Identifier: Apache-2.0
"""The device's page in a real browser: it shows what the device says, and goes on showing it."""
import json
import urllib.parse
import urllib.request

import pytest
from browser import Browser
from qemu import Qemu


@pytest.fixture(scope="module")
def machine():
    with Qemu("web", net=True) as machine:
        machine.expect("web: listening")
        yield machine


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def url_of(machine):
    return f"http://127.0.0.1:{machine.port()}/"


def load(browser, machine, **window):
    browser.problems.clear()
    browser.requested.clear()
    browser.open(url_of(machine), **window)
    browser.wait("document.querySelector('#live.yes') !== null && last !== null")


def test_values_are_live(browser, machine):
    load(browser, machine)
    for _ in range(3):
        before = browser.value("[last.uptime_s, last.http.requests]")
        browser.wait(f"last.uptime_s > {before[0]} && last.http.requests > {before[1]}")
    shown = browser.text("uptime")
    browser.wait(f"document.getElementById('uptime').innerText != {json.dumps(shown)}")
    assert browser.text("load").endswith("%")
    assert browser.value("document.querySelector('#load_spark path:not(.area)').getAttribute('d').length") > 5
    assert browser.problems == []


def test_values_are_the_devices_own(browser, machine):
    load(browser, machine)
    with urllib.request.urlopen(url_of(machine) + "status.json") as answer:
        status = json.load(answer)
    assert browser.text("name") == status["image"]["name"]
    assert browser.text("version") == status["image"]["version"]
    assert browser.text("machine") == status["machine"]
    assert browser.text("reset") == status["reset_reason"]
    assert status["image"]["build_id"] in browser.text("image")
    assert browser.text("address") == "10.0.2.15"
    names = browser.value("[...document.querySelectorAll('#threads .name')].map(e => e.innerText)")
    assert names == [t["name"] for t in status["threads"]]
    bars = browser.value("[...document.querySelectorAll('#threads .bar i')].map(e => e.offsetWidth)")
    assert len(bars) == len(names) and all(width > 0 for width in bars)
    assert browser.text("used").endswith("iB") and "of" in browser.text("total")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_the_screen(browser, machine, width, dark):
    load(browser, machine, width=width, dark=dark)
    assert browser.value("document.documentElement.scrollWidth") <= width
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 150) == dark


def test_it_asks_nobody_else(browser, machine):
    load(browser, machine)
    browser.wait("last.http.requests > 3")
    hosts = {urllib.parse.urlsplit(u).netloc for u in browser.requested if u.startswith("http")}
    assert hosts == {f"127.0.0.1:{machine.port()}"}
    assert browser.problems == []


def test_it_says_when_the_device_is_gone(browser):
    with Qemu("web", net=True) as machine:
        machine.expect("web: listening")
        load(browser, machine)
        machine.stop()
        browser.wait("document.querySelector('#live.no') !== null")
        assert "silent" in browser.text("live")
