"""The service of examples/service.py, as the documentation shows it."""

import importlib.util
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

testclient = pytest.importorskip("fastapi.testclient", reason="fastapi is not installed: pip install fastapi")

JSON = {"content-type": "application/json"}
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "service.py"


@pytest.fixture(scope="module")
def service(checkpoint):
    patch = pytest.MonkeyPatch()
    patch.setenv("EMODISTILL_MODEL", str(checkpoint))
    patch.setenv("EMODISTILL_BATCH", "8")
    patch.setenv("EMODISTILL_THREADS", str(torch.get_num_threads()))
    spec = importlib.util.spec_from_file_location("service", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    patch.setitem(__import__("sys").modules, "service", module)
    spec.loader.exec_module(module)
    yield module
    patch.undo()


@pytest.fixture(scope="module")
def client(service):
    with testclient.TestClient(service.app) as client:
        yield client


def test_the_answer_is_the_pipelines(client, shared_classify):
    asked = {"texts": ["i am so happy", "she cried"], "labels": ["joy", "anger"], "multi_label": True}
    answer = client.post("/score", json=asked)
    assert answer.status_code == 200
    for found, result in zip(
        answer.json(), shared_classify(asked["texts"], labels=asked["labels"], multi_label=True), strict=True
    ):
        assert found["labels"] == result["labels"] and found["predicted"] == result["predicted"]
        assert found["scores"] == pytest.approx(result["scores"], abs=1e-5)
    assert client.get("/health").json() == {"waiting": 0}


def test_what_waits_together_is_scored_together(client, service):
    batcher, calls, gate = service.app.state.batcher, [], threading.Event()
    classify = batcher.classify

    def slow(texts, **options):
        calls.append(len(texts))
        gate.wait(10)
        return classify(texts, **options)

    batcher.classify = slow
    try:
        with ThreadPoolExecutor(12) as pool:
            asked = [
                pool.submit(client.post, "/score", json={"texts": [f"my dog {n}"], "labels": ["joy", "fear"]})
                for n in range(12)
            ]
            while batcher.queue.qsize() + sum(calls) < 12:
                pass
            gate.set()
            answers = [answer.result() for answer in asked]
    finally:
        batcher.classify = classify
    assert all(answer.status_code == 200 and len(answer.json()) == 1 for answer in answers)
    assert sum(calls) == 12 and len(calls) < 12 and max(calls) <= 8


@pytest.mark.parametrize(
    "asked",
    [
        {"texts": []},
        {"texts": ["a"], "labels": []},
        {"texts": ["a"], "labels": ["joy", "joy"]},
        {"texts": ["a"] * 9},
        {"texts": ["a" * 20_001]},
        {"texts": ["a"], "labels": [" "]},
        {"texts": ["a"], "lables": ["joy"]},
        {"texts": float("nan")},
        {"texts": ["a"], "multi_label": float("inf")},
        {"\ud800": 1},
    ],
)
def test_mistakes_are_told_and_the_service_goes_on(client, asked):
    answer = client.post("/score", content=json.dumps(asked), headers=JSON)
    assert answer.status_code == 422 and "Traceback" not in answer.text
    assert client.post("/score", json={"texts": ["i am happy"]}).status_code == 200


def test_half_an_emoji_is_replaced_as_the_pipeline_does_it(client):
    asked = json.dumps({"texts": ["happy \ud83d"], "labels": ["joy", "fe\ud83dar"]})
    answer = client.post("/score", content=asked, headers=JSON)
    assert answer.status_code == 200 and set(answer.json()[0]["labels"]) == {"joy", "fe\ufffdar"}


def test_a_body_is_not_read_before_its_size_is_known(client, service):
    assert client.post("/score", content=b" " * (service.LARGEST + 1), headers=JSON).status_code == 413
    assert client.post("/score", content=iter([b'{"texts": ["a"]}']), headers=JSON).status_code == 411
    assert client.head("/score").status_code == 405 and client.get("/none").status_code == 404


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_settings_that_are_no_number(service, monkeypatch, value):
    monkeypatch.setenv("EMODISTILL_WAITING", value)
    with pytest.raises(SystemExit, match="EMODISTILL_WAITING must be a whole number above 0"):
        service.setting("EMODISTILL_WAITING", 1)
    monkeypatch.setenv("EMODISTILL_WAITING", "")
    assert service.setting("EMODISTILL_WAITING", 7) == 7


def test_a_fault_costs_its_batch_alone(client, service):
    batcher = service.app.state.batcher
    classify = batcher.classify
    batcher.classify = lambda *texts, **options: 1 / 0
    try:
        assert client.post("/score", json={"texts": ["a"]}).status_code == 500
    finally:
        batcher.classify = classify
    assert client.post("/score", json={"texts": ["a"]}).status_code == 200
