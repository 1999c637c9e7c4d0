"""`emodistill demo` as a real process, in a real browser.

The picture in the README is made by `test_the_picture_of_the_page`:

    EMODISTILL_PICTURE=docs/images/demo.png python -m pytest tests/demo/test_demo_browser.py -k picture
"""

import csv
import glob
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest
from PIL import Image

import emodistill

pytestmark = pytest.mark.slow

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
DESKTOP, PHONE = (1280, 900), (390, 844)
# Written beside the server: every address that its process looks up or connects to.
LISTENER = """
import sys
def hook(event, arguments):
    if event == "socket.connect":
        where = arguments[1]
    elif event == "socket.getaddrinfo":
        where = arguments[:2]
    else:
        return
    with open({log!r}, "a") as file:
        print(repr(where), file=file)
sys.addaudithook(hook)
"""


def _programs():
    """Paths of browser and driver. Without them CI fails; elsewhere these tests are skipped."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        reason = "no chromium or chromedriver (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return programs


class Server:
    """The running command: its process, address, the addresses it connected to and what it said at its end."""

    def __init__(self, folder):
        (folder / "sitecustomize.py").write_text(LISTENER.format(log=str(folder / "connections")))
        (folder / "connections").write_text("")
        (folder / "tmp").mkdir()
        self.folder = folder
        root = os.path.dirname(os.path.dirname(os.path.abspath(emodistill.__file__)))
        environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"} | {
            "PYTHONPATH": os.pathsep.join([str(folder), root]),
            "TMPDIR": str(folder / "tmp"),
            "http_proxy": "http://127.0.0.1:9",  # nothing listens there: the page must not go through it
            "ALL_PROXY": "socks://127.0.0.1:9",
            "NO_PROXY": "[::1],example.org",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "emodistill.cli", "demo", "--port", "0"]
        with open(folder / "stderr", "w") as errors:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors
            )
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, (line, (folder / "stderr").read_text())
        self.url = found.group()

    def end(self, number=signal.SIGINT):
        """Ctrl-C, or another signal. Returns the exit status and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30), (self.folder / "stderr").read_text()


class Page:
    """The page in a browser, with its fields by their names."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, size):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(self.url)
        self.wait(lambda: self.all("#result svg") and self.all("#text textarea"))

    def wait(self, condition, seconds=15):
        from selenium.common.exceptions import StaleElementReferenceException

        end = time.monotonic() + seconds
        while True:
            try:
                if found := condition():
                    return found
            except StaleElementReferenceException:  # redrawn meanwhile
                pass
            assert time.monotonic() < end, f"the page does not get there; it shows:\n{self.said('body')}"
            time.sleep(0.05)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.wait(lambda: self.all(selector))[0]

    def said(self, selector):
        return "\n".join(element.text for element in self.all(selector))

    def wait_for(self, selector, words):
        return self.wait(lambda: words in self.said(selector))

    def type(self, selector, text):
        from selenium.webdriver.common.keys import Keys

        field = self.one(selector)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.BACKSPACE)
        field.send_keys(text)

    def choose(self, field, option):
        """Choose an option of a drop-down list."""
        self.one(f"#{field} input").click()
        options = "[role=listbox] [role=option]"
        self.wait(lambda: [entry for entry in self.all(options) if option in entry.text])[0].click()

    def bars(self):
        """`{label: score}`, as drawn; read at one moment, since they may be redrawn at any."""
        script = """return [...document.querySelectorAll("#result .ed-bars li")].map(
            bar => [".ed-name", ".ed-value"].map(part => bar.querySelector(part).textContent))"""
        return {name.removeprefix("✓ "): float(score) for name, score in self.driver.execute_script(script)}

    def upload(self, path):
        if not self.all("#csv-in"):
            self.one("#file-section button").click()
        for button in self.all("#csv-in button[aria-label*='lear'], #csv-in button[aria-label*='emove']"):
            button.click()
        self.one("#csv-in input[type=file]").send_keys(str(path))

    def fits(self):
        """Whether the page is no wider than the window."""
        return self.driver.execute_script(
            "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) <= window.innerWidth"
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory, default_checkpoint):
    _programs()
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.end()


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    selenium = pytest.importorskip("selenium.webdriver") if os.environ.get("CI") != "true" else None
    if selenium is None:
        from selenium import webdriver as selenium
    browser, driver_program = _programs()
    options = selenium.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(driver_program))
    yield Page(driver, server.url)
    driver.quit()


def picture(page, selector):
    return Image.open(io.BytesIO(page.one(selector).screenshot_as_png)).convert("RGB")


def download(link):
    """Rows of the scored file, as dictionaries."""
    assert urllib.parse.unquote(link).endswith("-scored.csv")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(link) as reply:
        return list(csv.DictReader(io.StringIO(reply.read().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_text_and_labels_give_bars_and_a_plane(page, size):
    page.open(size)
    page.type("#text textarea", "They found him alive! I can finally breathe again.")
    page.type("#labels textarea", "joy, anger, relief, schadenfreude")
    page.wait(lambda: set(page.bars()) == {"joy", "anger", "relief", "schadenfreude"})
    page.wait_for("#result .ed-said", "Predicted: relief")
    bars = page.bars()
    assert next(iter(bars)) == "relief" and abs(sum(bars.values()) - 1) < 0.03
    widths = [bar.size["width"] for bar in page.all("#result .ed-track i")]
    assert widths == sorted(widths, reverse=True) and widths[0] > 20
    assert page.one("#result svg").get_attribute("aria-label").startswith("Valence ")
    colours = picture(page, "#result svg").getcolors(10**6)
    assert len(colours) > 20  # lines and letters
    assert max(number for number, (r, g, b) in colours if b > 150 and b > r + 80) > 80  # the text's point
    assert "dominance" in page.said("#result table") and page.fits()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_is_wrong_is_told(page, size):
    page.open(size)
    page.type("#labels textarea", "")
    page.wait_for("#result [role=alert]", "There are no labels.")
    assert not page.all("#result svg")
    page.type("#labels textarea", "joy, anger, Joy")
    page.wait_for("#result [role=alert]", "Given more than once: joy.")
    page.type("#labels textarea", "joy, anger")
    page.type("#text textarea", "")
    page.wait_for("#result [role=alert]", "There is no text.")
    page.type("#text textarea", "I am so happy!")
    page.wait_for("#result .ed-said", "Predicted: joy")
    assert page.fits()


def test_presets_modes_and_threshold(page):
    page.open(DESKTOP)
    page.choose("preset", "GoEmotions (28)")
    page.wait(lambda: len(page.bars()) == 28)
    assert "admiration, amusement" in page.one("#labels textarea").get_attribute("value")
    page.all("#mode input")[1].click()
    page.wait_for("#result .ed-note", "Any number of labels may hold")
    number = page.one("#threshold input[type=number]")
    page.wait(lambda: number.get_attribute("value") == "0.5")
    page.wait_for("#result .ed-on .ed-name", "disappointment")
    page.type("#threshold input[type=number]", "")
    page.wait_for("#result [role=alert]", "The threshold must be a number from 0 to 1.")
    page.type("#threshold input[type=number]", "0.99")
    page.wait_for("#result .ed-said", "No label reaches the threshold")
    page.type("#threshold input[type=number]", "0")
    page.wait(lambda: len(page.all("#result .ed-on")) == 28)
    slider = page.one("#threshold input[type=range]")
    from selenium.webdriver.common.keys import Keys

    slider.send_keys(Keys.END)
    page.wait_for("#result .ed-said", "No label reaches the threshold")
    page.type("#labels textarea", "joy, bitter disappointment")
    page.wait(lambda: page.one("#preset input").get_attribute("value") == "Your own")


def test_words_are_marked(page):
    page.open(DESKTOP)
    page.type("#text textarea", "I am terrified of the exam tomorrow.")
    page.type("#labels textarea", "joy, anger, fear")
    page.wait_for("#result .ed-said", "Predicted: fear")
    assert not page.all("#result mark")
    page.one("#words input").click()
    page.wait(lambda: "terrified" in [mark.text for mark in page.all("#result mark.ed-for")])
    assert "Words for fear" in page.said("#result .ed-words") and page.fits()


def test_what_is_typed_is_shown_and_not_run(page):
    page.open(PHONE)
    odd = "<img src=x onerror=document.title='run'>"
    page.type("#labels textarea", f"joy, {odd}, ${{1+1}}, {'long' * 40}")
    page.wait(lambda: len(page.bars()) == 4)
    assert {odd, "${1+1}"} <= set(page.bars())
    assert not page.all("#result img") and page.driver.title == "emodistill" and page.fits()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_csv_file_is_scored(page, size, tmp_path):
    rows = [("1", "How dare you, lie to me again!"), ("=2", ""), ("3", "I miss her so much.")]
    path = tmp_path / "my texts.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("id", "what they said"), *rows])
    page.open(size)
    page.type("#labels textarea", "joy, anger, sadness")
    page.upload(path)
    page.wait_for("#csv-message", "3 rows; the texts seem to be in the column 'what they said'.")
    page.one("#score-file").click()
    page.wait_for("#csv-message", "2 rows scored. 1 without text left blank. 1 cell begins like a formula")
    link = page.wait(lambda: page.all("#csv-out a[href]"))[0].get_attribute("href")
    assert page.fits()
    scored = download(link)
    assert [row["what they said"] for row in scored] == [text for _, text in rows]
    assert [row["predicted"] for row in scored] == ["anger", "", "sadness"] and scored[1]["id"] == "'=2"
    assert float(scored[2]["score: sadness"]) > 0.5 and 1 <= float(scored[0]["valence"]) < 5
    page.type("#labels textarea", "grief, rage")  # another result has another address, so none comes from a cache
    page.one("#score-file").click()
    page.wait(lambda: page.one("#csv-out a[href]").get_attribute("href") != link)
    scored = download(page.one("#csv-out a[href]").get_attribute("href"))
    assert [row["predicted"] for row in scored] == ["rage", "", "grief"] and "score: joy" not in scored[0]


def test_a_csv_file_that_does_not_fit_is_told(page, tmp_path):
    page.open(DESKTOP)
    page.one("#file-section button").click()
    page.one("#score-file").click()
    page.wait_for("#csv-message", "Choose a file first.")
    for content, message in (
        (b"id,n\n1,2\n", "No column of this file holds text"),
        (b"  \n", "The file is empty."),
        (b"text\ncaf\xe9\n", "No row of the file can be read; line 2: not utf-8 text"),
    ):
        (tmp_path / "bad.csv").write_bytes(content)
        page.upload(tmp_path / "bad.csv")
        page.wait_for("#csv-message [role=alert]", message)
    assert not page.all("#csv-out a[href]")


def test_the_picture_of_the_page(page, tmp_path):
    page.open((1280, 900))
    page.wait(lambda: page.all("#examples button, #examples tr"))
    time.sleep(0.5)  # fades
    height = page.one("#file-section").location["y"] - 8
    path = Path(os.environ.get("EMODISTILL_PICTURE") or tmp_path / "demo.png")
    shot = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB").crop((0, 0, 1280, height))
    shot.quantize(128).save(path, optimize=True)
    assert 10_000 < path.stat().st_size < 300_000


def test_nothing_leaves_this_machine(page, server):
    """The browser's own pages (chrome:) are files; everything else must be on loopback, the server's calls too."""
    page.driver.get("about:blank")
    page.driver.get_log("browser")  # streams that were cut off when the page was left
    page.open(DESKTOP)
    page.wait_for("#result .ed-said", "Predicted")
    messages = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    requests = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert sum(url.startswith(server.url) for url in requests) > 10
    outside = [url for url in requests if not url.startswith((server.url, "chrome:", "data:", "blob:"))]
    assert not outside
    errors = [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors
    connections = (server.folder / "connections").read_text().splitlines()
    assert connections and not [line for line in connections if not re.match(r"\(b?'(127\.0\.0\.1|localhost)'", line)]


def test_foreign_hosts_and_pages_are_refused(server):
    def status(path="", **headers):
        request = urllib.request.Request(server.url + path, headers=headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    assert status() == 200 and status(Host="evil.example") == 403 and status("config", Host="evil.example") == 403
    assert status("config", Origin="http://evil.example") == 403
    assert status("gradio_api/upload", Origin="null") == 403


def test_a_signal_ends_it_at_once_whatever_it_is_at(server, tmp_path):
    """Somebody's file is in work; what was uploaded goes with the server."""
    where = glob.glob(str(server.folder / "tmp" / "emodistill-demo-*"))
    assert len(where) == 1
    worker = next(iter(psutil.Process(server.process.pid).children()))
    worker.suspend()  # nothing could be busier
    status, said = server.end(signal.SIGTERM)
    assert status == 0 and said.strip() == "emodistill demo: stopped"
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert not glob.glob(str(server.folder / "tmp" / "emodistill-demo-*"))  # uploads and results are gone
