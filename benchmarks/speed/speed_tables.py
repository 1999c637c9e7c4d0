"""What was measured as tables, and as one page of them."""

from ..result_tables import ResultTable

__all__ = ["COLUMNS", "part_table", "speed_page"]

# part: its heading, and its columns: key, heading, format
COLUMNS = {
    "backends": (
        "Backends and peers",
        (
            ("system", "", "{}"),
            ("texts_per_second", "texts a second", "{:,.1f}"),
            ("times_the_first", "times the first", "{:.2f}"),
        ),
    ),
    "labels": (
        "Number of labels",
        (
            ("system", "", "{}"),
            ("labels", "labels", "{:,}"),
            ("texts_per_second", "texts a second", "{:,.1f}"),
            ("times_the_first", "times its rate with fewest", "{:.2f}"),
        ),
    ),
    "lengths": (
        "Length of texts",
        (
            ("words", "words", "{:,}"),
            ("system", "", "{}"),
            ("texts_per_second", "texts a second", "{:,.1f}"),
            ("times_the_first", "times the first", "{:.2f}"),
        ),
    ),
    "batches": (
        "Batch size",
        (
            ("batch_size", "batch size", "{}"),
            ("system", "", "{}"),
            ("texts_per_second", "texts a second", "{:,.1f}"),
            ("times_the_first", "of the tower", "{:.2f}"),
        ),
    ),
    "threads": (
        "Threads",
        (
            ("system", "", "{}"),
            ("threads", "threads", "{}"),
            ("texts_per_second", "texts a second", "{:,.1f}"),
            ("times_the_first", "times one thread", "{:.2f}"),
        ),
    ),
    "latency": (
        "One text a call",
        (
            ("threads", "threads", "{}"),
            ("system", "", "{}"),
            ("p50_ms", "p50, ms", "{:,.1f}"),
            ("p99_ms", "p99, ms", "{:,.1f}"),
            ("times_the_bare_forward", "times the bare forward", "{:.2f}"),
        ),
    ),
    "score": (
        "`emodistill score`, file to files",
        (
            ("system", "", "{}"),
            ("rows", "rows", "{:,}"),
            ("texts_per_second", "texts a second", "{:,.1f}"),
            ("tower_texts_per_second", "text tower alone", "{:,.1f}"),
            ("share_of_the_tower", "share", "{:.3f}"),
        ),
    ),
    "cold": (
        "From a cold start",
        (
            ("system", "", "{}"),
            ("loaded_seconds", "loaded, s", "{:.2f}"),
            ("first_answer_seconds", "first answer, s", "{:.2f}"),
            ("second_answer_ms", "second answer, ms", "{:.1f}"),
            ("memory_megabytes", "peak memory, MB", "{:,.0f}"),
        ),
    ),
    "import": (
        "Import",
        (
            ("transformers_seconds", "classes of transformers, s", "{:.3f}"),
            ("emodistill_seconds", "`import emodistill` on top, s", "{:.3f}"),
            ("from_seconds", "least", "{:.3f}"),
            ("to_seconds", "most", "{:.3f}"),
        ),
    ),
    "training": (
        "A training step with a frozen, cached label tower",
        (
            ("texts", "texts", "{}"),
            ("tokens", "tokens", "{}"),
            ("labels", "labels", "{}"),
            ("step_seconds", "forward and backward, s", "{:.3f}"),
            ("tower_seconds", "text tower's own, s", "{:.3f}"),
            ("times_the_tower", "ratio", "{:.2f}"),
        ),
    ),
    "sizes": (
        "Size",
        (
            ("system", "", "{}"),
            ("tower_parameters", "text tower, parameters", "{:,}"),
            ("parameters", "whole, parameters", "{:,}"),
            ("values_of_buffers", "background and reference, values", "{:,}"),
            ("half_precision_bytes", "bytes in half precision", "{:,}"),
        ),
    ),
}


def part_table(name, rows):
    """
    What one part measured, as a table.

    Args:
        name (`str`): The part, a key of [`COLUMNS`].
        rows (`list[dict]`): Its rows; a key that one lacks is an empty cell.

    Returns:
        [`ResultTable`]

    Example:

    ```python
    >>> from emodistill.benchmarks.speed.speed_tables import part_table

    >>> print(part_table("threads", [{"system": "torch fp32", "threads": 2}]).markdown())
    **Threads**
    <BLANKLINE>
    |  | threads | texts a second | times one thread |
    |---|---|---|---|
    | torch fp32 | 2 |  |  |
    <BLANKLINE>

    ```
    """
    title, columns = COLUMNS[name]
    cells = [[form.format(row[key]) if key in row else "" for key, _, form in columns] for row in rows]
    return ResultTable(title, [heading for _, heading, _ in columns], cells)


def speed_page(results):
    """All parts of a run as one page of Markdown, with what it was run on."""
    machine = ", ".join(f"{key} {value}" for key, value in results["environment"].items())
    parts = [part_table(name, rows).markdown() for name, rows in results["parts"].items()]
    return f"`{results['command']}`\n\n{machine}\n\n" + "\n".join(parts)
