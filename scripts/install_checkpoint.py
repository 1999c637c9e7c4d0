"""Make a trained checkpoint the package's default: `install_checkpoint.py outputs/minilm/final`.

Only configuration, weights and tokenizer are taken. The package itself is the code, so no copy of it lies in
`checkpoints/`, and the configuration names none; the model card beside them is kept.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from emodistill.files import write_json, writing

TARGET = Path(__file__).resolve().parent.parent / "checkpoints" / "emodistill-minilm-l6"
FILES = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")
LARGEST = 95_000_000  # bytes of one file that hosts of source code take


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of a trained checkpoint")
    parser.add_argument("--target", type=Path, default=TARGET)
    args = parser.parse_args(argv)
    for name in ("config.json", *FILES):
        path = args.checkpoint / name
        if not path.is_file():
            print(f"{path} is missing: give the `final` folder of a finished training run", file=sys.stderr)
            return 1
        if path.stat().st_size > LARGEST:
            print(
                f"{path} has {path.stat().st_size} bytes, over {LARGEST}: export it in half precision", file=sys.stderr
            )
            return 1
    config = json.loads((args.checkpoint / "config.json").read_text(encoding="utf-8"))
    for name in ("auto_map", "custom_pipelines"):
        config.pop(name, None)
    args.target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with open(args.checkpoint / name, "rb") as source, writing(args.target / name, "wb") as file:
            shutil.copyfileobj(source, file)
    write_json(args.target / "config.json", config, sort_keys=True)
    print(f"installed in {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
