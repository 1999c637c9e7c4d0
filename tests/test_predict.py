import io
import json
import os
import subprocess
import sys

import forkserver
import pytest
from transformers import pipeline

import emodistill
from emodistill import cli


@pytest.fixture
def classify(checkpoint):
    """Loaded as the command does it: the tensors of a copy lie elsewhere, and its last bits may be others."""
    return pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu")


@pytest.fixture
def predict(checkpoint, capsys):
    """`predict(*arguments)`: exit status and output of the command in this process, on the tiny checkpoint."""

    def run(*arguments, model=str(checkpoint)):
        capsys.readouterr()
        status = cli.main(["predict", "--model", model, "--device", "cpu", *arguments])
        return status, *capsys.readouterr()

    return run


def rows(output):
    return [json.loads(line) for line in output.splitlines()]


def test_bars_for_a_reader(predict):
    status, output, _ = predict("my dog is lost", "we laughed", "--labels", "joy,anger,fear")
    assert status == 0
    lines = output.splitlines()
    assert lines[0] == "my dog is lost" and lines[4] == "we laughed"
    assert sum("*" in line for line in lines[1:4]) == 1 and all(any(c.isdigit() for c in x) for x in lines[1:4])


def test_json_is_one_object_a_line(predict, classify):
    status, output, _ = predict("my dog is lost", "joy", "--labels", "joy, anger", "--json")
    assert status == 0
    assert rows(output) == classify(["my dog is lost", "joy"], labels=["joy", "anger"])


def test_multi_label_threshold_and_top_k(predict):
    common = ("my dog", "--labels", "joy,anger,fear", "--json", "--multi-label")
    [everything] = rows(predict(*common, "--threshold", "0")[1])
    assert everything["predicted"] == everything["labels"]
    [nothing] = rows(predict(*common, "--threshold", "1")[1])
    assert nothing["predicted"] == ["neutral"]
    [scores_only] = rows(predict(*common, "--threshold", "none", "--top-k", "1")[1])
    assert scores_only["predicted"] == [] and scores_only["labels"] == everything["labels"][:1]
    assert "* neutral" in predict("my dog", "--labels", "joy", "--multi-label", "--threshold", "1")[1]
    assert "(nothing predicted)" in predict("my dog", "--labels", "joy,fear", "--threshold", "none")[1]


def test_dimensions(predict):
    [row] = rows(predict("my dog", "--json", "--dimensions")[1])
    assert list(row["dimensions"]) == ["valence", "arousal", "dominance"]
    [row] = rows(predict("my dog", "--json", "--dimensions", "arousal")[1])
    assert list(row["dimensions"]) == ["arousal"]
    [row] = rows(predict("my dog", "--json", "--dimensions", "joy,love:anger")[1])
    [value] = row["dimensions"].values()
    assert -2 <= value <= 2
    status, output, _ = predict("my dog", "--labels", "joy,fear", "--dimensions")
    assert status == 0 and "valence" in output and "joy" in output


def test_templates_reach_the_labels(predict):
    plain, wrapped = (
        rows(predict("my dog", "--labels", "joy,fear", "--json", *extra)[1])[0]["scores"]
        for extra in ((), ("--label-template", "a person feels {}"))
    )
    assert plain != wrapped


def test_lines_of_standard_input(predict, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("my dog\n\nwe laughed\r\nlast"))
    status, output, _ = predict("first", "-", "--labels", "joy,fear", "--json")
    assert status == 0
    assert [row["sequence"] for row in rows(output)] == ["first", "my dog", "", "we laughed", "last"]
    assert rows(output)[2]["predicted"] == ["neutral"]


class Standard(io.TextIOWrapper):
    """A standard stream of bytes in an encoding, which a test may read back."""

    def __init__(self, content=b"", encoding="utf-8"):
        super().__init__(io.BytesIO(content), encoding=encoding, newline="")

    def written(self):
        self.flush()
        return self.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_bytes_that_are_no_text_are_replaced(predict, monkeypatch, encoding):
    monkeypatch.setattr(sys, "stdin", Standard("\ufeffmy dog\n".encode() + b"caf\xe9\n\xff\n", "utf-8"))
    monkeypatch.setattr(sys, "stdout", output := Standard(encoding=encoding))
    status, _, error = predict("-", "--labels", "joy,fear")
    lines = output.written().decode(encoding).splitlines()
    assert status == 0 and not error
    assert lines[0] == "my dog" and lines[3].startswith("caf") and lines[-1] == "  * neutral"
    assert any(("█" if encoding == "utf-8" else "#") in line for line in lines)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_json_holds_every_character_whatever_the_terminal(predict, monkeypatch, encoding):
    monkeypatch.setattr(sys, "stdout", output := Standard(encoding=encoding))
    assert predict("我很难过 \U0001f622", "my \udce9", "--labels", "joy,fear", "--json")[0] == 0
    results = rows(output.written().decode(encoding))
    assert [row["sequence"] for row in results] == ["我很难过 \U0001f622", "my \ufffd"]


def test_a_language_that_the_model_does_not_read_is_one_line(predict):
    status, output, error = predict("Je suis très triste", "Estoy muy triste hoy", "--labels", "joy,fear", "--json")
    assert status == 0 and len(rows(output)) == 2
    lines = [line for line in error.splitlines() if "Loading weights" not in line]
    assert len(lines) == 1 and lines[0].startswith("emodistill predict: the model reads English")


def test_reading_ahead_unless_lines_are_typed(predict, monkeypatch):
    """Typed lines, and a live stream on request, are answered one by one."""
    said = []

    class Typed(io.StringIO):
        def __iter__(self):
            for number in range(3):
                said.append(number)
                yield f"text {number}\n"

    class Out(io.StringIO):
        def write(self, text):
            if text.startswith("{"):
                said.append("answer")
            return super().write(text)

    for arguments, in_turn in (((), False), (("--stream",), True)):
        said.clear()
        monkeypatch.setattr(sys, "stdin", Typed())
        monkeypatch.setattr(sys, "stdout", Out())
        assert predict("-", "--labels", "joy,fear", "--json", *arguments)[0] == 0
        assert said.count("answer") == 3
        assert (said[:3] != [0, 1, 2]) is in_turn


def test_options_reach_the_pipeline(predict, classify):
    long = " ".join(["rain and i cried"] * 200)
    common = (long, "--labels", "joy,anger,fear", "--multi-label", "--json")
    [result] = rows(predict(*common, "--labels-per-text", "0.3", "--max-windows", "5", "--normalise")[1])
    options = {"multi_label": True, "labels_per_text": 0.3, "max_windows": 5, "normalise": True}
    assert result == classify(long, labels=["joy", "anger", "fear"], **options)
    assert "(read in 16 of " in predict(long, "--labels", "joy,fear")[1]
    assert "windows" not in predict(long, "--labels", "joy,fear", "--max-windows", "all")[1]
    [result] = rows(predict(long, "--labels", "joy,fear", "--max-windows", "3", "--return-windows", "--json")[1])
    assert result == classify(long, labels=["joy", "fear"], max_windows=3, return_windows=True)
    shown = predict(long, "--labels", "joy,fear", "--max-windows", "3", "--return-windows")[1].splitlines()
    assert [line for line in shown if line.startswith("  window")][2].startswith("  window 3 of 3: ")
    assert sum("joy" in line for line in shown) == 4  # the mean's line, and one a window
    assert "window" not in predict("joy", "--labels", "joy,fear", "--return-windows")[1]
    assert "1/1" in predict("joy", "--labels", "joy,fear", "--progress")[2]


def test_mistakes_are_told_before_anything_heavy_is_loaded():
    code = (
        "import sys; from emodistill import cli\n"
        "assert cli.main(['predict', 'x', '--labels', 'joy']) == 2\n"
        "assert cli.main(['predict', 'x', '--labels', 'joy,fear', '--model', './nowhere']) == 2\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]" and done.stderr.count("\n") == 2


MISTAKES = {
    "--labels": ["my dog"],
    "labels holds 'joy' more than once": ["my dog", "--labels", "joy,joy"],
    "labels is empty": ["my dog", "--labels", ""],
    "--threshold must be": ["my dog", "--labels", "joy,fear", "--threshold", "high"],
    "threshold must lie between 0 and 1": ["my dog", "--labels", "joy,fear", "--threshold", "7"],
    "top_k must be a positive integer": ["my dog", "--labels", "joy,fear", "--top-k", "0"],
    "batch_size must be a positive integer": ["my dog", "--labels", "joy,fear", "--batch-size", "0"],
    "label_template must hold {}": ["my dog", "--labels", "joy,fear", "--label-template", "feeling"],
    "dimensions names 'warmth'": ["my dog", "--dimensions", "warmth"],
    "--labels holds one label, 'joy', which would score 1.0 for any text: give --multi-label": [
        "x",
        "--labels",
        "joy",
    ],
    "--top-k is for --labels: give --labels too, or leave": ["my dog", "--dimensions", "--top-k", "2"],
    "--labels-per-text is for --multi-label: give": ["my dog", "--labels", "joy,fear", "--labels-per-text", "2"],
    "--dimensions took 'sad' and 'text' is left over": ["my dog", "--dimensions", "sad", "text"],
    "no text is given: --dimensions took 'my dog', so put texts before": ["--dimensions", "my dog"],
    "no text is given; give texts, or - for": ["--labels", "joy,fear"],
    "'b' stands apart from the other texts": ["a", "--labels", "joy,fear", "b"],
    "no option --lables": ["a", "--lables", "joy,fear"],
    "argument --top-k: invalid int value: 'many'": ["a", "--labels", "joy,fear", "--top-k", "many"],
    "labels_per_text must be a number above 0, not -1.0": [
        *("a", "--labels", "joy,fear", "--multi-label", "--labels-per-text", "-1"),
    ],
    '--max-windows must be "all" or a positive': ["a", "--labels", "joy,fear", "--max-windows", "few"],
    "max_windows must be a positive integer or None": ["a", "--labels", "joy,fear", "--max-windows", "0"],
}


def test_labels_from_a_file(predict, tmp_path):
    (tmp_path / "labels.txt").write_text("joy\nfear\n")
    found = [predict("my dog", "--labels", labels)[1] for labels in ("joy,fear", str(tmp_path / "labels.txt"))]
    assert found[0] == found[1] and "joy" in found[0]


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(predict, message):
    status, output, error = predict(*MISTAKES[message])
    lines = [line for line in error.splitlines() if "Loading weights" not in line]
    assert status == 2 and not output
    assert len(lines) == 1 and lines[0].startswith("emodistill predict: ") and message in lines[0]


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_an_absent_device_is_a_mistake_too(predict, device):
    status, _, error = predict("my dog", "--labels", "joy,fear", "--device", device)
    assert status == 2 and "Traceback" not in error and device in error.splitlines()[-1]


def test_an_absent_model_is_a_mistake_too(predict, tmp_path):
    status, _, error = predict("my dog", "--labels", "joy,fear", model=str(tmp_path / "nowhere"))
    assert status == 2 and "nowhere is no folder here" in error
    assert len(error.splitlines()) == 1


def label_endless_lines(checkpoint):
    """`yes joy | emodistill predict - ... | head -n 2`, with this process in the middle."""
    reader = subprocess.Popen(["head", "-n", "2"], stdin=subprocess.PIPE)
    lines = subprocess.Popen(["yes", "joy"], stdout=subprocess.PIPE)
    for stream, descriptor in ((lines.stdout, 0), (reader.stdin, 1)):
        os.dup2(stream.fileno(), descriptor)
        stream.close()
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    status = cli.main(["predict", "-", "--labels", "joy,fear", "--batch-size", "2", "--model", checkpoint])
    lines.kill()
    return status


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs head")
def test_a_reader_that_leaves_is_no_error(checkpoint, tmp_path):
    process = forkserver.call(f"{__file__}:label_endless_lines", str(checkpoint), cwd=tmp_path)
    output, error = process.communicate(timeout=300)
    assert output.splitlines()[0] == "joy" and not error
    assert process.returncode == 141  # 128 and SIGPIPE, as a shell's own programs end


def test_a_real_process_that_fails(checkpoint, tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.abspath(emodistill.__file__)))
    command = [sys.executable, "-m", "emodistill.cli", "predict", "my dog", "--labels", "joy,joy"]
    done = subprocess.run(
        [*command, "--model", str(checkpoint)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 2 and not done.stdout and "Traceback" not in done.stderr
    assert done.stderr == "emodistill predict: labels holds 'joy' more than once\n"


@pytest.mark.slow
def test_the_default_model(default_checkpoint, tmp_path):
    process = forkserver.command(
        ["predict", "How dare you lie to me again!", "--labels", "joy,anger,relief", "--json"], cwd=tmp_path
    )
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0 and not error, error
    assert rows(output)[0]["predicted"] == ["anger"]
