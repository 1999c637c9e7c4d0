"""Keys and passwords reach neither disk nor screen, and words stay as they are."""

import base64
import json

import pytest
from fake_openai import FakeOpenAI
from hypothesis import given
from hypothesis import strategies as st

from emodistill import cli
from emodistill.annotate import Settings, annotate
from emodistill.annotate.batch import BatchOptions, annotate_batch
from emodistill.annotate.redaction import Redactor, redact_address

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
ECHOES = {
    "in the answer": {"content": f"invalid: your key is Bearer {KEY}"},
    "as a label": {"content": json.dumps({"labels": [KEY]})},
    "as an escaped label": {"content": '{"labels": ["' + ESCAPED + '"]}'},
    "in upper case": {"content": KEY.upper()},
    "in a refusal": {"content": None, "refusal": f"no, {KEY}"},
    "in thoughts": {"content": f"<think>{KEY}</think> joy"},
    "in a part": {"content": [{"type": "text", "text": f"key {KEY}"}]},
    "in a name": {"content": json.dumps({KEY: ["joy"]})},
    "in the finish": {"content": "joy", "finish_reason": KEY},
    "in an error": (400, {"error": {"message": f"Incorrect API key {KEY}", "code": KEY}}),
    "in an error with 200": (200, {"error": {"message": f"key {KEY}"}}),
    "in a page": (500, f"<html>Authorization: Bearer {KEY}</html>"),
    "in the model's name": (200, {"id": KEY, "model": KEY, "choices": [{"message": {"content": "joy"}}]}),
    "at a cut": {"content": "x" * 290 + KEY},
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_key_that_a_server_echoes_is_written_nowhere(tmp_path, capfd, echo):
    with FakeOpenAI(lambda call, seen: echo) as server:
        settings = Settings(model="gpt-4o", base_url=server.url, backoff=0.001, max_retries=1)
        report = annotate(["one"], tmp_path / "o.jsonl", settings, every=True)
        asked = "".join(json.dumps(call.body) for call in server.log)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("utf-8", "replace").lower()
    shown = "".join(capfd.readouterr()) + str(report)
    for secret in (KEY, KEY[:16], ESCAPED[:60].replace("\\", "\\\\")):
        assert secret.lower() not in written and secret not in shown and secret not in asked


def test_a_batch_s_lines_are_cleaned_too(tmp_path):
    with FakeOpenAI(lambda call, seen: ECHOES["as a label"] if seen == 0 else ECHOES["in an error"]) as server:
        settings = Settings(model="gpt-4o", base_url=server.url, backoff=0.001, quiet=True)
        annotate_batch(["one"], tmp_path / "o.jsonl", settings, BatchOptions(poll=0), every=True)
    assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_secrets_of_an_address_are_neither_stored_nor_shown(tmp_path, capfd):
    echo = (200, {"error": {"message": "you are me:hunter22-pw with tok-4711-xyz at /v1?api_key=tok-4711-xyz"}})
    with FakeOpenAI(lambda call, seen: echo if call.texts == ["strange"] else None) as server:
        address = server.url.replace("http://", "http://me:hunter22-pw@") + "?api_key=tok-4711-xyz"
        settings = Settings(model="gpt-4o", base_url=address, backoff=0.001, max_retries=1)
        report = annotate(["one", "strange"], tmp_path / "o.jsonl", settings, every=True)
        assert report.statuses == {"ok": 1, "error": 1}  # and the server was reached at all
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    shown = "".join(capfd.readouterr()) + str(report)
    for secret in ("hunter22-pw", "tok-4711-xyz"):
        assert secret.encode() not in written and secret not in shown


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("ftp://user:PW-123@h/v1", "PW-123"),
        ("http://user:PW-123@h:99999/v1", "PW-123"),
        ("http://h/v1 ?api_key=abc123", "abc123"),
        ("http:///v1?token=abc123", "abc123"),
    ],
)
def test_a_wrong_address_is_shown_without_its_secrets(tmp_path, capsys, address, secret):
    (tmp_path / "t.txt").write_text("one\n")
    argv = ["annotate", "--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "o.jsonl"), "--model", "m"]
    assert cli.main([*argv, "--base-url", address]) == 2
    err = capsys.readouterr().err
    assert secret not in err and err.count("\n") == 1 and "base_url" in err


@pytest.mark.parametrize("key", ["a", "none", "EMPTY", "ollama", "k", "token"])
def test_a_placeholder_for_a_key_blanks_no_words(key):
    words = "none of a token: the EMPTY ollama server took another k and failed"
    assert Redactor(key).text(words) == words


@pytest.mark.parametrize(
    "words",
    ["key-note speaker", "bearer of bad news", "Basic human decency", "sk-ating", "a hf-driven life",
     "key_performance", "a=b", "password", "what is the key=value syntax"],
)  # fmt: skip
def test_words_that_are_no_keys_stay(words):
    if "=" in words and "key=" in words:
        assert Redactor(KEY).text(words) == words
    assert Redactor(KEY).text(words) == words


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-abc*****wxyz", "hf_aB3dE5gH7jK9", "gsk_1234567890abc", "Bearer eyJhbGciOi.J9x",
     "AIzaSyD-1234567890abcdef",
     "https://me:pw12345@host/v1", "http://host/v1?api_key=q1w2e3", "http://host/v1?x=1&access_token=q1w2e3"],
)  # fmt: skip
def test_what_looks_like_a_key_is_taken_out(secret):
    cleaned = Redactor("none").text(f"you sent {secret} to us")
    assert "[key]" in cleaned and secret not in cleaned


def letters(form):
    return "".join(form.format(ord(letter)) for letter in KEY)


WRITTEN = {
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 without its end": base64.b64encode(KEY.encode()).decode().rstrip("="),
    "base64 of a header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "base64 of a pair": base64.b64encode(f":{KEY}".encode()).decode(),
    "base64 of JSON": base64.urlsafe_b64encode(json.dumps({"keys": [KEY]}).encode()).decode(),
    "hexadecimal": KEY.encode().hex().upper(),
    "an address": letters("%{:02x}"),
    "an address twice": letters("%25{:02x}"),
    "entities": letters("&#{};"),
    "hexadecimal entities": letters("&#x{:x};"),
    "escapes of escapes": letters("\\\\u{:04x}"),
    "Python's escapes": letters("\\x{:02x}"),
    "one escape": KEY[:5] + f"\\u{ord(KEY[5]):04x}" + KEY[6:],
    "characters that nobody sees": "\u200b".join(KEY),
    "a soft hyphen": KEY[:9] + "\u00ad" + KEY[9:],
    "backslashes": KEY.replace("-", "\\-"),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_key_is_found_however_it_is_written(written):
    for before, after in (("you sent ", " to us"), ('{"echo": "', '"}')):
        cleaned = Redactor(KEY).text(before + written + after)
        assert "[key]" in cleaned and written not in cleaned and KEY not in cleaned


def test_what_stands_beside_a_key_keeps_its_escapes():
    assert Redactor(KEY).text('{"a": "caf\\u00e9 \\"' + KEY + '\\" 50%25"}') == '{"a": "caf\\u00e9 \\"[key]\\" 50%25"}'


@given(st.text(max_size=60), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40))
def test_no_text_whatever_keeps_the_key_or_half_a_pair(text, key):
    if key.isalpha():
        return
    cleaned = Redactor(key).text(f"{text}{key}{text}")
    assert key not in cleaned and cleaned.encode()


def test_addresses():
    assert redact_address("http://h/v1") == "http://h/v1"
    assert "secret" not in redact_address("https://me:secret@h/v1?secret=secret&x=secret").replace("?secret=", "?s=")


@pytest.mark.parametrize(
    ("environment", "argv", "word"),
    [
        ({"OPENAI_API_KEY": "sk-a\nb"}, [], "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-a b"}, [], "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-\u00fc"}, [], "OPENAI_API_KEY"),
        ({"MY_KEY": "sk-a\tb"}, ["--key-variable", "MY_KEY"], "MY_KEY"),
        ({}, ["--key-variable", "sk-a-key-itself"], "key_variable"),
        ({"OPENAI_BASE_URL": "http://h\u00f6st/v1"}, [], "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "http://h/v1\n"}, [], "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "localhost:1"}, [], "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "http://h:0x50/v1"}, [], "OPENAI_BASE_URL"),
        ({}, ["--base-url", "http://h:99999"], "base_url"),
        ({}, ["--base-url", "http://[::1"], "base_url"),
        ({}, ["--base-url", "http://"], "base_url"),
        ({"OPENAI_ORG_ID": "a b"}, [], "OPENAI_ORG_ID"),
        ({"ALL_PROXY": "socks://h:1"}, ["--base-url", "http://example.invalid/v1"], "ALL_PROXY"),
        ({"HTTP_PROXY": "http://h:99999"}, ["--base-url", "http://example.invalid/v1"], "HTTP_PROXY"),
        ({}, ["--param", "x=" + "[" * 100_000], "--param"),
        ({}, ["--param", "x=NaN"], "--param"),
        ({}, ["--param", "x=1e999"], "extra"),
        ({}, ["--param", "messages=1"], "messages"),
        ({}, ["--max-cost", "nan"], "max_cost"),
    ],
)
def test_a_variable_or_option_that_cannot_be_used_is_one_sentence(
    tmp_path, monkeypatch, capsys, environment, argv, word
):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "t.txt").write_text("one\n")
    command = ["annotate", "--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "o.jsonl")]
    assert cli.main([*command, "--model", "gpt-4o", "--quiet", *argv]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and word in err and "itself" not in err.replace("not the key itself", ""), err
    for value in environment.values():
        assert value not in err or "KEY" not in word


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks://127.0.0.1:9", "nonsense"])
@pytest.mark.parametrize("no_proxy", ["", "[::1]", "localhost,[::1],*.invalid"])
def test_a_server_on_this_machine_is_reached_past_any_proxy(tmp_path, monkeypatch, proxy, no_proxy):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("OPENAI_ORG_ID", "")
    with FakeOpenAI() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        report = annotate(["one"], tmp_path / "o.jsonl", Settings(model="m", quiet=True, max_retries=0))
        assert report.statuses == {"ok": 1} and "openai-organization" not in server.log[0].headers


def test_a_proxy_that_refuses_is_told_and_nothing_booked(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    settings = Settings(model="gpt-4o", base_url="https://example.invalid/v1", max_retries=0, quiet=True)
    report = annotate(["one"], tmp_path / "o.jsonl", settings)
    assert report.statuses == {"error": 1} and report.cost == 0


def test_an_empty_address_is_none(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert Settings(model="m").server == "https://api.openai.com/v1" == Settings(model="m", base_url="").server
