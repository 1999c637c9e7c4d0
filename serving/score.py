"""`emodistill score`: a table of texts in, a table of scores out, however large and however often it is stopped."""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

from ..durations import counted, duration
from ..files import writing
from ..predict import check_choice, warnings_as_lines
from .arguments import lasting, parse_score_arguments, read_labels_argument
from .columns import Layout
from .engine import TextScorer
from .folder import RunFolder
from .run import ScoringProgress, ScoringRun, share_of_environment
from .source import TextTable

__all__ = ["main"]

SHOWN = 12  # labels in the summary


def main(argv=None):
    """
    Score a table as the command line says.

    Args:
        argv (`list[str]`, *optional*): The arguments after `score`.

    Returns:
        `int`: 0; 1 where no row could be scored.

    Raises:
        `ValueError`, `OSError`, `ImportError`: in one sentence, for arguments or an input that do not fit.
    """
    args = parse_score_arguments(argv)
    share = share_of_environment()
    if share.of > 1 and (args.one_file or args.input == "-"):
        what = "--output must be a folder" if args.one_file else "the input must be a file or data set, not -"
        raise ValueError(f"with {share.of} processes, {what}")
    if args.one_file and os.path.exists(args.output) and not os.path.isdir(args.output + ".parts"):
        raise ValueError(f"--output {args.output} is there already; remove it, or name another")
    table = TextTable(
        args.input, args.text_column, args.id_column, args.labels_column, args.keep, args.group_by, args.time_column,
        args.limit, _reading(args),
    )  # fmt: skip
    _check_first_row(table)
    folder = RunFolder(args.output + ".parts" if args.one_file else args.output, args.format)
    with folder.locked(share.rank), warnings_as_lines("score"):
        outcome, scorer, known = _score(args, table, folder, share)
        if share.rank == 0 and not args.quiet and not outcome.complete:
            print("this process is done; others are still at their shards", file=sys.stderr)
        if outcome.complete:
            _finish(args, folder, outcome, scorer, known)
            if not args.quiet:
                _tell(args, outcome, scorer, share)
            tally = outcome.tally
            if tally.errors.total() == tally.rows:
                print(f"emodistill score: no row of {tally.rows:,} could be scored", file=sys.stderr)
                return 1
    return 0


def _reading(args):
    named = {name: getattr(args, name) for name in ("split", "config", "encoding", "delimiter", "quotes")}
    return {name: value for name, value in named.items() if value is not None}


def _check_first_row(table):
    """A missing column or file is told before a model is loaded; standard input can be read only once."""
    if table.source != "-" and next(iter(table.rows()), None) is None:
        raise ValueError(f"{table.source} has no rows")


def _score(args, table, folder, share):
    labels = read_labels_argument(args.labels)
    check_choice(args, labels)
    classify = _load(args, share)
    scorer = _scorer(args, classify, labels)
    known = _known(args, scorer.names)
    layout = Layout(
        labels=tuple(scorer.names),
        own_labels=args.labels_column is not None,
        single_label=not args.multi_label,
        dimensions=tuple(scorer.dimensions),
        kept=args.keep,
        id_column=args.id_column,
        text_column=None if args.no_text else args.text_column or "text",
        prefix=args.prefix,
        windows=args.windows,
    )
    described, total = table.describe()
    folder.agree(  # once all is known to fit, or a slip of the pen would be what the folder must go on with
        {"input": described, "model": {"digest": _model_digest(classify)}, "arguments": lasting(args, labels)}
    )
    run = ScoringRun(
        folder, scorer, layout, share, args.shard_rows, args.group_by is not None, args.time_column is not None,
        args.quiet,
    )  # fmt: skip
    if not args.quiet and share.rank == 0 and (done := len(folder.done())):
        print(f"going on after {counted(done, 'shard')} done before", file=sys.stderr)
    try:
        return run(table.rows(), total), scorer, known
    except KeyboardInterrupt:
        print(
            f"\n{counted(len(folder.done()), 'shard')} done; the same command goes on from there",
            file=sys.stderr,
            flush=True,
        )
        raise


def _load(args, share):
    from .load import load_quietly

    local_rank = int(os.environ.get("LOCAL_RANK", share.rank)) if share.of > 1 else None
    return load_quietly(args.model, args.device, args.threads, local_rank)


def _scorer(args, classify, labels):
    from ..predict import _dimensions, _threshold

    options = {
        "multi_label": args.multi_label or None,
        "labels_per_text": args.labels_per_text,
        "label_template": args.label_template,
        "dimensions": _dimensions(args.dimensions),
    }
    options = {name: value for name, value in options.items() if value is not None}
    options["max_windows"] = args.max_windows  # where `None` says something
    if args.threshold != "auto":
        options["threshold"] = _threshold(args.threshold)  # here too
    return TextScorer(classify, labels, args.labels_column is not None, args.batch_size, **options)


def _model_digest(classify):
    if not hasattr(classify, "model"):
        return classify.digest()
    import json

    from ..fingerprint import embedding_fingerprint
    from ..version import __version__

    decision = json.dumps(classify.model.config.decision, sort_keys=True, default=str)
    return embedding_fingerprint(classify.model, classify.tokenizer, decision, __version__)


# ---- the end


def _finish(args, folder, outcome, scorer, known):
    """What is done once, by whichever process sees that all shards are there."""
    if args.one_file:
        _join(folder, args.output)
    if args.report is not None:
        _report(args, outcome, scorer, known)
    if args.one_file:
        shutil.rmtree(folder.path, ignore_errors=True)


def _tell(args, outcome, scorer, share):
    print(_summary(outcome, scorer, share), file=sys.stderr)
    page = f"; page: {_page(args)}" if args.report is not None else ""
    print(f"written to {args.output}{page}", file=sys.stderr)


def _page(args):
    if args.report is not True:
        return Path(args.report)
    return Path(args.output).with_suffix(".report.html") if args.one_file else Path(args.output, "_report.html")


def _join(folder, path):
    """All shards as one file, a shard in memory at a time."""
    paths = folder.shard_paths()
    with writing(path, "wb") as file:
        if folder.kind != "parquet":
            header = len(_csv_header(paths)) if folder.kind == "csv" else 0
            for number, part in enumerate(paths):
                with open(part, "rb") as source:
                    source.seek(header if number else 0)
                    shutil.copyfileobj(source, file)
            return
        import pyarrow.parquet

        if paths:
            with pyarrow.parquet.ParquetWriter(
                file, pyarrow.parquet.read_schema(paths[0]), compression="zstd"
            ) as writer:
                for part in paths:
                    writer.write_table(pyarrow.parquet.read_table(part))


def _csv_header(paths):
    """The bytes in which shards begin alike: mark and names, in which a line break may stand between quotes."""
    with open(paths[0], "rb") as first:
        header = first.readline()
        while header.count(b'"') % 2:
            header += first.readline()
    return header


def _report(args, outcome, scorer, known):
    from .report import write_report

    errors = None
    if scorer.names and args.error_rates != "none":
        errors = _error_rates(args, scorer, known)
    facts = [
        ("input", args.input),
        ("model", args.model or "the default checkpoint"),
        ("labels", "any number a text" if args.multi_label else "one a text"),
        ("threshold", str(args.threshold)),
        ("scored on", time.strftime("%Y-%m-%d")),
    ]
    exclusive = not args.multi_label and args.labels_column is None
    write_report(_page(args), outcome.tally, facts, errors, exclusive, args.group_by, args.time_column)


def _known(args, names):
    """What the command line gives to correct shares by: rows with labels, [`KnownErrors`], or `None`.

    Read before the work, which may take hours, and once: a pipe has its table only once.
    """
    from .error_rates import read_labelled, read_rates

    if args.labelled:
        return read_labelled(args.labelled, names, args.text_column, args.labelled_column)
    return read_rates(args.error_rates, names) if args.error_rates not in (None, "none") else None


def _error_rates(args, scorer, known):
    """[`KnownErrors`] from where the command line says, or `None`."""
    from .error_rates import rates_from_held_out, rates_from_labelled

    if args.error_rates:
        return known
    with contextlib.ExitStack() as bars:

        def progress(shard):
            texts = counted(len(shard.rows), "labelled text" if args.labelled else "held-out text")
            if not args.quiet:
                hint = "" if args.labelled else "; --error-rates none leaves that out"
                print(f"measuring error rates for the page on {texts}{hint}", file=sys.stderr)
            bar = ScoringProgress(len(shard.rows), args.quiet)
            return bars.enter_context(contextlib.closing(bar)).of_shard(shard)

        if args.labelled:
            return rates_from_labelled(scorer, known, args.labelled, progress)
        with contextlib.suppress(OSError, ValueError, ImportError):  # not every installation has them
            return rates_from_held_out(scorer, progress=progress)
    return None


def _summary(outcome, scorer, share):
    tally = outcome.tally
    lines = [f"{counted(tally.rows, 'row')}, {counted(tally.distinct, 'different text')}"]
    if outcome.scored:
        rate = outcome.scored / max(outcome.seconds, 1e-9)
        whose = " by this process" if share.of > 1 else ""
        lines[0] += f"; {outcome.scored:,} scored{whose} in {duration(outcome.seconds)}, {rate:,.0f} a second"
    if tally.errors:
        kinds = ", ".join(f"{kind}: {count:,}" for kind, count in tally.errors.most_common(5))
        lines.append(f"rows with an error, told in their column `error`: {sum(tally.errors.values()):,} ({kinds})")
    if tally.cut:
        lines.append(
            f"texts too long to be read in full: {tally.cut:,} (--windows adds how much was read of each, "
            "--max-windows all reads them whole)"
        )
    counts = sorted(tally.total["labels"].items(), key=lambda item: -item[1][0])
    if counts:
        width = max(len(name) for name, _ in counts[:SHOWN])
        lines += [f"  {name:<{width}}  {100 * hits / max(1, asked):5.1f} %" for name, (hits, asked) in counts[:SHOWN]]
        if len(counts) > SHOWN:
            lines.append(f"  and {counted(len(counts) - SHOWN, 'more label')}")
    return "\n".join(lines)
