"""What a call asks for and what it gets: labels, thresholds and dimensions in, dictionaries out. Without torch.

The pipeline and the exported model share this, so that the same call has the same answer in both.
"""

import collections.abc
import functools
import importlib

import numpy as np

from .decision_emodistill import dimension_scores, score_labels
from .inputs_emodistill import is_blank, many_texts, one_ahead, read_ahead, read_inputs
from .labels_emodistill import LabelSet
from .options_emodistill import CHECKS, UNSET, given, known, names_in, one_of, read_batch_size
from .progress_emodistill import Bar
from .results_emodistill import (
    add_labels,
    blank_scores,
    null_result,
    predicted_labels,
    read_thresholds,
    to_frame,
    uses_auto,
)
from .telling_emodistill import TellsOnce

__all__ = ["DEFAULT_BATCH_SIZE", "UNSET", "EmotionCalls"]

DEFAULT_BATCH_SIZE = 32
UNHEEDED_NUMBER = "labels_per_text is for multi_label=True, and goes unheeded without it"
NO_LABELS = "labels is missing: give the emotion labels to choose from, for instance joy,anger"


class EmotionCalls(TellsOnce):
    """
    Mixin of whatever scores texts.

    A class that mixes it in has

    - `dimension_names`: the built-in dimensions;
    - `constants`: the [`DecisionConstants`] to decide by;
    - `background`: mean and covariance of the checkpoint's background, or `None`;
    - `tokenize_texts(texts, max_windows, normalise)`: [`~tokenizing_emodistill.TokenizedTexts`] of strings;
    - `embed_tokenized(tokenized, batch_size, progress)`: their embeddings, on the CPU;
    - `_embedded(label_set)`: [`EmbeddedLabels`] of a [`LabelSet`], and the [`LabelStatistics`] to score against;
    - `_head(embeds)`: built-in dimensions of embedded texts, a list of rows;
    - `_forward_params`: what its constructor says of how texts are read.
    """

    def _sanitize_parameters(
        self,
        labels=UNSET,
        candidate_labels=UNSET,
        label_template=UNSET,
        hypothesis_template=UNSET,
        threshold=UNSET,
        **others,
    ):
        """Arguments of a call, checked, as those of `preprocess`, `_forward` and `postprocess`; `None` is a value."""
        labels = one_of("labels", labels, "candidate_labels", candidate_labels)
        template = one_of("label_template", label_template, "hypothesis_template", hypothesis_template)
        if given(template) and (not isinstance(template, str) or "{}" not in template):
            raise ValueError(f"label_template must hold {{}} where the label goes, not {template!r}")
        if isinstance(labels, collections.abc.Iterator):
            labels = list(labels)  # read more than once
        if isinstance(others.get("dimensions"), collections.abc.Iterator):
            others["dimensions"] = list(others["dimensions"])
        parts = ({}, {}, {"labels": labels, "template": template, "threshold": threshold})
        for name, value in others.items():
            if name not in CHECKS:
                unknown = ", ".join(sorted(set(others) - set(CHECKS)))
                raise ValueError(f"unknown argument {unknown} for the zero-shot-emotion pipeline")
            step, fits, words = CHECKS[name]
            if value is not UNSET and not fits(value):
                raise ValueError(f"{name} must be {words}, not {value!r}")
            parts[step][name] = value
        parts = tuple({name: value for name, value in part.items() if value is not UNSET} for part in parts)
        if parts[2].get("adaptation") is not None:
            parts = (*parts[:2], _serving("adapt").with_adaptation(parts[2], parts[2]["adaptation"]))
            labels = parts[2].get("labels")
        if hasattr(labels, "give_to"):  # a label bank brings its embeddings along
            labels.give_to(self)
        # Parsed here, so that bad labels are told before any text is read.
        if parts[2].get("labels") is not None:
            LabelSet.parse(labels, parts[2].get("template"))
        self._check_heeded(parts[2])
        return parts

    def _check_heeded(self, options):
        """Refuse `labels_per_text` in a call that would leave it unheeded; a constructor's may be for other calls."""
        kept = getattr(self, "_postprocess_params", None)
        if kept is None or options.get("labels_per_text") is None or {**kept, **options}.get("multi_label"):
            return
        raise ValueError(f"{UNHEEDED_NUMBER}: give multi_label=True too, or leave labels_per_text out")

    def preprocess(self, texts, first=0, errors="raise", only_one=False, needs_labels=False, **_):
        """
        Read texts: strings, or rows `{"text": ..., "labels": ...}`.

        Args:
            texts (`list`): The texts.
            first (`int`, *optional*, defaults to 0): Number of the first, for messages.
            errors (`str`, *optional*, defaults to `"raise"`): `"null"` keeps what is wrong beside the texts.
            only_one (`bool`, *optional*, defaults to `False`): Whether exactly one label holds.
            needs_labels (`bool`, *optional*, defaults to `False`): Whether texts must bring labels of their own.

        Returns:
            `dict`: `texts`, `label_sets` and `problems` by the text's place, and `errors`.

        Raises:
            `ValueError`: naming the first text that is none.
        """

        def parse(labels, name):
            label_set = _parsed(labels, name)
            if only_one:
                label_set.check_choice(name)
            return label_set

        read = read_inputs(texts, first, parse)
        for place in range(len(read.texts)) if needs_labels else ():
            if place not in read.label_sets:
                read.problems.setdefault(place, NO_LABELS)
        if errors == "raise" and read.problems:
            raise ValueError(read.problems[min(read.problems)])
        self._tell_language(read.texts)
        return {"texts": read.texts, "label_sets": read.label_sets, "problems": read.problems, "errors": errors}

    def start_embedding(self, tokenized, batch_size, progress=None):
        """A function that gives what `embed_tokenized` gives; a model with threads of its own begins at once."""
        return functools.partial(self.embed_tokenized, tokenized, batch_size, progress=progress)

    def _results(self, inputs, batch_size, begin, preprocess_params, postprocess_params):
        """
        Results of many texts: read ahead, sorted by length for the model, handed back in order, as they are ready.

        `begin(model_inputs, batch_size, progress)` gives a function that embeds what `preprocess` has read, or waits
        until that is done. Bad arguments, and bad texts of a list, are told before anything is computed.
        """
        batch_size = read_batch_size(batch_size)
        stream, progress = preprocess_params.get("stream", False), preprocess_params.get("progress", False)
        options = self._reading(preprocess_params, postprocess_params)
        self._settings(**postprocess_params, own_labels=True)
        sized = isinstance(inputs, collections.abc.Sized) and hasattr(inputs, "__getitem__")
        if sized and not stream:
            _, error = self._first_problem((inputs[index] for index in range(len(inputs))), 0, options)
            if error:
                raise ValueError(error)
        values = (inputs[index] for index in range(len(inputs))) if sized else inputs
        runs = read_ahead(values, batch_size, at_once=sized, **({"batches": 1} if stream else {}))

        def begun(bar):
            number = 0
            for run in runs:
                place, error = self._first_problem(run, number, options)
                if good := run[:place]:  # what comes before a text that is none has its results first
                    yield begin(self.preprocess(good, first=number, **options), batch_size, bar.of(len(good)))
                if error:
                    raise ValueError(error)
                number += len(run)

        def results():
            with Bar(progress, len(inputs) if sized else None) as bar:
                # Of a list the next run is under way while results are made; a stream is read no further than it must.
                for outputs in one_ahead(begun(bar)) if sized and not stream else begun(bar):
                    yield from self.postprocess(outputs(), **postprocess_params)

        return results()

    def _reading(self, preprocess_params, postprocess_params):
        """Arguments of `preprocess`, for what a call asks for."""
        errors, labels = preprocess_params.get("errors", "raise"), postprocess_params.get("labels")
        return {
            "errors": errors,
            "only_one": not postprocess_params.get("multi_label"),
            "needs_labels": labels is None and postprocess_params.get("dimensions") in (None, False),
        }

    def _first_problem(self, values, first, options):
        """Place of the first text that is wrong, and what is wrong with it; `(None, None)` where errors are kept."""
        if options["errors"] != "raise":
            return None, None
        for place, value in enumerate(values):
            if type(value) is str and not options["needs_labels"]:
                continue  # as nearly all are
            told = set(self._told())
            try:
                self._told().add("language")  # told when the text is scored
                self.preprocess([value], first=first + place, **options)
            except ValueError as error:
                return place, str(error)
            finally:
                self._already_told = told
        return None, None

    def encode_texts(self, texts, batch_size=DEFAULT_BATCH_SIZE, max_windows=UNSET, normalise=UNSET):
        """L2-normalised embeddings `(texts, d)` of a list of strings, or of one string, fp32 on the CPU.

        Texts are read as in a call: by what the constructor says of `max_windows` and `normalise`, unless given here.
        """
        batch_size = read_batch_size(batch_size)
        how_read = self._forward_params | self._sanitize_parameters(max_windows=max_windows, normalise=normalise)[1]
        how_read = {name: value for name, value in how_read.items() if name != "return_windows"}
        tokenized = self.tokenize_texts(self.preprocess(many_texts(texts))["texts"], **how_read)
        return self.embed_tokenized(tokenized, batch_size)

    def encode_labels(self, labels, label_template=None):
        """L2-normalised embeddings `(labels, d)` of a label set, fp32 on the CPU; cached until a weight changes.

        Texts are scored against `model.extend_labels(...)` of them.
        """
        return self._embedded(LabelSet.parse(labels, label_template))[0].embeds

    def explain(self, text, label=None, dimension=None, **options):
        """
        What each word, phrase and sentence of a text contributes to a label or dimension, by leaving it out.

        Takes what a call takes; see [`~serving.explain.explain`] for the rest and for what comes back.
        """
        return _serving("explain").explain(self, text, label, dimension, **options)

    def to_frame(self, texts, **options):
        """
        Score texts into a table: one row a text, one column a label.

        Args:
            texts (`list[str]` or whatever else holds texts): The texts; a pandas column gives its index to the table.
            options: As in a call; `top_k` is left out of account.

        Returns:
            `pandas.DataFrame`: see [`~results_emodistill.to_frame`].

        Example:

        ```python
        >>> from transformers import pipeline
        >>> import emodistill

        >>> classify = pipeline("zero-shot-emotion", labels="joy, fear")
        >>> list(classify.to_frame(["What a day!", "Help!"]).columns)
        ['text', 'joy', 'fear', 'predicted']

        ```
        """
        for name in {"labels", "candidate_labels"} & options.keys():
            if isinstance(options[name], collections.abc.Iterator):
                options[name] = list(options[name])  # read again for the names of the columns
        texts_of = [texts] if isinstance(texts, str) else texts
        results = list(self(texts_of, **{**options, "top_k": None}))
        labels = self._sanitize_parameters(**known(options))[2].get("labels", self._constructor_labels())
        names = () if labels is None else LabelSet.parse(labels).names
        return to_frame(results, names, getattr(texts, "index", None) if hasattr(texts, "iloc") else None)

    def _constructor_labels(self):
        return getattr(self, "_postprocess_params", {}).get("labels")

    def _expect(self, label_sets):
        """Told of many label sets before each is asked for: a class may embed their wordings at once."""

    def _settings(
        self,
        labels=None,
        template=None,
        multi_label=False,
        threshold="auto",
        top_k=None,
        dimensions=None,
        labels_per_text=None,
        own_labels=False,
        adaptation=None,
    ):
        """What to compute for every text: labels, their thresholds, and axes."""
        if labels is None and dimensions in (None, False) and not own_labels:
            raise ValueError(NO_LABELS)
        label_set = None if labels is None else LabelSet.parse(labels, template)
        if label_set and not multi_label:
            label_set.check_choice()
        names = () if label_set is None else label_set.names
        if adaptation is not None:
            adaptation.check(names or None, multi_label)
        if multi_label and self.background is None and uses_auto(threshold, names or ("",)) and (names or own_labels):
            raise ValueError(
                'threshold="auto" needs a checkpoint with background statistics, and this one has none: '
                "give a threshold between 0 and 1, or set them with model.set_background(...)"
            )
        thresholds = read_thresholds(threshold, names, multi_label, all_of_them=bool(label_set))
        return label_set, thresholds if label_set else None, self._axes(dimensions)

    def _axes(self, dimensions):
        """`{name: None}` for built-in dimensions and `{name: (upper embeddings, lower embeddings)}` for others."""
        built_in = self.dimension_names
        if dimensions in (None, False):
            return {}
        if dimensions is True:
            dimensions = built_in
        if isinstance(dimensions, str):
            dimensions = names_in(dimensions)
        if not isinstance(dimensions, collections.abc.Iterable):
            raise ValueError(f"dimensions must be True, names or a dict of pairs, not {dimensions!r}")
        if not isinstance(dimensions, collections.abc.Mapping):
            dimensions = dict.fromkeys(dimensions)
        axes = {}
        for name, poles in dimensions.items():
            if poles is None:
                if name not in built_in:
                    known = ", ".join(built_in) or "none in this checkpoint"
                    raise ValueError(
                        f"dimensions names {name!r}, which is not built in ({known}); "
                        "give its poles as {name: (upper labels, lower labels)}"
                    )
                axes[name] = None
                continue
            if isinstance(poles, str) or not isinstance(poles, collections.abc.Sequence) or len(poles) != 2:
                raise ValueError(f"dimensions[{name!r}] must be a pair (upper labels, lower labels), not {poles!r}")
            sets = [_parsed(pole, f"dimensions[{name!r}]") for pole in poles]
            if set(sets[0].wordings) == set(sets[1].wordings):
                raise ValueError(f"dimensions[{name!r}] has the same labels at both ends, so every text would be at 0")
            for label_set in sets:
                self._tell_of_negations(label_set, False, f"dimensions[{name!r}]")
            axes[name] = tuple(self._embedded(label_set)[0].embeds for label_set in sets)
        return axes

    def postprocess(self, model_outputs, **options):
        """From text embeddings to a dictionary for each text."""
        texts, embeds = model_outputs["texts"], model_outputs["embeds"]
        own, problems = model_outputs.get("label_sets") or {}, model_outputs.get("problems") or {}
        label_set, _, axes = self._settings(**options, own_labels=bool(own) or bool(problems))
        results = [{"sequence": text} for text in texts]
        plain = model_outputs.get("plain") or texts
        blank = {index for index, text in enumerate(plain) if is_blank(text)}
        groups = {} if label_set is None and not own else self._groups(len(texts), label_set, own, options)
        if own:
            multi_label = options.get("multi_label")
            self._expect([group.complemented()[0] if multi_label else group for group in groups.values()])
        for rows, group in groups.items():
            self._label([results[row] for row in rows], embeds, rows, group, blank, options)
        if axes:
            values = self._dimension_columns(embeds, axes, blank, options)
            for index, result in enumerate(results):
                result["dimensions"] = {name: column[index] for name, column in values.items()}
        self._add_windows(results, model_outputs, options)
        if model_outputs.get("errors", "raise") == "null":
            with_labels = bool(groups) or not axes  # a call without dimensions asks for labels, if only the texts' own
            shape = with_labels, axes, bool(model_outputs.get("windows"))
            results = [
                null_result(problems[index], *shape) if index in problems else {**result, "error": None}
                for index, result in enumerate(results)
            ]
        return results

    def score_columns(self, texts, embeds, plain=None, **options):
        """
        Scores of texts that share the call's labels, as columns: what `postprocess` turns into dictionaries.

        Args:
            texts (`list[str]`): The texts.
            embeds (`torch.Tensor` or `numpy.ndarray` of shape `(texts, d)`): Their embeddings.
            plain (`list[str]`, *optional*): The texts as they were read.
            options: As in a call.

        Returns:
            `tuple`: scores `(texts, labels)` in the order of the labels, or `None` without labels; predicted labels, a
            list for each text, or `None`; dimensions, `{name: list of values}`.
        """
        label_set, thresholds, axes = self._settings(**options)
        blank = {index for index, text in enumerate(plain or texts) if is_blank(text)}
        scores = predicted = None
        if label_set is not None:
            multi_label = options.get("multi_label", False)
            scores = self._label_scores(embeds, label_set, blank, options)
            predicted = predicted_labels(scores, label_set.names, thresholds, multi_label, blank)
        return scores, predicted, self._dimension_columns(embeds, axes, blank, options) if axes else {}

    def _dimension_columns(self, embeds, axes, blank, options):
        """`{dimension: value of each text}`; a blank one lies in the middle."""
        values = self._dimension_values(embeds, axes)
        middle = {name: 5.0 if poles is None else 0.0 for name, poles in axes.items()}
        if (adaptation := options.get("adaptation")) is not None:
            moved = adaptation.positions({name: [value] for name, value in middle.items()})
            middle = {name: value for name, [value] in moved.items()}
            values = adaptation.positions(values, np.asarray(embeds))
        columns = {name: list(column) for name, column in values.items()}
        for index in blank:
            for name, column in columns.items():
                column[index] = middle[name]
        return columns

    def _groups(self, texts, label_set, own, options):
        """`{places of texts: their label set}`: one entry for all, unless texts have sets of their own."""
        if not own:
            return {tuple(range(texts)): label_set} if texts else {}
        by_set = {}
        for place in range(texts):
            chosen = own[place].filled(options.get("template")) if place in own else label_set
            if chosen is not None:
                by_set.setdefault(chosen, []).append(place)
        return {tuple(places): chosen for chosen, places in by_set.items()}

    def _label(self, results, embeds, rows, label_set, blank, options):
        """Fill in labels, scores and predictions of the texts that share a label set."""
        multi_label, threshold = options.get("multi_label", False), options.get("threshold", "auto")
        thresholds = read_thresholds(threshold, label_set.names, multi_label, all_of_them=False)
        mine = embeds if len(rows) == len(embeds) else embeds[list(rows)]
        blank = {place for place, row in enumerate(rows) if row in blank}
        scores = self._label_scores(mine, label_set, blank, options)
        add_labels(results, scores, label_set.names, thresholds, multi_label, options.get("top_k"), blank)

    def _label_scores(self, embeds, label_set, blank, options):
        """Scores `(texts, labels)` of texts that share a label set, adapted, and those of blank texts."""
        multi_label = options.get("multi_label", False)
        scores = self._scores(embeds, label_set, multi_label, options)
        if (adaptation := options.get("adaptation")) is not None:
            adaptation.check(label_set.names, multi_label)  # texts may have sets of their own
            scores = adaptation.scores(scores, np.asarray(embeds), label_set.names)
        if blank:
            scores[sorted(blank)] = blank_scores(label_set, multi_label)
        return scores

    def _scores(self, embeds, label_set, multi_label, options):
        feelings, places = label_set.complemented() if multi_label else (label_set, None)
        self._tell_of_negations(label_set, multi_label)
        labels, statistics = self._embedded(feelings)
        self._tell_of_look_alikes(labels.look_alikes())
        asked = options.get("labels_per_text")
        if asked is not None and "multi_label" not in options:  # of the constructor, and no one has said how to decide
            self._tell(f"{UNHEEDED_NUMBER}; scores are those of exactly one label a text")
        scores = np.asarray(score_labels(embeds, labels, statistics, self.constants, multi_label, asked))
        if not np.isfinite(scores).all():
            raise ValueError("the model gives scores that are no numbers (NaN): its weights are damaged")
        if places is None or not label_set.absent:
            return scores.copy() if not scores.flags.writeable else scores
        absent = np.array([feeling is not None for feeling in label_set.absent])
        scores = scores[:, places]
        return np.where(absent, 1.0 - scores, scores)

    def _add_windows(self, results, model_outputs, options):
        """Tell of each text that is not read in full how much is, and give its windows where they are asked for."""
        totals, windows = model_outputs.get("totals") or (), model_outputs.get("windows")
        owners = windows["owners"] if windows else ()
        for index, total in enumerate(totals):
            if total > model_outputs["read"][index]:
                results[index] |= {"windows_read": model_outputs["read"][index], "windows_total": total}
        if not windows:
            return
        parts = {"texts": windows["texts"], "embeds": windows["embeds"]}
        for name in ("label_sets", "problems"):  # those of a text are those of its windows
            own = model_outputs.get(name) or {}
            parts[name] = {place: own[owner] for place, owner in enumerate(owners) if owner in own}
        rows = self.postprocess(parts, **options)
        for result in results:
            result["windows"] = []
        for owner, row in zip(owners, rows, strict=True):
            results[owner]["windows"].append({"text": row.pop("sequence"), **row})

    def _dimension_values(self, embeds, axes):
        values = {}
        if any(poles is None for poles in axes.values()):
            columns = zip(*self._head(embeds), strict=True)
            values = dict(zip(self.dimension_names, map(list, columns), strict=True))
        values = {
            name: values[name] if poles is None else dimension_scores(embeds, *poles).tolist()
            for name, poles in axes.items()
        }
        if not all(np.isfinite(column).all() for column in values.values()):
            raise ValueError("the model gives dimensions that are no numbers (NaN): its weights are damaged")
        return values


def _parsed(labels, name):
    """[`LabelSet`] of labels within a larger argument, which is read more than once."""
    if isinstance(labels, collections.abc.Iterator):
        raise ValueError(f"{name} is {type(labels).__name__}, which can be read only once: give a list")
    return LabelSet.parse(labels, argument=name)


def _serving(module):
    """A module of the installed package's `serving`, which a Hub copy of this file does not bring along."""
    try:
        return importlib.import_module(f"emodistill.serving.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "emodistill":
            raise
        raise ImportError(f"{module} needs the installed package: pip install emodistill") from None
