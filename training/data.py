"""From descriptor rows to training batches: vocabulary, targets, near-synonym masks, length buckets."""

import os
from collections import Counter

import torch
from torch.utils.data import Dataset, Sampler

from ..decision_emodistill import NEUTRAL
from ..descriptors import rows as descriptors
from ..descriptors.labels import is_missing
from ..normalisation_emodistill import plain_texts
from .counterfactual import names_person, swap_person
from .targets import mean_rating, weigh_labels

__all__ = [
    "DescriptorBatches",
    "DescriptorDataset",
    "LabelVocabulary",
    "LengthBucketSampler",
    "even_rows",
    "load_training_rows",
    "read_view",
    "reference_words",
    "with_copies",
]


MIN_TEXTS = 10  # texts that a word must stand for to join the reference vocabulary
MIN_WORDS, MOST_WORDS = 20, 150  # size of a reference vocabulary
MIN_SHARE = 5  # texts from each of several sources
# Keys that training itself adds to rows: a table's own columns of these names mean something else
OWN_KEYS = ("closed", "copy_of", "plain", "rating", "weights")
NAMES = ("id", "group", "source", "selection")


def load_training_rows(path, split, name=None, unread=False, say=None):
    """
    Rows of a descriptor data set.

    Args:
        path (`str`): A table, a folder with a data set card, or a Hub id: see [`descriptors.tables`].
        split (`str`): `train` or `validation`.
        name (`str`, *optional*): Configuration of the data set.
        unread (`bool`, *optional*, defaults to `False`): Whether texts have no `labels`: they get an empty list.
        say (`Callable[[str], None]`, *optional*): Told of rows that are left out.

    Returns:
        `list[dict]` or `None`: the rows, without columns that are named as what training adds to them; `None` if the
        data set has no such split.

    Raises:
        `ValueError`, `OSError`: if the path does not exist, or more than a few rows lack `text` or `labels`, naming
            the first one's place.
    """
    rows = descriptors.load_rows(path, split, name, labels=not unread, say=say)
    return None if rows is None else [_row(values) for values in rows]


def _row(values):
    """A row as training takes it: names are words, or `None` where a cell is empty."""
    row = {name: value for name, value in values.items() if name not in OWN_KEYS}
    for name in row.keys() & set(NAMES):
        row[name] = None if is_missing(row[name]) or not str(row[name]).strip() else str(row[name])
    return row


def read_view(path, argument, name, rows):
    """
    A second reading of some texts of a data set, from another of its configurations.

    Args:
        path (`str`): The data set.
        argument (`str`): The argument that asks for the configuration, for errors.
        name (`str`): The configuration.
        rows (`list[dict]`): The texts that are read again, with their `id`.

    Returns:
        `dict[str, dict]`: the rows of the configuration, by id.

    Raises:
        `ValueError`: if the data set is a single file, or a row has no `id`.
    """
    splits = () if os.path.isfile(path) else descriptors.SPLITS
    read = (load_training_rows(path, split, name, unread=True) for split in splits)  # ratings may come without words
    view = [row for found in read for row in found or ()]
    if os.path.isfile(path) or not all(row.get("id") for row in [*rows, *view]):
        hint = (
            ": leave it out, and set labels_from to descriptors" if argument == "closed_config" else ": leave it out"
        )
        raise ValueError(
            f"{argument} {name} needs a data set with that configuration and an `id` in each row, which {path} is "
            f"not{hint}"
        )
    return {row["id"]: row for row in view}


def even_rows(rows, most, sources=None):
    """
    Rows spread evenly over a data set, with as many from each source as from another.

    What is measured on them should hold for any source; a source that is smaller than its share is taken whole. Where
    sources are so many that hardly a text of each could be taken, they are not told apart.

    Args:
        rows (`list[dict]`): Rows with a `source`, or without.
        most (`int`): How many at the most.
        sources (`str`, *optional*): Names of sources, separated by commas; all by default.

    Returns:
        `list[int]`: positions, ascending.

    Raises:
        `ValueError`: if no row has one of the sources, naming it and those there are.

    Example:

    ```python
    >>> from emodistill.training.data import even_rows

    >>> even_rows([{"source": "reddit"}] * 30 + [{"source": "subtitles"}] * 10, most=10)
    [0, 6, 12, 18, 24, 30, 32, 34, 36, 38]

    ```
    """
    positions = {}
    for position, row in enumerate(rows):
        positions.setdefault(row.get("source") or "", []).append(position)
    if sources:
        wanted = [name.strip() for name in sources.split(",")]
        if missing := [name for name in wanted if name not in positions]:
            known = ", ".join(name or "(none)" for name in sorted(positions))
            raise ValueError(
                f"background_texts names {', '.join(missing)}, which is no source of the training texts: {known}"
            )
        positions = {name: positions[name] for name in wanted}
    elif len(positions) * MIN_SHARE > most:  # a column of names or addresses, say
        positions = {"": range(len(rows))}
    share = max(1, most // len(positions))
    chosen = []
    for found in positions.values():
        number = min(share, len(found))
        chosen.extend(found[index * len(found) // number] for index in range(number))
    return sorted(chosen)


def reference_words(rows, weights, lexicon):
    """
    The plain emotion words of a data set: what its texts are read in, or else what its descriptors imply.

    Args:
        rows (`list[dict]`): All texts, with `plain` words where they were read in such; of a sample few might be,
            and their words would be those that chance left.
        weights (`list[dict[str, float]]`): The weighted labels of the texts that the words are counted in.
        lexicon ([`Lexicon`]): Implied words, and descriptors to keep out.

    Returns:
        `list[str]`: words that stand for enough of the texts, most frequent first; empty where these are too few
        to span the emotions.
    """
    plain = {word for row in rows for word in row.get("plain") or ()}
    plain = plain or {word for words in lexicon.implies.values() for word in words}
    plain -= lexicon.held_out | {NEUTRAL}
    counts = Counter(label for labels in weights for label in labels if label in plain)
    words = [word for word, count in counts.most_common(MOST_WORDS) if count >= MIN_TEXTS]
    return words if len(words) >= MIN_WORDS else []


class LabelVocabulary:
    """
    The distinct labels of the training rows, tokenised once.

    Args:
        labels (`Iterable[str]`): All labels; ids follow their alphabetical order.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        max_length (`int`): Tokens of a label.
    """

    def __init__(self, labels, tokenizer, max_length):
        self.labels = sorted(set(labels))
        self.ids = {label: index for index, label in enumerate(self.labels)}
        encoded = tokenizer(self.labels, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        self.input_ids, self.attention_mask = encoded["input_ids"], encoded["attention_mask"]

    def __len__(self):
        return len(self.labels)

    def tokens(self, ids):
        """Token ids and mask of some labels, `(labels, length)`, trimmed to the longest among them."""
        mask = self.attention_mask[ids]
        length = int(mask.sum(dim=1).max())
        return self.input_ids[ids, :length], mask[:, :length]


class DescriptorDataset(Dataset):
    """
    Tokenised texts with their weighted labels and lexicon ratings.

    Args:
        rows (`list[dict]`): With `text`, `labels` and optionally `closed` labels.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        lexicon ([`Lexicon`]): Implied words and ratings.
        max_length (`int`): Tokens of a text; longer ones are cut in training.
        weigh (`dict`): Further arguments of [`weigh_labels`].
        config ([`EmoDistillConfig`]): The model's, which says how texts are normalised.
    """

    def __init__(self, rows, tokenizer, lexicon, max_length, weigh=None, config=None):
        texts = [row["text"] for row in rows]
        texts = texts if config is None else plain_texts(config, texts)
        encoded = tokenizer(texts, truncation=True, max_length=max_length)
        self.input_ids = encoded["input_ids"]
        self.lengths = [len(ids) for ids in self.input_ids]
        self.weights = [
            weigh_labels(
                row["labels"], lexicon, closed=row.get("closed") or (), plain=row.get("plain") or (), **(weigh or {})
            )
            for row in rows
        ]
        places = {}  # rows that are built from one another, by group or by copying
        self.groups = [
            -1 if row.get("group") is None else places.setdefault(row["group"], len(places)) for row in rows
        ]
        self.originals = [row.get("copy_of", -1) for row in rows]
        self.ratings = [row.get("rating") or mean_rating(row["labels"], lexicon.ratings) for row in rows]

    def __len__(self):
        return len(self.input_ids)

    def __getitem__(self, index):
        return {
            "index": index,
            "input_ids": self.input_ids[index],
            "weights": self.weights[index],
            "rating": self.ratings[index],
            "group": self.groups[index],
            "original": self.originals[index],
        }

    def units(self, repeats=1):
        """
        Rows that a batch should hold together: a group of contrasts, a text and its copy, or a text by itself.

        Args:
            repeats (`int`): How often groups occur.

        Returns:
            `list[list[int]]`
        """
        units = {}
        for index, original in enumerate(self.originals):
            root = index if original < 0 else original
            key = ("group", self.groups[root]) if self.groups[root] >= 0 else ("text", root)
            units.setdefault(key, []).append(index)
        return [unit for key, unit in units.items() for _ in range(repeats if key[0] == "group" else 1)]

    def labels(self):
        """`set[str]`: every label with a positive weight."""
        return {label for weights in self.weights for label in weights}

    def label_counts(self):
        """`Counter`: texts of each label with a positive weight."""
        return Counter(label for weights in self.weights for label in weights)


def with_copies(rows, share):
    """
    Rows, and after them copies of some of them that are about somebody else, with the same labels and ratings.

    Args:
        rows (`list[dict]`): Texts.
        share (`float`): Share of the texts that name a person to copy, evenly spread.

    Returns:
        `list[dict]`: copies have `copy_of`, the place of their original.
    """
    named = [place for place, row in enumerate(rows) if names_person(row["text"])] if share else []
    if 0 < share <= 0.2:  # as good, and what checkpoints were made with
        chosen = named[:: round(1 / share)]
    else:
        number = round(share * len(named))
        chosen = [named[index * len(named) // number] for index in range(number)]
    copies = [(place, swap_person(rows[place]["text"])) for place in chosen]
    return rows + [rows[place] | {"text": text, "copy_of": place} for place, text in copies if text is not None]


class LengthBucketSampler(Sampler):
    """
    Batches of texts of like length, in an order that depends on seed and epoch alone.

    Units of texts are shuffled, cut into pools of `pool` batches, sorted by length within a pool, and the batches of
    all pools shuffled again: little padding, and still a different order each epoch.

    Args:
        lengths (`list[int]`): Tokens of each text.
        batch_size (`int`): Texts in a batch.
        seed (`int`): Seed of the order.
        pool (`int`, *optional*, defaults to 50): Batches sorted together.
        units (`list[list[int]]`, *optional*): Texts to keep together, where a batch does not end between them; each
            text by itself by default.
    """

    def __init__(self, lengths, batch_size, seed, pool=50, units=None):
        self.units = units if units is not None else [[index] for index in range(len(lengths))]
        self.lengths = [max(lengths[index] for index in unit) for unit in self.units]
        self.texts = sum(map(len, self.units))
        self.batch_size = batch_size
        self.seed = seed
        self.pool = pool
        self.epoch = 0
        self.drop_last = False  # read by Accelerate, which hands batches to processes in turn

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return -(-self.texts // self.batch_size)

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.units), generator=generator).tolist()
        size = self.batch_size * self.pool
        batches, pool, rest, waiting = [], [], [], 0
        for number, place in enumerate(order, start=1):
            pool.append(place)
            waiting += len(self.units[place])
            if waiting < size and number < len(order):
                continue
            pool.sort(key=lambda place: self.lengths[place])
            texts = rest + [index for place in pool for index in self.units[place]]
            whole = len(texts) if number == len(order) else len(texts) - len(texts) % self.batch_size
            batches.extend(texts[at : at + self.batch_size] for at in range(0, whole, self.batch_size))
            pool, rest = [], texts[whole:]
            waiting = len(rest)
        # A short batch goes last: several processes take full batches in turn, and would lose one in their midst.
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        for position in torch.randperm(len(whole), generator=generator).tolist():
            yield whole[position]
        yield from (batch for batch in batches if len(batch) < self.batch_size)


class DescriptorBatches:
    """
    Collates texts with the labels of their batch and some further negatives.

    Args:
        vocabulary ([`LabelVocabulary`]): All labels.
        pad_token_id (`int`): Padding of texts.
        extra_negatives (`int`): Labels drawn from the vocabulary beside those of the batch, by the square root of
            their frequency.
        counts (`Counter`, *optional*): Frequency of each label.
    """

    def __init__(self, vocabulary, pad_token_id, extra_negatives=0, counts=None):
        self.vocabulary = vocabulary
        self.pad_token_id = pad_token_id
        self.extra_negatives = min(extra_negatives, len(vocabulary))
        counts = counts or Counter()
        self.frequency = torch.tensor([float(counts[label]) for label in vocabulary.labels]).clamp(min=1.0).sqrt()

    def __call__(self, items):
        length = max(len(item["input_ids"]) for item in items)
        input_ids = torch.full((len(items), length), self.pad_token_id)
        attention_mask = torch.zeros((len(items), length), dtype=torch.long)
        targets = torch.zeros(len(items), len(self.vocabulary))
        for row, item in enumerate(items):
            tokens = torch.tensor(item["input_ids"])
            input_ids[row, : len(tokens)] = tokens
            attention_mask[row, : len(tokens)] = 1
            for label, weight in item["weights"].items():
                targets[row, self.vocabulary.ids[label]] = weight
        places = {item["index"]: row for row, item in enumerate(items)}
        present = targets.gt(0).any(dim=0)
        drawn = self.extra_negatives
        if not drawn and not present.any():  # texts that nobody read: teachers need labels to judge them by
            drawn = min(len(items), len(self.vocabulary))
        if drawn:
            # Seeded by the batch's own texts, so that a resumed run draws the same ones.
            generator = torch.Generator().manual_seed(sum((item["index"] + 1) * 7919 for item in items))
            present[torch.multinomial(self.frequency, drawn, generator=generator)] = True
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "label_ids": present.nonzero().squeeze(1),
            "targets": targets,
            "rows": torch.tensor([item["index"] for item in items]),
            "ratings": torch.tensor([item["rating"] for item in items]),
            "groups": torch.tensor([item.get("group", -1) for item in items]),
            "originals": torch.tensor([places.get(item.get("original", -1), -1) for item in items]),
        }
