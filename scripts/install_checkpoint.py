"""Make a trained checkpoint one of the package's own: `install_checkpoint.py outputs/mpnet-base/final --name base`.

Only configuration, weights and tokenizer are taken. The package itself is the code, so no copy of it lies in
`checkpoints/`, and the configuration names none; the model card beside them is kept. Weights too large for one file of
a repository are stored in eight bits a value (`eight_bit_emodistill.py`).
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from emodistill.eight_bit_emodistill import is_eight_bit, write_eight_bit
from emodistill.files import write_json, writing
from emodistill.loading import CHECKPOINTS

CHECKPOINTS_FOLDER = Path(__file__).resolve().parent.parent / "checkpoints"
WEIGHTS = "model.safetensors"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
LARGEST = 95_000_000  # bytes of one file that hosts of source code take


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="folder of a trained checkpoint")
    parser.add_argument("--name", choices=tuple(CHECKPOINTS), default="small", help="which of the package's models")
    parser.add_argument("--target", type=Path, help="another folder than that model's own")
    args = parser.parse_args(argv)
    missing = [name for name in ("config.json", WEIGHTS, *TOKENIZER) if not (args.checkpoint / name).is_file()]
    if missing:
        print(
            f"{args.checkpoint / missing[0]} is missing: give the `final` folder of a finished training run",
            file=sys.stderr,
        )
        return 1
    target = args.target or CHECKPOINTS_FOLDER / CHECKPOINTS[args.name]
    target.mkdir(parents=True, exist_ok=True)
    if target.samefile(args.checkpoint):
        print(f"{args.checkpoint} is where it would be installed: give another folder as --target", file=sys.stderr)
        return 1
    install(args.checkpoint, target)
    print(f"installed in {target}")
    return 0


def install(checkpoint, target):
    """Copy a checkpoint's own files, with its weights in eight bits where they are too large for one file."""
    weights = [path for path in target.iterdir() if path.suffix == ".safetensors" or ".eight-bit." in path.name]
    for path in weights:
        path.unlink()
    if (checkpoint / WEIGHTS).stat().st_size > LARGEST:
        from safetensors.torch import load_file

        write_eight_bit(load_file(checkpoint / WEIGHTS), str(target))
        assert is_eight_bit(target)
    else:
        _copy(checkpoint / WEIGHTS, target / WEIGHTS)
    for name in TOKENIZER:
        _copy(checkpoint / name, target / name)
    if (record := checkpoint / "training.json").is_file():
        _copy(record, target / record.name)
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    for name in ("auto_map", "custom_pipelines"):
        config.pop(name, None)
    write_json(target / "config.json", config, sort_keys=True)


def _copy(source, target):
    with open(source, "rb") as read, writing(target, "wb") as written:
        shutil.copyfileobj(read, written)


if __name__ == "__main__":
    sys.exit(main())
