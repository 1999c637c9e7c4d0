"""What a classifier tells its users of in passing, each thing once. Without torch."""

import random
import warnings

from .language_emodistill import foreign_language

__all__ = ["TellsOnce"]

MOST_PAIRS_TOLD = 3  # of labels that the model cannot tell apart
MOST_TOLD = 1000  # warnings of one classifier: a server whose users bring labels must not remember each
LOOKED_AT = 1000  # texts of a call, whether they are in the model's language


class TellsOnce:
    """
    Mixin of whatever scores texts: warnings that do not come again at each call.

    A class that mixes it in may have `language`, that of the texts it reads (`"en"` by default, `None` for any).

    Example:

    ```python
    >>> import warnings
    >>> from emodistill.telling_emodistill import TellsOnce

    >>> class Classifier(TellsOnce):
    ...     def __call__(self, texts):
    ...         self._tell_language(texts)

    >>> classify = Classifier()
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     for _ in range(2):
    ...         classify(["Ich bin heute sehr traurig und weiß nicht, warum das so ist."])
    >>> len(told)
    1

    ```
    """

    language = "en"

    def _tell_language(self, texts):
        """Warn once of a text that is clearly not in the model's language; of very many texts some are looked at."""
        if self.language != "en" or "language" in self._told():
            return
        if len(texts) > LOOKED_AT:  # by chance, since each second row of a table may be the translation of the first
            texts = random.Random(0).sample(texts, LOOKED_AT)
        for text in texts:
            if language := foreign_language(text):
                shown = text if len(text) <= 40 else text[:39] + "…"
                self._tell(
                    f"the model reads English, and a text looks like {language} ({shown!r}): scores of such texts "
                    "mean little, however certain they look",
                    "language",
                )
                return

    def _told(self):
        return self.__dict__.setdefault("_already_told", set())

    def _tell(self, message, key=None):
        """Warn, once."""
        if (key or message) not in self._told() and len(self._told()) < MOST_TOLD:
            self._told().add(key or message)
            warnings.warn(message, stacklevel=3)

    def _tell_of_look_alikes(self, pairs):
        """Warn of pairs of labels that the model takes for one."""
        for one, other in pairs[:MOST_PAIRS_TOLD]:
            self._tell(f"labels {one!r} and {other!r} have the same embedding, so the model cannot tell them apart")
        if more := len(pairs[MOST_PAIRS_TOLD:]):
            self._tell(f"{more:,} more pairs of labels have the same embedding")

    def _tell_of_negations(self, label_set, multi_label, argument="labels"):
        """Warn of labels whose negation the model does not read."""
        for wording in label_set.misread(multi_label):
            self._tell(
                f"{argument} holds {wording!r}: the model does not read the negation and scores it like the feeling "
                "itself; as a plain label with multi_label=True it is scored as the absence of the feeling"
            )
