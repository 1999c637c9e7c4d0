"""The page itself, and what a Hub Space runs.

`EMODISTILL_MODEL` names another checkpoint, a folder or a Hub id; several, separated by commas, are offered to choose
from. Nothing is fetched from elsewhere by the page: no web font, no remote script, no analytics, no version check.
"""

import os
import tempfile

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr

from ..durations import counted
from .drawing import STYLE, draw_notice, draw_result, draw_table, draw_words
from .scoring import DEFAULT_THRESHOLDS, PRESETS, Mistake, Models, explain_text, published_models, score_text
from .uploads import (
    MOST_BYTES,
    MOST_COLUMNS,
    MOST_ROWS,
    SUFFIXES,
    guess_text_column,
    read_table,
    score_table,
    write_table,
)

__all__ = ["build_page", "launch_options", "run_space"]

OWN = "Your own"
ONE, ANY = "One label", "Any number of labels"
EXAMPLES = (
    "I waited all year for this show, and now they cancelled it.",
    "They found him alive! I can finally breathe again.",
    "He got fired? Couldn't have happened to a nicer guy.",
    "The meeting starts at nine.",
)
FIRST_LABELS = "joy, anger, sadness, fear, disappointment, surprise, relief, schadenfreude"
INTRODUCTION = """# Zero-shot emotion recognition

Type an English text and any emotion labels, and see how well each fits."""
LIMITS = """**What this is not fit for.** Emotion read from text is uncertain, and this model repeats its teacher's
biases. Do not use it for decisions about people (employment, credit, policing, education), for diagnosis or crisis
detection, or to watch what individuals feel. Use it for research and for aggregate figures that somebody checks.
English only."""


def build_page(models):
    """
    Put the page together.

    Args:
        models ([`Models`]): The checkpoints that it offers.

    Returns:
        `gradio.Blocks`: the page, to be launched with [`launch_options`].
    """
    with gr.Blocks(title="emodistill", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                settings = _settings(models.names)
            with gr.Column(scale=3, min_width=300):
                first = (EXAMPLES[0], FIRST_LABELS, ONE, DEFAULT_THRESHOLDS[False], models.names[0], False)
                result = gr.HTML(_score(models, *first), elem_id="result", container=True, padding=True)
                gr.Examples([[text] for text in EXAMPLES], settings[0], label="Examples", elem_id="examples")
        with gr.Accordion("Score a file of texts", open=False, elem_id="file-section"):
            _file_section(models, settings[1:5])
        gr.Markdown(LIMITS, elem_id="limits")
        _connect(models, settings, result)
    return page


def launch_options(names=None):
    """
    Arguments of `launch`: system fonts, nothing shared, and no link or endpoint beyond the page's own.

    Args:
        names (`Iterable[str]`, *optional*): Host names under which alone the page answers, see [`Guard`].

    Returns:
        `dict`
    """
    from starlette.middleware import Middleware

    from .guard import Guard

    fonts = [gr.themes.Font(name) for name in ("Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")]
    mono = [gr.themes.Font(name) for name in ("Consolas", "Menlo", "monospace")]
    guard = [Middleware(Guard, names=names)] if names is not None else []
    return {
        # gradio's own hints are too pale to read
        "theme": gr.themes.Default(primary_hue="blue", font=fonts, font_mono=mono).set(
            block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300"
        ),
        "css": STYLE,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "share": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "app_kwargs": {"middleware": guard},
        "max_file_size": 4 * MOST_BYTES,  # the reader names the limit; this ends an upload that is far beyond it
    }


def _settings(names):
    """The fields that say what to score, in the order in which `score_text` takes them."""
    text = gr.Textbox(EXAMPLES[0], label="Text", lines=3, max_lines=8, elem_id="text")
    preset = gr.Dropdown([OWN, *PRESETS], value=OWN, label="Label set", elem_id="preset", filterable=False)
    labels = gr.Textbox(
        FIRST_LABELS, label="Labels", info="Any words, separated by commas", lines=2, max_lines=6, elem_id="labels"
    )
    mode = gr.Radio([ONE, ANY], value=ONE, label="How many hold", elem_id="mode")
    threshold = gr.Slider(
        0.0, 1.0, value=DEFAULT_THRESHOLDS[False], step=0.01, label="Threshold", elem_id="threshold",
        info="A label is predicted from this score on", buttons=[],
    )  # fmt: skip
    # The number's field is empty while somebody types into it: the page then says what is missing. (gradio writes a
    # file beside the code for every subclass of a component, so this one is changed in place.)
    threshold.preprocess = lambda payload: payload
    # Typing one's own labels leaves the set; what stands in the field stays when one's own is chosen.
    labels.input(lambda: OWN, None, preset, show_progress="hidden", api_visibility="private", queue=False)
    preset.input(
        lambda name: PRESETS.get(name, gr.skip()), preset, labels,
        show_progress="hidden", api_visibility="private", queue=False,
    )  # fmt: skip
    mode.input(
        lambda mode: DEFAULT_THRESHOLDS[mode == ANY], mode, threshold,
        show_progress="hidden", api_visibility="private", queue=False,
    )  # fmt: skip
    model = gr.Radio(
        names, value=names[0], label="Model", elem_id="model", visible=len(names) > 1,
        info="The larger one reads better and takes longer",
    )  # fmt: skip
    words = gr.Checkbox(False, label="Mark the words that tell for the best label", elem_id="words")
    return text, labels, mode, threshold, model, words


def _connect(models, settings, result):
    text, labels, mode, threshold, model, words = settings
    gr.on(
        [text.change, labels.change, mode.change, threshold.change, model.change, words.change],
        lambda *values: _score(models, *values),
        list(settings),
        result,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )


def _score(models, text, labels, mode, threshold, model, words):
    """HTML of a result, or of what is to be put right."""
    try:
        classify = models.get(model)
        scored = score_text(classify, text, labels, mode == ANY, threshold)
        marked = _marked(classify, text, labels, mode == ANY, scored) if words else ""
    except Mistake as mistake:
        return draw_notice(str(mistake))
    return draw_result(scored, mode == ANY, float(threshold)) + marked


def _marked(classify, text, labels, multi_label, scored):
    explanation = explain_text(classify, text, labels, multi_label, scored["labels"][0])
    if explanation is None:
        return draw_notice("The text is too long to mark its words.", fine=True)
    return draw_words(explanation)


def _file_section(models, settings):
    """A file of texts in, a scored one out, with the labels, mode, threshold and model above."""
    kinds = ", ".join(suffix.removeprefix(".").upper() for suffix in SUFFIXES.values())
    gr.Markdown(
        f"A file ({kinds}; at most {MOST_ROWS:,} rows, {MOST_COLUMNS:,} columns and {MOST_BYTES / 1e6:.0f} MB) is "
        "scored with the settings above and comes back as CSV. Files are deleted after about an hour."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            upload = gr.File(
                label="File of texts", file_types=[*SUFFIXES.values(), ".tab", ".ndjson"], height=140, elem_id="csv-in"
            )
            column = gr.Dropdown([], label="Column with the texts", elem_id="column", filterable=False)
            formulas = gr.Checkbox(
                False, label="Keep cells that begin like a formula", elem_id="formulas",
                info="Otherwise they get an apostrophe in front, so that no spreadsheet runs them",
            )  # fmt: skip
            button = gr.Button("Score the file", variant="primary", elem_id="score-file")
        with gr.Column(scale=3, min_width=280):
            message = gr.HTML(elem_id="csv-message")
            scored = gr.File(label="Scored CSV file", visible=False, interactive=False, elem_id="csv-out")
    upload.change(_look_at, upload, [column, message, scored], show_progress="hidden", api_visibility="private")

    def run(path, column, formulas, *settings, progress=gr.Progress()):  # noqa: B008 (gradio looks for it there)
        return _score_file(models, path, column, formulas, *settings, lambda done, rows: progress((done, rows)))

    button.click(run, [upload, column, formulas, *settings], [message, scored], api_visibility="private")


def _look_at(path):
    """What is known of a file as soon as it is chosen: its columns and first rows, or what is wrong with it."""
    nothing = gr.Dropdown(choices=[], value=None), "", gr.File(value=None, visible=False)
    if path is None:
        return nothing
    try:
        table = read_table(path)
        column = guess_text_column(table)
    except Mistake as mistake:
        return nothing[0], draw_notice(str(mistake)), nothing[2]
    said = f"{counted(len(table.rows), 'row')}; the texts seem to be in the column {column!r}.{_problems(table)}"
    found = draw_notice(said, fine=True)
    return gr.Dropdown(choices=table.header, value=column), found + draw_table(table), nothing[2]


def _problems(table):
    """A sentence on rows that could not be read."""
    if not table.problems:
        return ""
    number, first = len(table.problems), next(iter(table.problems.values()))
    return f" {counted(number, 'row')} cannot be read whole and will not be scored ({first})."


def _score_file(models, path, column, formulas, labels, mode, threshold, model, progress):
    nothing = gr.File(value=None, visible=False)
    if path is None:
        return draw_notice("Choose a file first."), nothing
    try:
        table = read_table(path)
        classify = models.get(model)
        scored, without = score_table(classify, table, column, labels, mode == ANY, threshold, progress)
    except Mistake as mistake:
        return draw_notice(str(mistake)), nothing
    # Beside the upload, in the folder that gradio clears.
    stem = os.path.splitext(os.path.basename(path))[0]
    output = os.path.join(tempfile.mkdtemp(dir=os.path.dirname(path)), f"{stem}-scored.csv")
    note = write_table(scored, output, formulas)
    said = f"{counted(len(table.rows) - without, 'row')} scored."
    if blank := without - len(table.problems):
        said += f" {blank:,} without text left blank."
    said += _problems(table).replace("will not be", "were not")
    said += f" {note}." if note else ""
    return draw_notice(said, fine=True) + draw_table(scored), gr.File(value=output, visible=True)


def run_space():
    """Run the page as a Hub Space does, with the checkpoints that `EMODISTILL_MODEL` names."""
    build_page(Models(published_models())).launch(**launch_options())


if __name__ == "__main__":
    run_space()
