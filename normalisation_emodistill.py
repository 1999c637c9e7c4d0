"""Texts as they are read: one documented normalisation before tokenising, the same in training and use.

Standard library only, so that whatever runs a model (an export without torch, a page) can normalise alike.
"""

import html
import re
import unicodedata

__all__ = ["DOUBLED", "FIRST_EMOJI", "MISLEADING_NAMES", "SKIN_TONES", "normalise_text", "plain_texts", "spell_emoji"]

FIRST_EMOJI = 0x2600  # below lie arrows, boxes and signs that carry no feeling
SKIN_TONES = range(0x1F3FB, 0x1F400)
# Names that tell how a symbol was once printed, not what it shows.
MISLEADING_NAMES = {"\u2764": "red heart", "\u2665": "red heart", "\u263a": "smiling face", "\u2639": "frowning face"}


def spell_emoji(text):
    """
    Replace emoji by their Unicode names, so that an encoder without emoji in its vocabulary can read them.

    Args:
        text (`str`): Any text.

    Returns:
        `str`: the text, in which a run of one and the same emoji stands once, as its name in lower case; joiners,
        variation selectors and skin tones are left out.

    Example:

    ```python
    >>> from emodistill.normalisation_emodistill import spell_emoji

    >>> spell_emoji("no way 😂😂 ❤️")
    'no way face with tears of joy red heart'

    ```
    """
    if text.isascii() or all(ord(character) < FIRST_EMOJI for character in text):
        return text
    parts, previous = [], None
    for character in text:
        code = ord(character)
        if character in "\u200d\ufe0e\ufe0f" or code in SKIN_TONES:
            continue
        if code >= FIRST_EMOJI and unicodedata.category(character) == "So":
            if character != previous:
                name = MISLEADING_NAMES.get(character) or unicodedata.name(character, "").lower()
                parts.append(f" {name} ")
        else:
            parts.append(character)
        previous = character
    return " ".join("".join(parts).split())


# What a browser would not show, by name: `<3` and `<insert joke>` are no tags.
HTML_TAG = re.compile(
    r"</?(?:a|abbr|b|blockquote|body|br|center|code|del|div|em|font|h[1-6]|hr|html|i|img|ins|li|ol|p|pre|q|s|small|span"
    r"|strike|strong|sub|sup|table|tbody|td|th|tr|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
USER = re.compile(r"(?<![\w@.])@\w+")
HASHTAG = re.compile(r"(?<![\w&#])#(?=\w*[^\W\d_])(\w+)")
WORD_IN_HASHTAG = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
ELONGATED = re.compile(r"(?<!\w)(?!www\b)(?=\w*([^\W\d_])\1\1)[^\W\d_]+(?!\w)", re.IGNORECASE)
RUN = re.compile(r"([^\W\d_])\1{2,}", re.IGNORECASE)
# Words with a doubled letter that people draw out; any other drawn-out letter stands once.
DOUBLED = frozenset(
    (
        "aww", "all", "ball", "been", "bee", "bloom", "boo", "book", "boss", "boom", "buddy", "call", "choose",
        "class", "cool", "creepy", "cuddly", "daddy", "deep", "dinner", "doom", "door", "eww", "fall", "fee",
        "feel", "feeling", "feels", "feet", "fell", "floor", "food", "fool", "foolish", "free", "freedom",
        "full", "funny", "good", "grr", "guess", "happy", "hell", "hello", "hmm", "hoo", "hooray", "hugging",
        "jeez", "keep", "kill", "kiss", "less", "little", "loose", "look", "mess", "miss",
        "mommy", "moo", "mood", "moon", "need", "needed", "noon", "off", "oof", "ooh", "oops", "ooo", "pass",
        "pee", "pizza", "pool", "poo", "pooped", "poor", "pretty", "proof", "really", "room", "roof", "school",
        "scroll", "see", "seem", "seen", "sheesh", "shoot", "silly", "sleep", "sleepy", "small", "smell",
        "soon", "speed", "spoon", "steep", "still", "stress", "summer", "sweet", "sweetie", "tee", "teen",
        "tell", "three", "too", "took", "tool", "tooth", "tree", "troll", "umm", "well", "whee", "will", "woo",
        "woohoo", "yell", "yuppie", "yeehaw", "yummy", "zoo", "zoom",
    )
)  # fmt: skip
# Control characters, soft hyphens, zero-width spaces, marks of direction, byte order marks; not the joiner of emoji.
INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001f\u007f\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


def normalise_text(text):
    """
    A text as its writer meant it to be read: what markup, networks and habit of typing put around the words is plain.

    HTML tags go and entities are read; addresses become `http` and user names `@user`, the masks of the texts that
    models are trained on; hashtags are split into their words; drawn-out words are written as usual; emoji are spelled
    by their names ([`spell_emoji`]); invisible characters go, half a surrogate pair becomes a question mark, and white
    space is single.

    Args:
        text (`str`): Any text.

    Returns:
        `str`: Normalising it again changes nothing.

    Example:

    ```python
    >>> from emodistill.normalisation_emodistill import normalise_text

    >>> normalise_text("@anna sooooo happy!!! &lt;3<br>#BestDayEver 🎉 https://t.co/x")
    '@user so happy!!! <3 best day ever party popper http'

    ```
    """
    for _ in range(3):  # entities are often escaped twice
        unescaped = html.unescape(text) if "&" in text else text
        if unescaped == text:
            break
        text = unescaped
    if "<" in text:
        text = HTML_TAG.sub(" ", text)
    text = INVISIBLE.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    if "://" in text or "www." in text.lower():
        text = ADDRESS.sub("http", text)
    if "@" in text:
        text = USER.sub("@user", text)
    if "#" in text:
        text = HASHTAG.sub(_words_of_hashtag, text)
    return " ".join(spell_emoji(ELONGATED.sub(_shorten, text)).split())


def _words_of_hashtag(match):
    words = WORD_IN_HASHTAG.findall(match.group(1).replace("_", " "))
    # One word keeps its capitals; several were capitalised to tell them apart.
    if len(words) == 1:
        return words[0]
    return " ".join(word if len(word) > 1 and word.isupper() else word.lower() for word in words)


def _shorten(match):
    word = match.group()
    if len(set(word.lower())) == 1:  # a sound, a kiss, a number: "zzz"
        return word[:3]
    double = RUN.sub(r"\1\1", word)
    return double if double.lower() in DOUBLED else RUN.sub(r"\1", word)


def plain_texts(config, texts, normalise=None):
    """Texts as a model with this configuration reads them: normalised, with emoji spelled out, or as they are.

    `normalise` stands in for the configuration's `normalise_texts`.
    """
    if config.normalise_texts if normalise is None else normalise:
        return [normalise_text(text) for text in texts]
    return [spell_emoji(text) for text in texts] if config.spell_emoji else list(texts)
