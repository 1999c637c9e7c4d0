"""Repositories that mean harm, each verified as a user would: what they tried, and what became of it.

    python -m emodistill.benchmarks.reliability.hostile [--walls bubblewrap|namespaces|none]

Builds the publishable folder of the checkpoint that is given (a tiny random one by default), damages a copy of it in
each way below, runs `emodistill verify` on it as a process with secrets in its environment and home folder, and prints
a table: exit status, whether the harm was done, seconds, and the last sentence that was said.
"""

import argparse
import json
import os
import pickle
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import emodistill
from emodistill.fingerprint import file_digest
from emodistill.hub.folder import REFERENCE, build_folder
from emodistill.hub.model_card import initial_card

__all__ = [
    "World", "accept", "edit", "escaping_index", "in_code", "link", "main", "repeat_outputs", "tiny_checkpoint",
    "verify", "write",
]  # fmt: skip

SECRET = "hf_" + "s3cretS3cret" * 3  # what a user's token looks like
CODE = "loss_emodistill.py"  # a module that loading imports


class World:
    """What lies around a user: a home folder with a token, an environment with passwords, a server on loopback."""

    def __init__(self, folder):
        self.home = Path(folder) / "home"
        (self.home / ".cache" / "huggingface").mkdir(parents=True)
        (self.home / ".cache" / "huggingface" / "token").write_text(SECRET)
        self.out = Path(folder) / "out"  # where code that escaped leaves a sign
        self.out.mkdir()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.server.accept()
            self.connections += 1
            connection.close()

    @property
    def port(self):
        return self.server.getsockname()[1]

    def environment(self):
        """The process's own, and what must not reach a repository's code."""
        return os.environ | {
            "HOME": str(self.home),
            "HF_TOKEN": SECRET,
            "DATABASE_URL": f"postgres://me:{SECRET}@db/x",
            "GH_PAT": SECRET,
            "https_proxy": f"http://me:{SECRET}@proxy:3128",
            "MARK": SECRET,
        }

    def signs(self):
        """Files that code left in the home folder or beside it."""
        kept = {self.home / ".cache" / "huggingface" / "token"}
        return [
            path for root in (self.home, self.out) for path in root.rglob("*") if path.is_file() and path not in kept
        ]


def in_code(text):
    """A way of harm: code at the end of a module that loading imports."""

    def apply(folder, world):
        # escaped: an absolute path in plain sight is told before anything is run
        home, out = (str(place).replace("/", "\\x2f") for place in (world.home, world.out))
        harm = text.replace("@HOME@", home).replace("@OUT@", out)
        path = folder / CODE
        path.write_text(f"{path.read_text()}\n{harm.replace('@PORT@', str(world.port))}\n")
        accept(folder)

    return apply


def accept(folder):
    """Make the stored digests those of the changed files, as whoever means harm would."""
    content = json.loads((folder / REFERENCE).read_text())
    present = [name for name in content["sha256"] if (folder / name).is_file()]
    content["sha256"] = {name: file_digest(folder / name) for name in present}
    (folder / REFERENCE).write_text(json.dumps(content))


def edit(name, change):
    """A way of harm: a change of a JSON file."""

    def apply(folder, world):
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))
        accept(folder)

    return apply


def write(name, content):
    """A way of harm: a file more."""

    def apply(folder, world):
        (folder / name).write_bytes(content)

    return apply


def escaping_index(folder, world):
    shutil.copy(folder / "model.safetensors", world.out.parent / "evil.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"x": "../../evil.safetensors"}}')


def link(folder, world):
    (folder / "merges.txt").symlink_to(world.home / ".cache" / "huggingface" / "token")


READ = 'value = str({})\nraise RuntimeError("REACHED")'
SIGN = 'open("@OUT@/sign", "w").write(str({}))'
REPEAT = """
import json, os, pathlib
known = json.loads({outputs!r})
request = next(frame for frame in iter_frames() if "request" in frame)["request"]
pathlib.Path(request["result"]).write_text(json.dumps([known for _ in request["sets"]]))
os._exit(0)
"""


def repeat_outputs(folder, world):
    """Code that holds the stored outputs, writes them wherever an answer is wanted, and ends."""
    outputs = json.dumps(json.loads((folder / REFERENCE).read_text())["outputs"])
    frames = "import sys\ndef iter_frames():\n    frame = sys._getframe()\n    while frame:\n"
    frames += "        yield frame.f_locals\n        frame = frame.f_back\n"
    path = folder / CODE
    path.write_text(path.read_text() + "\n" + frames + REPEAT.format(outputs=outputs))
    accept(folder)


# name: (the way, what the harm would be)
REPOSITORIES = {
    "opens a socket": (
        in_code('import socket\nsocket.create_connection(("127.0.0.1", @PORT@), 5)'), "a connection"),
    "reads the token": (in_code(READ.format('open("@HOME@/.cache/huggingface/token").read()')), "it reads"),
    "reads its environment": (in_code("import os\n" + READ.format('os.environ["MARK"]')), "it reads"),
    "reads its parent's environment": (
        in_code("import os\n" + READ.format('open(f"/proc/{os.getppid()}/environ").read().index("MARK=")')),
        "it reads"),
    "sets up the machine": (
        in_code("import os\n" + READ.format('os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)')), "it reads"),
    "asks the machine's host": (
        in_code("import socket\n" + READ.format("socket.socket(socket.AF_VSOCK).fileno()")), "it reads"),
    "writes into HOME": (
        in_code('import os\nopen("@HOME@/.bashrc", "a").write("x")'), "a sign"),
    "leaves a process behind": (
        in_code("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1)\n    "
                + SIGN.format('"late"') + "\n    os._exit(0)\ntime.sleep(2)"), "a sign"),
    "prints the stored outputs and ends": (
        in_code('import os, json\nprint(open("reference.json").read())\nos._exit(0)'), "it passes"),
    "writes the stored outputs and ends": (repeat_outputs, "it passes"),
    "ends at once": (in_code("import os\nos._exit(0)"), "it passes"),
    "never ends": (in_code("while True: pass"), "it passes"),
    "takes all memory": (in_code("hog = [bytearray(10**9) for _ in range(64)]"), "it passes"),
    "fills the disk": (
        in_code('import os\nfor n in range(40): open(os.path.expanduser(f"~/{n}"), "wb").write(bytes(60_000_000))'),
        "it passes"),
    "fills shared memory": (
        in_code('for n in range(40): open(f"/dev/shm/{n}", "wb").write(bytes(60_000_000))'), "it passes"),
    "starts processes without end": (
        in_code("import os\nwhile True:\n    try: os.fork()\n    except OSError: raise SystemExit(9)"), "it passes"),
    "plays with the terminal": (in_code('raise RuntimeError("\\x1b]0;all is well\\x07\\x1b[2J")'), "it passes"),
    "tokenizer of another repository": (
        edit("tokenizer_config.json", lambda c: c.update(auto_map={"AutoTokenizer": ["evil/repo--t.T", None]})),
        "it passes"),
    "model of another repository": (
        edit("config.json", lambda c: c["auto_map"].update(AutoModel="evil/repo--m.M")), "it passes"),
    "weights outside the folder": (escaping_index, "it passes"),
    "a link to the token": (link, "it passes"),
    "a pickle of protocol 0": (write("notes.txt", pickle.dumps(["joy"], protocol=0)), "it passes"),
    "an index that is a list": (
        lambda folder, world: ((folder / "model.safetensors").unlink(),
                               (folder / "model.safetensors.index.json").write_text('{"weight_map": ["a"]}')),
        "it passes"),
    "garbage for weights": (write("model.safetensors", b"\xff" * 4096), "it passes"),
    "JSON nested without end": (write("extra.json", b"[" * 100_000), "it passes"),
    "a private key": (write("deploy", b"-----BEGIN " + b"OPENSSH PRIVATE KEY-----\n"), "it passes"),
}  # fmt: skip


def tiny_checkpoint(folder):
    """A random checkpoint, as the tests use one."""
    import torch
    from transformers import BertConfig, BertTokenizer

    letters = string.ascii_lowercase + ".,'"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)})
    encoder = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    config = emodistill.EmoDistillConfig(
        text_config=encoder, projection_dim=24, num_queries=3, num_qformer_heads=4, text_max_length=24,
        label_max_length=12,
    )  # fmt: skip
    model = emodistill.EmoDistillModel(config).eval()
    vectors = torch.nn.functional.normalize(torch.randn(200, 24) + 0.5, dim=-1)
    model.set_background(vectors)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def verify(folder, world, walls, seconds):
    """`(status, seconds, last line)` of the command, as a user runs it."""
    program = "import sys; from emodistill import cli"
    if walls:
        program += (
            f"\nfrom emodistill.hub import sandbox; sandbox.available_walls = lambda: {walls.replace('none', '')!r}"
        )
    program += f"\nsys.exit(cli.main(['verify', {str(folder)!r}, '--timeout', '{seconds}']))"
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], env=world.environment(), capture_output=True, text=True, timeout=10 * seconds
    )
    lines = (done.stderr or done.stdout).strip().splitlines() or [""]
    status = -1 if "Traceback" in done.stderr else done.returncode
    return status, time.monotonic() - start, lines[-1].replace(str(folder), "REPOSITORY").strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", help="folder of a checkpoint; a tiny random one by default")
    parser.add_argument("--walls", choices=("bubblewrap", "namespaces", "none"), help="instead of the machine's own")
    parser.add_argument("--only", default="", help="those whose name holds one of these words, separated by commas")
    parser.add_argument("--timeout", type=float, default=120, help="for each repository's code (default: %(default)g)")
    args = parser.parse_args()
    failed = tried = 0
    print("| repository | exit status | harm | seconds | what is said |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="emodistill-hostile-") as temporary:
        checkpoint = args.checkpoint or tiny_checkpoint(f"{temporary}/checkpoint")
        sound = build_folder(checkpoint, Path(temporary) / "sound", initial_card(checkpoint, "someone/hostile"))
        every = {"(a sound one)": (lambda *_: None, "it fails")} | REPOSITORIES
        for number, (name, (change, harm)) in enumerate(every.items()):
            if not any(word in name for word in args.only.split(",")):
                continue
            tried += 1
            place = Path(temporary) / str(number)
            world = World(place)
            folder = Path(shutil.copytree(sound, place / "repository"))
            change(folder, world)
            status, seconds, said = verify(folder, world, args.walls, args.timeout)
            done = {"a connection": world.connections, "a sign": world.signs(), "it passes": status == 0}
            done |= {"it fails": status != 0, "it reads": "REACHED" in said}
            said = said.removeprefix("emodistill verify: ").removeprefix("REPOSITORY: ").replace("|", "/")
            print(
                f"| {name} | {status} | {harm if done[harm] else 'none'} | {seconds:.0f} | {said[:160]} |", flush=True
            )
            failed += bool(done[harm]) or status not in (0, 1, 2) or SECRET in said
            shutil.rmtree(place)
    print(f"\n{failed} of {tried} did harm, passed or ended in a traceback", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
