"""A headless Chromium driven over its debugging pipe, for tests of the page; no driver and no library needed."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


class Browser:
    def __init__(self, width=1200, height=900):
        program = shutil.which("chromium") or shutil.which("google-chrome")
        if not program:
            raise FileNotFoundError("chromium")
        self.folder = tempfile.mkdtemp(prefix="hydro-browser-")
        self.number, self.waiting = 0, b""
        in_read, self.to = os.pipe()
        self.back, out_write = os.pipe()
        # The browser reads commands from descriptor 3 and writes answers to 4.
        in_copy, out_copy = os.dup2(in_read, 100), os.dup2(out_write, 101)
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", f"--user-data-dir={self.folder}", f"--window-size={width},{height}", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(["/bin/bash", "-c", 'exec "$@" 3<&100 4>&101 100<&- 101>&-', "-", *command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(in_copy, out_copy))
        for fd in (in_read, out_write, in_copy, out_copy):
            os.close(fd)
        target = self.call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        self.session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True}, session=None)["sessionId"]
        self.errors = []
        self.call("Runtime.enable")
        self.call("Page.enable")

    def message(self):
        while b"\0" not in self.waiting:
            data = os.read(self.back, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self.waiting += data
        text, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, parameters=None, session=""):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters or {}}
        if session is not None:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url):
        self.call("Page.navigate", {"url": url})

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        result = self.call("Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True})
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, script, seconds=20):
        end = time.monotonic() + seconds
        # Elements are not there before the page is.
        while not self.run(f"(() => {{ try {{ return {script} }} catch {{ return false }} }})()"):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {script}; the page shows:\n{self.run('document.body.innerText')}")
            time.sleep(0.05)

    def shot(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.folder, ignore_errors=True)
