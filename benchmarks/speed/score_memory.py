"""Memory and throughput of `emodistill score`: does either depend on the number of rows?

    python benchmarks/speed/score_memory.py --rows 100000,1000000 --model tiny      # memory alone, CSV and Parquet
    python benchmarks/speed/score_memory.py --rows 4000 --tower                     # throughput beside the text tower

Each run is a process of its own over a made-up file, into a folder of the same format; its peak memory is what the
system says it was. `--tower` times, in turn and in one process, `score` with everything that belongs to it (reading,
tokenising, deciding, writing) and the bare text tower on the same texts, tokenised and batched beforehand: by
processor time, which neither other programs nor overlapping threads flatter.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Words of forum comments; lengths are log-normal around 14 words, up to 90.
WORDS = (
    "the", "my", "we", "so", "never", "again", "today", "why", "happy", "angry", "train", "dog", "friend", "work",
    "really", "think", "about", "time", "just", "lost",
)  # fmt: skip
LABELS = (
    "admiration,amusement,anger,annoyance,approval,caring,confusion,curiosity,desire,disappointment,disapproval,"
    "disgust,embarrassment,excitement,fear,gratitude,grief,joy,love,nervousness,optimism,pride,realization,relief,"
    "remorse,sadness,surprise,neutral"
)


def write_texts(path, rows, distinct=None, seed=0):
    """A CSV or Parquet file of made-up texts, `distinct` different ones or all of them different."""
    import random

    draw = random.Random(seed)

    def text(number):
        words = draw.choices(WORDS, k=max(2, min(90, round(draw.lognormvariate(2.65, 0.6)))))
        return " ".join([*words, str(number)])

    pool = [text(number) for number in range(distinct)] if distinct else None
    texts = (pool[draw.randrange(distinct)] if pool else text(number) for number in range(rows))
    table = ((number, line, draw.choice(("north", "south", "east"))) for number, line in enumerate(texts))
    if path.suffix == ".parquet":
        _write_parquet(path, table)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write("id,text,region\n")
        file.writelines(f"{number},{line},{region}\n" for number, line, region in table)


def _write_parquet(path, table):
    import pyarrow.parquet

    kinds = pyarrow.schema({"id": pyarrow.int64(), "text": pyarrow.string(), "region": pyarrow.string()})
    with pyarrow.parquet.ParquetWriter(path, kinds) as writer:
        while rows := list(itertools.islice(table, 50_000)):
            writer.write_table(pyarrow.table(dict(zip(kinds.names, zip(*rows, strict=True), strict=True)), kinds))


def tiny_checkpoint(folder):
    """The default checkpoint's tokenizer around a random encoder that costs next to nothing."""
    import torch
    from transformers import AutoTokenizer, BertConfig

    from emodistill import EmoDistillConfig, EmoDistillModel, checkpoint_path

    tokenizer = AutoTokenizer.from_pretrained(checkpoint_path())
    encoder = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = EmoDistillModel(EmoDistillConfig(encoder, projection_dim=16, num_qformer_heads=2, num_queries=2)).eval()
    model.set_background(torch.nn.functional.normalize(torch.randn(100, 16), dim=-1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def peak_memory(source, output, model, shard_rows):
    """Seconds of processor time and peak memory in MB of one run, in a process of its own."""
    command = [
        sys.executable, "-m", "emodistill.cli", "score", str(source), "--labels", LABELS, "--multi-label",
        "--output", str(output), "--format", source.suffix[1:], "--device", "cpu", "--threads", "1", "--quiet",
        "--shard-rows", str(shard_rows), "--report", "--error-rates", "none", "--group-by", "region",
        *(["--model", model] if model else []),
    ]  # fmt: skip
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the run failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def against_the_tower(source, folder, model, repeats, batch_size=32):
    """Texts a second of processor time: of `score`, and of the text tower alone; and the median ratio."""
    import torch
    from transformers import pipeline

    from emodistill import TASK, checkpoint_path
    from emodistill.encoding_emodistill import embed_tokenized, tokenize_texts
    from emodistill.serving.columns import Layout
    from emodistill.serving.engine import TextScorer
    from emodistill.serving.folder import RunFolder
    from emodistill.serving.run import ScoringRun
    from emodistill.serving.source import Table

    torch.set_num_threads(1)
    classify = pipeline(TASK, model=checkpoint_path(model), device="cpu")
    scorer = TextScorer(classify, LABELS, batch_size=batch_size, multi_label=True)
    texts = [row.text for row in Table(str(source)).rows()]
    tokenized = tokenize_texts(classify.tokenizer, classify.model.config, texts)

    def score(number):
        run = RunFolder(Path(folder, f"scored-{number}"), "parquet")
        run.agree({})
        ScoringRun(run, scorer, Layout(tuple(scorer.names), single_label=False), quiet=True)(Table(str(source)).rows())

    pairs = []
    for number in range(repeats):
        seconds = []
        for function in (lambda: embed_tokenized(classify.model, tokenized, batch_size), lambda n=number: score(n)):
            start = time.process_time()
            function()
            seconds.append(time.process_time() - start)
        pairs.append(seconds)
    tower, whole = (len(texts) / statistics.median(column) for column in zip(*pairs, strict=True))
    return whole, tower, statistics.median(first / second for first, second in pairs)


def main(argv=None):
    """Print the figures the command line asks for.

    Args:
        argv (`list[str]`, *optional*): The arguments.

    Returns:
        `int`: 0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="100000,1000000", help="numbers of rows, separated by commas")
    parser.add_argument("--formats", default="csv,parquet", help="of the files, for memory; csv,parquet by default")
    parser.add_argument("--distinct", type=int, help="different texts; all by default")
    parser.add_argument("--model", help="a checkpoint, or tiny for a random one that costs next to nothing")
    parser.add_argument("--shard-rows", type=int, default=10_000)
    parser.add_argument("--tower", action="store_true", help="throughput beside the bare text tower, in one process")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_checkpoint(Path(folder, "tiny")) if args.model == "tiny" else args.model
        for rows, kind in itertools.product(map(int, args.rows.split(",")), args.formats.split(",")):
            source = Path(folder, f"{rows}.{kind}")
            write_texts(source, rows, args.distinct)
            if not args.tower:
                output = Path(folder, f"out-{rows}-{kind}")
                seconds, megabytes = peak_memory(source, output, model, args.shard_rows)
                told = f"{seconds:.0f} s of processor time, peak memory {megabytes:.0f} MB"
                print(f"{rows:,} rows of {kind}: {told}", flush=True)
                continue
            whole, tower, ratio = against_the_tower(source, folder, model, args.repeats)
            print(
                f"{rows:,} rows: score {whole:.0f} texts/s of processor time, text tower {tower:.0f}, "
                f"median ratio {ratio:.3f} (target at least 0.95)",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
