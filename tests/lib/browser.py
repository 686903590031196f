# SPDX-License-Identifier: Apache-2.0
"""A real browser, headless Chromium, spoken to over its debugging pipe.

    with Browser() as browser:
        browser.open("http://localhost:8080/")
        browser.wait("document.title != ''")
"""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

DEADLINE_S = 90
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"]


class Browser:
    """problems: what the page complained about (exceptions, console errors, failed requests)."""

    def __init__(self):
        self.problems, self.requested = [], []
        self._number, self._buffer = 0, b""

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="pith-browser-")
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4; above 9 nothing is in
        # their way.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands, answers)]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{high[0]} 4>&{high[1]}', "bash", "chromium", *FLAGS,
             f"--user-data-dir={self._folder}"],
            pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (commands, answers, *high):
            os.close(fd)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target,
                                   flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *exception):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if ready else b""
            assert chunk, "the browser does not answer"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _event(self, message):
        method, p = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(p["exceptionDetails"].get("text", "exception"))
        elif method == "Log.entryAdded" and p["entry"]["level"] == "error":
            self.problems.append(f"{p['entry']['text']} {p['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requested.append(p["request"]["url"])

    def _call(self, method, session=None, **parameters):
        self._number += 1
        number, deadline = self._number, time.monotonic() + DEADLINE_S
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive(deadline)).get("id") != number:
            self._event(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def call(self, method, **parameters):
        """One command of the DevTools protocol to the page."""
        return self._call(method, self._session, **parameters)

    def open(self, url, width=390, height=844, dark=False):
        """Load a page in a window of this size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """What a JavaScript expression is in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def text(self, element_id):
        return self.value(f"document.getElementById({json.dumps(element_id)})?.innerText")

    def wait(self, expression, timeout_s=DEADLINE_S):
        """Wait until a JavaScript expression is true; its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.value(expression)):
            assert time.monotonic() < deadline, f"never {expression}. Problems: {self.problems}"
            time.sleep(0.1)
        return value

    def screenshot(self, path):
        """The whole page, as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
