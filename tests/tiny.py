"""One builder of tiny models for all tests, and made-up texts to train and measure them on.

Shared by every room's tests; a new test takes these instead of building its own:

- `tokenizer()`: a fast WordPiece tokenizer that spells unknown words letter by letter.
- `encoder_config(**changes)`: a BERT of two layers, 32 wide.
- `config(**changes)`, `model(seed=0, background=True, **changes)`: an `EmoDistillConfig`, a random `EmoDistillModel`.
- `save_checkpoint(folder, **changes)`: a complete checkpoint folder, with background, reference words and tokenizer.
- `FEELINGS`, `rows(count)`, `LEXICON`: texts with labels in the format that `emodistill annotate` writes, ratings.

Fixtures of `conftest.py` with the same contents, made once a test run: `tokenizer`, `encoder_config`, `tiny_config`,
`tiny_model`, `encoder_folder`, `checkpoint`, `classify`, `rows_file`, `lexicon_file`. A process that is killed,
interrupted or run several times comes from `forkserver.py`, which has torch and the package loaded already.
"""

import json
import random

import torch
from transformers import BertConfig, BertTokenizer

from emodistill import EmoDistillConfig, EmoDistillModel

WORDS = """
joy anger relief fear sadness neutral delight rage calm happy angry sad boredom love pride feeling of person feels
the a i we he she it was is not and so very my dog cat birthday train late day sun rain cried laughed lost won
""".split()  # noqa: SIM905
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FEELINGS = {
    "joy": ("i laughed so", "my birthday was sunny", "happy happy day"),
    "anger": ("he was late and so angry", "the dog was angry", "rage rage"),
    "sadness": ("she cried all day", "my cat lost the train", "so sad in the rain"),
    "calm": ("the sun and the sun", "a calm day", "it was calm"),
}
LEXICON = """descriptor\tvalence\tarousal\tdominance\timplies
joy\t8.5\t7.0\t6.5\thappy, delight
anger\t2.0\t7.5\t6.0\trage
sadness\t2.0\t3.0\t3.0\tsad
calm\t7.0\t1.5\t6.0\t
"""


def tokenizer():
    """A fast BERT tokenizer that spells unknown words letter by letter."""
    pieces = [*SPECIAL, *WORDS, *CHARACTERS, *(f"##{character}" for character in CHARACTERS)]
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(dict.fromkeys(pieces))})


def encoder_config(**changes):
    """A BERT of two layers, 32 wide."""
    values = {
        "vocab_size": len(tokenizer()),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    return BertConfig(**(values | changes))


def config(**changes):
    """An `EmoDistillConfig` around it."""
    values = {
        "text_config": encoder_config(),
        "projection_dim": 24,
        "num_queries": 3,
        "num_qformer_heads": 4,
        "text_max_length": 24,
        "label_max_length": 12,
    }
    return EmoDistillConfig(**(values | changes))


def model(seed=0, background=True, **changes):
    """A random model in evaluation mode, off its neat start."""
    torch.manual_seed(seed)
    built = EmoDistillModel(config(**changes)).eval()
    with torch.no_grad():  # the heads start neat (identity, zeros), which would hide mistakes
        for name, parameter in built.named_parameters():
            if name.split(".")[0] not in ("text_encoder", "label_encoder"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    if background:
        vectors = torch.randn(200, built.config.projection_dim) + 0.5
        built.set_background(torch.nn.functional.normalize(vectors, dim=-1))
    return built


def save_checkpoint(folder, seed=0, background=True, reference=100, **changes):
    """Save a complete checkpoint: a random model, its background, reference words, its tokenizer; the folder."""
    built = model(seed, background, **changes)
    if reference:
        size = (2, reference, built.config.projection_dim)
        words = torch.nn.functional.normalize(torch.randn(size), dim=-1)
        built.set_reference([f"word {number}" for number in range(reference)], *words)
    built.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def rows(count=240, seed=3):
    """Made-up rows in the format that `emodistill annotate` writes, and one that was refused."""
    chooser = random.Random(seed)
    made = []
    for number in range(count):
        label = chooser.choice(sorted(FEELINGS))
        text = f"{chooser.choice(FEELINGS[label])} {'abc'[number % 3]} {number}"
        labels = [label, *chooser.sample(["delight", "fear", "relief"], k=number % 3)]
        made.append({"id": str(number), "source": "made up", "text": text, "labels": labels, "status": "ok"})
    return [*made, {"id": "x", "text": "refused", "labels": [], "status": "refused"}]


def write_rows(path, content):
    """Rows as JSON lines; the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path
