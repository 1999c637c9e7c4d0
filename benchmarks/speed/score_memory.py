"""Peak memory and time of `emodistill score`: does memory depend on the number of rows?

    python -m emodistill.benchmarks.speed.score_memory --rows 100000,1000000 --model tiny      # CSV and Parquet

Each run is a process of its own over a made-up file, into a folder of the same format; its peak memory is what the
system says it was. Its throughput beside the bare text tower is the part `score` of the speed suite.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .files import write_table_of_texts
from .texts import FEELINGS

__all__ = ["costless_checkpoint", "main", "peak_memory"]


def costless_checkpoint(folder):
    """The default checkpoint's tokenizer around a random encoder that costs next to nothing."""
    import torch
    from transformers import AutoTokenizer, BertConfig

    from ... import EmoDistillConfig, EmoDistillModel, checkpoint_path

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
        sys.executable, "-m", "emodistill.cli", "score", str(source), "--labels", ",".join(FEELINGS), "--multi-label",
        "--output", str(output), "--format", source.suffix[1:], "--device", "cpu", "--threads", "1", "--quiet",
        "--shard-rows", str(shard_rows), "--report", "--error-rates", "none", "--group-by", "region",
        *(["--model", model] if model else []),
    ]  # fmt: skip
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the run failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(argv=None):
    """Print the figures the command line asks for.

    Args:
        argv (`list[str]`, *optional*): The arguments.

    Returns:
        `int`: 0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="100000,1000000", help="numbers of rows, separated by commas")
    parser.add_argument("--formats", default="csv,parquet", help="of the files; csv,parquet by default")
    parser.add_argument("--distinct", type=int, help="different texts; all by default")
    parser.add_argument("--model", help="a checkpoint, or tiny for a random one that costs next to nothing")
    parser.add_argument("--shard-rows", type=int, default=10_000)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        model = costless_checkpoint(Path(folder, "tiny")) if args.model == "tiny" else args.model
        for rows, kind in itertools.product(map(int, args.rows.split(",")), args.formats.split(",")):
            source = Path(folder, f"{rows}.{kind}")
            write_table_of_texts(source, rows, args.distinct)
            seconds, megabytes = peak_memory(source, Path(folder, f"out-{rows}-{kind}"), model, args.shard_rows)
            told = f"{seconds:.0f} s of processor time, peak memory {megabytes:.0f} MB"
            print(f"{rows:,} rows of {kind}: {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
