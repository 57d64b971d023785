#!/usr/bin/env python3
"""Opens the status page in a headless Chromium, as an operator would, and prints what stands there as JSON.

  page.py http://127.0.0.1:8484/ --screenshot light.png --screenshot dark.png

`errors` has whatever the browser complained about: scripts that failed, what the page's policy refused, what could not be
loaded. The page is looked at until it has refreshed itself; something is unfolded before that, a command is copied, and
both have to survive. At last the network is taken away, which the page has to say.

Speaks the DevTools protocol through Chromium's pipe: only Python's standard library and `chromium` are needed.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

PATIENCE = 60  # seconds

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
]

READ = """({
  title: document.title,
  verdict: document.querySelector("h1").textContent,
  verdict_class: document.querySelector("main > header").className,
  halts: [...document.querySelectorAll(".halt")].map((halt) => ({
    place: halt.querySelector("h2").firstChild.textContent,
    message: halt.querySelector(".message").textContent,
    commands: [...halt.querySelectorAll("code")].map((code) => code.textContent),
    visible: halt.checkVisibility() && halt.getBoundingClientRect().top < innerHeight,
  })),
  jobs: [...document.querySelectorAll(".job")].map((job) => ({
    topic: job.querySelector(".topic").textContent,
    state: job.querySelector(".state").textContent,
    figures: Object.fromEntries([...job.querySelectorAll("dl > div")].map((figure) =>
      [figure.querySelector("dt").textContent, figure.querySelector("dd").textContent])),
    lines: [...job.querySelectorAll("path.line")].map((line) => line.getAttribute("d").length > 0),
  })),
  commits: document.querySelectorAll("table.commits tbody tr").length,
  wide: document.documentElement.scrollWidth - innerWidth,
})"""


class Browser:
    """Chromium with one page. Commands are answered in order; what happens meanwhile is kept in `events`."""

    def __init__(self, folder):
        chromium = shutil.which("chromium")
        if not chromium:
            raise SystemExit("chromium is not on this machine: run `make parts` as root, or install it")
        (to_read, self.to), (self.from_, to_write) = os.pipe(), os.pipe()
        # The browser reads commands from descriptor 3, and writes to 4; the copies keep these two apart.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}', chromium, *FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.events, self.number, self.session = b"", [], 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self):
        while b"\0" not in self.buffer:
            read = os.read(self.from_, 1 << 20)
            if not read:
                raise SystemExit("chromium has ended")
            self.buffer += read
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.to, json.dumps(command).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def run(self, script):
        """The value of a piece of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise SystemExit(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, what, script):
        deadline = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE} s in vain for: {what}\n{self.run('document.body.innerText')}")
            time.sleep(0.1)
        return value

    def errors(self):
        """What stands in the console, and what could not be loaded."""
        found = []
        for event in self.events:
            about = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(about["exceptionDetails"])
                case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                    found.append(about["entry"])
                case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                    found.append(about)
                case "Network.loadingFailed":
                    found.append(about)
                case "Network.responseReceived" if about["response"]["status"] >= 400:
                    found.append(about["response"])
        return found

    def outside(self):
        """Addresses of other hosts that the page asked for something."""
        asked = [event["params"]["request"]["url"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith((self.origin, "data:"))]

    def screenshot(self, file, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        paper = self.run("getComputedStyle(document.body).backgroundColor")
        image = base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
        with open(file, "wb") as to:
            to.write(image)
        return {"scheme": scheme, "paper": paper, "bytes": len(image)}


def look(browser, options):
    browser.origin = options.url
    for domain in "Page", "Runtime", "Log", "Network":
        browser.call(f"{domain}.enable")
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Page.navigate", url=options.url)
    browser.until("the page", 'document.readyState === "complete" && !!document.querySelector("main")')
    browser.until(options.until, f"document.querySelector('main').innerText.includes({json.dumps(options.until)})")

    seen = browser.run(READ)
    seen["copied"] = None
    if any(halt["commands"] for halt in seen["halts"]):
        browser.run("document.querySelector('.command button').click()")
        browser.until("a copied command", "document.querySelector('.command button').textContent === 'Copied'")
        seen["copied"] = browser.run("navigator.clipboard.readText()")
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = !each.open })")
    unfolded = "[...document.querySelectorAll('#jobs details')].map((each) => each.open).join()"
    before = browser.run(unfolded)
    browser.run("window.first = document.querySelector('main time:last-of-type').textContent")
    browser.until("the page refreshed", "document.querySelector('main time:last-of-type').textContent !== window.first")
    seen["kept"] = browser.run(unfolded) == before

    schemes = ["light", "dark"]
    seen["screenshots"] = [browser.screenshot(file, scheme) for file, scheme in zip(options.screenshot, schemes)]
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    seen["wide_on_a_phone"] = browser.run("document.documentElement.scrollWidth - innerWidth")
    seen["errors"], seen["outside"] = browser.errors(), browser.outside()

    browser.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    browser.until("word that nothing answers", "!document.getElementById('stale').hidden")
    seen["stale"] = browser.run("document.getElementById('stale').textContent")
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--until", default="", help="text to wait for")
    parser.add_argument("--screenshot", action="append", default=[], help="a file, first in light, then in dark")
    options = parser.parse_args()
    # Chromium's helpers write to the profile until they have ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(folder)
        try:
            print(json.dumps(look(browser, options)))
        finally:
            browser.process.terminate()
            browser.process.wait(PATIENCE)


if __name__ == "__main__":
    main()
