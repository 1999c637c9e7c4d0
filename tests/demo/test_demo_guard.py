"""Who may ask the page, for what, and whom it asks."""

import socket
import sys

import pytest

from emodistill.demo import guard


@pytest.fixture(scope="module")
def guarded():
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    routes = [Route("/{path:path}", lambda request: PlainTextResponse("fine"), methods=["GET", "POST", "OPTIONS"])]

    def client(host="127.0.0.1", more=()):
        middleware = [Middleware(guard.Guard, names=guard.own_names(host, more))]
        return TestClient(Starlette(routes=routes, middleware=middleware), base_url="http://127.0.0.1:7860")

    return client


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860", "localhost."])
def test_this_machine_is_answered(guarded, host):
    assert guarded().get("/", headers={"Host": host}).text == "fine"
    same = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert guarded().post("/", headers=same).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3", "",
     "a@localhost", "localhost/x", "[::1", "localhost:x", "localhost:7860, evil.example"],
)  # fmt: skip
def test_a_foreign_host_is_refused(guarded, host):
    reply = guarded().get("/", headers={"Host": host})
    assert reply.status_code == 403 and "own address only" in reply.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "https://127.0.0.1:7860.evil.example"}, {"Origin": "http://localhost:7860"}, {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_a_foreign_page_is_refused(guarded, headers):
    assert guarded().post("/", headers=headers).status_code == 403
    if "Origin" in headers:
        assert (
            guarded().get("/", headers=headers).status_code
            == guarded().options("/", headers=headers).status_code
            == 403
        )
    else:  # a link from elsewhere may lead here
        assert guarded().get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(("site", "shown", "status"), [
    ("cross-site", "document", 200), ("cross-site", "image", 403), ("cross-site", "iframe", 403),
    ("cross-site", "empty", 403), ("same-site", "iframe", 200), ("same-origin", "image", 200), ("none", "image", 200),
])  # fmt: skip
def test_a_foreign_page_may_lead_here_and_show_nothing_of_it(guarded, site, shown, status):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": shown}
    assert guarded().get("/", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/", True), ("/config", True), ("/assets/index-1.js", True), ("/gradio_api/upload?upload_id=1", True),
        ("/gradio_api/queue/join?__theme=light", True), ("/gradio_api/file=/tmp/a/b-scored.csv", True),
        ("/gradio_api/file=C:\\a.csv", True), ("/gradio_api/file=https://evil.example/a", False),
        ("/gradio_api/file=a.csv", False), ("/gradio_api/proxy=https://evil.example/a", False),
        ("/gradio_api/deep_link?session_hash=x", False), ("/gradio_api/process_recording", False),
        ("/gradio_api/run/predict", True), ("/gradio_api/queue/status", False), ("/openapi.json", False),
        ("/config/../openapi.json", False), ("/configs", False), ("/%0a", False), ("//evil.example", False),
    ],
)  # fmt: skip
def test_only_what_the_page_asks_for_is_there(guarded, path, there):
    reply = guarded().get(f"http://127.0.0.1:7860{path}")
    assert (reply.status_code == 200) is there and (there or "nothing at this address" in reply.text)


@pytest.mark.parametrize(
    ("event", "arguments", "refused"),
    [
        ("socket.connect", (None, ("127.0.0.1", 7860)), False), ("socket.connect", (None, ("::1", 7860, 0, 0)), False),
        ("socket.connect", (None, ("127.8.9.1", 7860)), False), ("socket.connect", (None, ("10.0.0.7", 7860)), False),
        ("socket.connect", (None, "/run/socket"), False), ("socket.connect", (None, (0, 0)), False),
        ("socket.sendmsg", (None, None), False), ("open", ("192.0.2.1", "r", 0), False),
        ("socket.getaddrinfo", (None, 80), False), ("socket.getaddrinfo", (b"LOCALHOST", 80), False),
        ("socket.connect", (None, ("192.0.2.1", 443)), True), ("socket.connect", (None, ("2001:db8::1", 443)), True),
        ("socket.sendto", (None, ("192.0.2.1", 53)), True), ("socket.getaddrinfo", ("evil.example", 443), True),
        ("socket.getaddrinfo", (b"evil.example", 443), True), ("socket.connect", (None, ("169.254.1.2", 80)), True),
    ],
)  # fmt: skip
def test_the_page_asks_nobody_but_this_machine(monkeypatch, event, arguments, refused):
    hooks = []
    monkeypatch.setattr(sys, "addaudithook", hooks.append)  # a hook stays for the life of its process
    guard.ask_nobody_else("10.0.0.7")
    if not refused:
        assert hooks[0](event, arguments) is None
        return
    with pytest.raises(PermissionError, match="nobody but this machine"):
        hooks[0](event, arguments)


def test_programs_are_answered_and_names_can_be_added(guarded):
    assert guarded().post("/").status_code == 200  # a program sends neither header
    assert guarded(more=["Page.example.org"]).get("/", headers={"Host": "page.example.org"}).status_code == 200
    assert guarded("0.0.0.0").get("/", headers={"Host": "192.0.2.7:7860"}).status_code == 200
    assert guarded("0.0.0.0").get("/", headers={"Host": "evil.example"}).status_code == 403
    assert guarded("0.0.0.0").get("/", headers={"Host": socket.gethostname()}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": "25000000"}, 200), ({"Content-Length": "25000001"}, 413),
        ({"Content-Length": "9" * 30}, 413), ({"Content-Length": "-1"}, 413), ({"Transfer-Encoding": "chunked"}, 411),
    ],
)  # fmt: skip
def test_what_is_longer_than_a_file_is_not_read(guarded, headers, status):
    assert guarded().post("/gradio_api/queue/join", headers=headers).status_code == status
