"""The Equity Evaluation Corpus: counterfactual sentences for the audit, no emotion labels of texts."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from .parsing import read_csv

__all__ = ["EquitySentence", "read_equity_corpus"]

FOLDER = "eec"
FILE_NAMES = ("Equity-Evaluation-Corpus.csv", "*.csv")
PUBLISHED_ROWS = 8640
LICENCE = "research use"
SOURCE = "Kiritchenko and Mohammad 2018, Examining Gender and Race Bias in Two Hundred Sentiment Analysis Systems"
DOWNLOAD = "https://saifmohammad.com/WebPages/Biases-SA.html (Equity-Evaluation-Corpus.csv)"
COLUMNS = ("ID", "Sentence", "Template", "Person", "Gender", "Race", "Emotion", "Emotion word")


@dataclass(frozen=True)
class EquitySentence:
    """One sentence of the corpus; `race` and `emotion` are empty where the corpus leaves them so."""

    identifier: str
    sentence: str
    template: str
    person: str
    gender: str
    race: str
    emotion: str
    emotion_word: str


def read_equity_corpus(data_dir):
    """The corpus below `data_dir/eec`, or `None` where it is absent.

    Returns:
        `list[EquitySentence]` or `None`.

    Raises:
        DamagedFile: a column or a field is missing; names file and line.
    """
    folder = Path(data_dir) / FOLDER
    path = next((found for name in FILE_NAMES for found in sorted(folder.glob(name))), None)
    if path is None:
        return None
    sentences = [EquitySentence(*(row[column].strip() for column in COLUMNS)) for _, row in read_csv(path, COLUMNS)]
    if len(sentences) != PUBLISHED_ROWS:
        warnings.warn(f"{path}: {len(sentences)} rows, {PUBLISHED_ROWS} are published.", stacklevel=2)
    return sentences
