#!/usr/bin/python3
"""Checks the page of serve.py in Chromium: not a part of ./test, because it needs a browser.

    check_page.py [--pictures DIR] ADDRESS

ADDRESS is that of a service that is running on a folder with documents and a model, such as http://127.0.0.1:8080. The
page is used as a person does: a question is typed, a section chosen, a like one asked for, an error provoked; at the
width of a desk and of a phone, light and dark. It must show the answers, keep within the window, name all controls for
a screen reader, and leave no error in the console. DIR receives pictures. Needs Debian's chromium and chromium-driver.
"""

import argparse
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

WAIT_SECONDS = 30.0
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # of the WebDriver specification
DESK, PHONE = (1000, 760, 1), (360, 740, 2)  # width, height, device pixels per pixel
QUESTION = "draw maps of the sea"


class Browser:
    """A session of WebDriver (https://www.w3.org/TR/webdriver2/)."""

    def __init__(self, driver, profile):
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--user-data-dir={profile}"]  # fmt: skip
        wishes = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments},
                  "goog:loggingPrefs": {"browser": "ALL"}}  # fmt: skip
        self._driver = driver
        made = self._send("POST", f"{driver}/session", {"capabilities": {"alwaysMatch": wishes}})
        self._session = f"{driver}/session/{made['sessionId']}"

    @staticmethod
    def _send(method, address, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"the browser refused {address}: {error.read().decode()[:1000]}") from None

    def call(self, method, path, body=None):
        return self._send(method, self._session + path, body)

    def close(self):
        self._send("DELETE", self._session)

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": arguments})

    def command(self, name, **parameters):
        """A command of Chromium's own protocol."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def type(self, selector, text):
        element = self.find(selector)
        self.call("POST", f"/element/{element}/clear", {})
        self.call("POST", f"/element/{element}/value", {"text": text})

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def label(self, selector):
        return self.call("GET", f"/element/{self.find(selector)}/computedlabel")

    def wait(self, what, script, *arguments):
        until = time.monotonic() + WAIT_SECONDS
        while not self.run(script, *arguments):
            if time.monotonic() > until:
                raise SystemExit(f"FAILED: {what}; the page says: {self.run('return document.body.innerText')[:800]}")
            time.sleep(0.05)
        print(f"ok: {what}")

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def show_as(self, size, scheme):
        width, height, scale = size
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                     mobile=size is PHONE)  # fmt: skip
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


@contextlib.contextmanager
def browser():
    """A headless Chromium, which ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["chromedriver", f"--port={port}", "--silent"]
    # Chromium may still write to its folder after it was ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            found = Browser(f"http://127.0.0.1:{port}", profile)
            try:
                yield found
            finally:
                found.close()
        finally:
            driver.terminate()
            driver.wait()


RESULTS = "const names = [...document.querySelectorAll('#results .name')].map((one) => one.textContent); "
SECTIONS = "const sections = [...document.querySelectorAll('#results .tag')].map((one) => one.textContent); "


def check(page, address, pictures):
    page.show_as(DESK, "light")
    page.call("POST", "/url", {"url": address})
    page.wait("the facts are shown", "return /documents in \\d+ shards?, epoch \\d+/.test(document.body.innerText)")
    for control in ("#question", "#section", "#k", "#ef", "button.go"):
        if not page.label(control):
            raise SystemExit(f"FAILED: {control} has no name for a screen reader")
    page.type("#question", QUESTION + "\ue007")  # Enter
    page.wait("ten results are shown", RESULTS + "return names.length === 10")
    page.wait("times are shown", "return /embedded in .* ms, searched in .* ms/.test(document.body.innerText)")
    page.wait("scores fall", "const scores = [...document.querySelectorAll('#results meter')].map((one) => one.value);"
              "return scores.length === 10 && scores.every((one, i) => i === 0 || one <= scores[i - 1])")  # fmt: skip
    pictured(page, pictures, "serve.png")
    section = page.run(SECTIONS + "return sections[0]")
    page.click("#results .tag")
    page.wait(f"only the section {section} is found", SECTIONS + "return sections.length > 0 && "
              "sections.every((one) => one === arguments[0])", section)  # fmt: skip
    page.type("#k", "3\ue007")
    page.wait("three results are shown", RESULTS + "return names.length === 3")
    page.run("location.reload()")
    page.wait("the address keeps the question", RESULTS + "return names.length === 3 && "
              "document.querySelector('#section').value === arguments[0]", section)  # fmt: skip
    first = page.run(RESULTS + "return names[0]")
    page.click("#results .like")
    page.wait(f"what is like {first} is found", RESULTS + "return names.length === 3 && "
              "!names.includes(arguments[0])", first)  # fmt: skip
    page.type("#question", "like:no such thing\ue007")
    page.wait("an error is shown", "return /no such document/.test(document.querySelector('#status.bad')?.textContent)")
    check_looks(page, address, pictures)
    # A refusal of the service is a line in the console too: only those that were provoked may be there.
    bad = [one["message"] for one in page.call("POST", "/se/log", {"type": "browser"}) if one["level"] == "SEVERE"]
    bad = [message for message in bad if "/api/search" not in message or "404" not in message]
    if bad:
        raise SystemExit(f"FAILED: the console has {bad}")
    print("ok: the console has no error")


def check_looks(page, address, pictures):
    """The page at each size and in each scheme: nothing is wider than the window, and texts stand out."""
    for size, size_name in ((DESK, "desk"), (PHONE, "phone")):
        for scheme in ("light", "dark"):
            page.show_as(size, scheme)
            page.call("POST", "/url", {"url": f"{address}/?q={QUESTION.replace(' ', '+')}"})
            page.wait(f"{size_name}, {scheme}: results are shown", RESULTS + "return names.length === 10")
            page.wait("nothing is wider than the window", "return document.documentElement.scrollWidth <= innerWidth")
            page.wait("texts have a contrast of 4.5 or more", CONTRAST)
            pictured(page, pictures, f"serve-{size_name}-{scheme}.png")


# Contrast by WCAG 2.1 of every element that has text of its own, against the nearest ground that is painted.
CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const found = rgb(getComputedStyle(element).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('body *')].every((element) => {
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) return true;
  if (element.tagName === 'SCRIPT' || element.tagName === 'OPTION' || !element.offsetParent) return true;
  const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
  const good = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) >= 4.5;
  if (!good) console.warn('contrast', element.outerHTML.slice(0, 200));
  return good;
});
"""


def pictured(page, pictures, name):
    if pictures:
        page.picture(os.path.join(pictures, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", metavar="ADDRESS")
    parser.add_argument("--pictures", metavar="DIR")
    chosen = parser.parse_args()
    if chosen.pictures:
        os.makedirs(chosen.pictures, exist_ok=True)
    try:
        with browser() as page:
            check(page, chosen.address.rstrip("/"), chosen.pictures)
    except FileNotFoundError as error:
        raise SystemExit(f"{error}: apt-get install chromium chromium-driver") from None
    print("all passed")


if __name__ == "__main__":
    sys.exit(main())
