"""Print speed and size figures: ratios of two arms timed in turn within one run, and parameter counts.

The time an import takes is told by scripts/import_time.py.

    python scripts/speed.py                       # the default checkpoint
    python scripts/speed.py --model FOLDER --threads 2 --repeats 15

"Text tower" is encoder, head and projection. Nothing is asserted: the machine decides.
"""

import argparse
import random
import statistics
import sys
import time

LABELS = 1000
STEP_TEXTS, STEP_LENGTH, STEP_LABELS = 64, 32, 256

# Texts of the lengths of forum comments: mostly a sentence, some a paragraph. The words do not matter to a clock.
WORDS = (
    "the", "my", "we", "so", "never", "again", "today", "why", "happy", "angry", "train", "dog", "friend", "work",
    "really", "think", "about", "time", "just", "lost",
)  # fmt: skip


def made_up_texts(number, seed=0):
    """Texts whose lengths follow a log-normal distribution with a median of 14 words, up to 90."""
    draw = random.Random(seed)
    return [
        " ".join(draw.choices(WORDS, k=max(2, min(90, round(draw.lognormvariate(2.65, 0.6)))))) for _ in range(number)
    ]


def in_turn(first, second, repeats, clock=time.perf_counter):
    """Median seconds of two functions called in turn, and the median of the ratios of neighbouring calls.

    Neighbours share whatever else the machine is doing, so their ratio is steadier than that of two totals.
    """
    first(), second()  # warm up
    pairs = []
    for number in range(repeats):
        order = (first, second) if number % 2 == 0 else (second, first)
        seconds = []
        for function in order:
            start = clock()
            function()
            seconds.append(clock() - start)
        pairs.append(tuple(seconds if number % 2 == 0 else reversed(seconds)))
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return *medians, statistics.median(one / other for one, other in pairs)


def labels_cost(classify, number, timing):
    """(a) Seconds a text with 1,000 cached labels against 5."""
    texts = made_up_texts(number, seed=1)
    many = [f"feeling {number}" for number in range(LABELS)]
    few = many[:5]
    arms = [lambda labels=labels: classify(texts, labels=labels, top_k=5) for labels in (many, few)]
    slow, fast, ratio = in_turn(*arms, **timing)
    print(
        f"(a) {LABELS} cached labels: {1e3 * slow / len(texts):.3f} ms a text; 5 labels: "
        f"{1e3 * fast / len(texts):.3f} ms; ratio {ratio:.3f} (target at most 1.05)"
    )


def sorted_batches(classify, texts, batch_size):
    """The same texts, tokenised, sorted by length, padded and batched: what the text tower alone would be given."""
    import torch

    ids = sorted(classify.tokenizer(texts, truncation=True, max_length=128)["input_ids"], key=len)
    batches = []
    for start in range(0, len(ids), batch_size):
        rows = ids[start : start + batch_size]
        length = max(map(len, rows))
        padded = [row + [classify.tokenizer.pad_token_id] * (length - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (length - len(row)) for row in rows]
        batches.append((torch.tensor(padded), torch.tensor(mask)))
    return batches


def throughput(classify, number, timing):
    """(b) Texts a second of the pipeline, from strings to dictionaries, against the text tower alone."""
    import torch

    texts = made_up_texts(number, seed=2)
    labels = ["joy", "anger", "sadness", "fear", "disgust", "surprise", "neutral"]
    best = None
    for batch_size in (8, 16, 32, 64):
        batches = sorted_batches(classify, texts, batch_size)

        def tower(batches=batches):
            with torch.inference_mode():
                for input_ids, mask in batches:
                    classify.model.get_text_features(input_ids, mask)

        def whole(batch_size=batch_size):
            classify(texts, labels=labels, batch_size=batch_size)

        seconds, alone, ratio = in_turn(whole, tower, **timing)
        print(
            f"    batch size {batch_size}: pipeline {len(texts) / seconds:.0f} texts/s, "
            f"text tower {len(texts) / alone:.0f} texts/s, ratio {1 / ratio:.3f}"
        )
        if best is None or seconds < best[1]:
            best = batch_size, seconds, 1 / ratio
    print(
        f"(b) pipeline at its best batch size {best[0]}: {best[2]:.3f} of the text tower's own (target at least 0.9)"
    )


def training_step(model, timing):
    """(c) A training step with a frozen, cached label tower against the text tower's own forward and backward."""
    import torch

    from emodistill.training.objective import Objective

    model.freeze_label_encoder()
    model.train()
    vocabulary = 4 * STEP_LABELS
    states = torch.randn(vocabulary, model.config.label_config.hidden_size)
    input_ids = torch.randint(1000, 2000, (STEP_TEXTS, STEP_LENGTH))
    mask = torch.ones_like(input_ids)
    ids = torch.randperm(vocabulary)[:STEP_LABELS].sort().values
    targets = (torch.rand(STEP_TEXTS, vocabulary) < 0.02).float()
    batch = {"label_ids": ids, "targets": targets, "ratings": torch.full((STEP_TEXTS, 3), 5.0)}
    synonyms = torch.rand(vocabulary, vocabulary) < 0.02
    objective = Objective(model, synonyms, torch.full((vocabulary, 3), 5.0), 1.0)

    def step():
        output = model(input_ids=input_ids, attention_mask=mask, label_states=states[ids])
        objective(output, batch).backward()
        model.zero_grad()

    def tower():
        model.get_text_features(input_ids, mask).sum().backward()
        model.zero_grad()

    whole, alone, ratio = in_turn(step, tower, **timing)
    print(
        f"(c) forward and backward of a training step ({STEP_TEXTS} texts of {STEP_LENGTH} tokens, {STEP_LABELS} "
        f"labels): {whole:.3f} s; text tower alone: {alone:.3f} s; ratio {ratio:.3f} (target at most 1.15)"
    )
    model.eval()


def count(*modules):
    """Parameters of some modules, shared ones once."""
    return sum({id(value): value.numel() for module in modules for value in module.parameters()}.values())


def sizes(name, model):
    """(d) Parameters and bytes of the text tower and of the whole checkpoint."""
    parts = [model.text_encoder, model.text_projection, *([model.qformer] if model.qformer is not None else [])]
    tower = count(*parts)
    kept = ("background", "reference")
    buffers = sum(buffer.numel() for part, buffer in model.named_buffers() if part.startswith(kept))
    whole = count(model) + buffers
    print(
        f"(d) {name}: text tower {tower / 1e6:.1f} M parameters, {4 * tower / 1e6:.0f} MB in fp32, "
        f"{2 * tower / 1e6:.0f} MB in half precision; whole checkpoint {whole / 1e6:.1f} M values, "
        f"{4 * whole / 1e6:.0f} MB in fp32, {2 * whole / 1e6:.0f} MB in half precision"
    )
    return tower, whole


def paper_model():
    """The paper's system at full size with random weights: BERT-base twice, Q-Former, projections to 768."""
    from transformers import BertConfig

    from emodistill import EmoDistillConfig, EmoDistillModel

    config = EmoDistillConfig(
        text_config=BertConfig(), label_config=BertConfig(), pooling="qformer", num_qformer_heads=12,
        projection_dim=768, freeze_label_encoder=True, dimension_names=[],
    )  # fmt: skip
    return EmoDistillModel(config)


def main(argv=None):
    """Print the figures the command line asks for.

    Args:
        argv (`list[str]`, *optional*): The arguments.

    Returns:
        `int`: 0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or Hub id of a checkpoint; the default one by default")
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice by default")
    parser.add_argument("--texts", type=int, default=1024, help="made-up texts that each arm scores")
    parser.add_argument("--repeats", type=int, default=9, help="turns of each pair of arms")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="time that passes, or processor time of this process: steadier on a busy machine, for one thread",
    )
    parser.add_argument("--parts", default="abcd", help="which of the figures a to d")
    args = parser.parse_args(argv)
    import torch
    from transformers import pipeline
    from transformers.utils import logging

    import emodistill

    logging.disable_progress_bar()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    classify = pipeline(emodistill.TASK, model=args.model, device="cpu")
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    timing = {"repeats": args.repeats, "clock": clock}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, fp32, CPU, {args.clock} time")
    if "a" in args.parts:
        labels_cost(classify, args.texts, timing)
    if "b" in args.parts:
        throughput(classify, args.texts, timing)
    if "c" in args.parts:
        folder = args.model or emodistill.DEFAULT_CHECKPOINT
        training_step(emodistill.EmoDistillModel.from_pretrained(folder), timing)
    if "d" in args.parts:
        ours = sizes("this checkpoint", classify.model)
        papers = sizes("the paper's BERT-base system", paper_model())
        print(f"    text tower {papers[0] / ours[0]:.1f} times smaller, checkpoint {papers[1] / ours[1]:.1f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
