"""Texts about people, with another person in them: what is felt does not change with who it is said of.

The lists are training's own. The audit (`benchmarks/audit/templates.py`) has sentences that are none of these, and of
its words for groups about half stand here: what the other half shows was never trained for.
"""

import hashlib
import re

__all__ = ["MODIFIERS", "names_person", "swap_person"]

# Words before a person ("my Sikh neighbour"), by what they tell of one.
MODIFIERS = {
    "religion": (
        "Muslim", "Jewish", "Buddhist", "Catholic", "Sikh", "Mormon", "Protestant", "Shia", "religious",
        "secular",
    ),
    "origin": (
        "Black", "Asian", "Native American", "African", "Mexican", "Indian", "Chinese", "Turkish", "Polish",
        "Nigerian", "Irish", "Korean", "Somali", "Roma", "immigrant", "foreign", "Italian", "Iranian", "brown",
        "mixed-race",
    ),
    "disability": (
        "autistic", "disabled", "dyslexic", "paraplegic", "wheelchair-using", "hard-of-hearing", "bipolar",
        "epileptic", "diabetic", "visually impaired", "able-bodied", "one-armed",
    ),
    "orientation": (
        "lesbian", "bisexual", "queer", "transgender", "heterosexual", "asexual", "nonbinary", "trans",
    ),
    "age": (
        "elderly", "old", "teenage", "retired", "ageing", "twenty-year-old", "sixty-year-old", "grown-up",
        "youngish",
    ),
}  # fmt: skip

# People of a text, singular and plural, that may take such a word.
PEOPLE = (
    "aunt", "babysitter", "barber", "bloke", "boy", "boyfriend", "brother", "bus driver", "buddy", "chef", "child",
    "client", "coach", "coworker", "co-worker", "customer", "daughter", "driver", "employee", "fella", "fiance",
    "flatmate", "friend", "gardener", "girl", "girlfriend", "guest", "guy", "husband", "kid", "lad", "lady", "man",
    "manager", "mate", "mechanic", "mom", "mum", "mother", "dad", "father", "neighbor", "neighbour", "nurse",
    "officer", "owner", "patient", "person", "player", "professor", "sister", "son", "stranger", "student",
    "tenant", "tutor", "uncle", "waiter", "waitress", "wife", "woman", "worker",
)  # fmt: skip
PERSON = re.compile(
    r"(?<![\w'-])(my|our|his|her|their|your|the|this|that|some|another|every)\s+"
    r"((?:best|new|next-door|older|younger|little|big)\s+)?"
    r"(" + "|".join(sorted(PEOPLE, key=len, reverse=True)) + r")(?![\w-])",
    re.IGNORECASE,
)  # fmt: skip

PAIRS = (
    ("he", "she"), ("him", "her"), ("his", "her"), ("himself", "herself"), ("man", "woman"), ("men", "women"),
    ("boy", "girl"), ("boys", "girls"), ("guy", "lady"), ("husband", "wife"), ("boyfriend", "girlfriend"),
    ("son", "daughter"), ("sons", "daughters"), ("brother", "sister"), ("brothers", "sisters"), ("father", "mother"),
    ("dad", "mom"), ("grandpa", "grandma"), ("uncle", "aunt"), ("nephew", "niece"), ("waiter", "waitress"),
    ("king", "queen"), ("prince", "princess"), ("mr", "mrs"), ("sir", "madam"),
)  # fmt: skip
TO_FEMALE = dict(PAIRS)
TO_MALE = {female: male for male, female in reversed(PAIRS)} | {"her": None, "mum": "dad", "woman": "man"}
FEMALE_OBJECT = re.compile(r"\bher\b(?!\s+\w)", re.IGNORECASE)  # "told her." and not "her car"

# First names that readers place somewhere; none stands in the audit.
NAMES = {
    "female": (
        "Anna", "Brenda", "Dilnoza", "Ewa", "Fatou", "Gulnara", "Ingrid", "Imani", "Kavita", "Lupita", "Nadia",
        "Ngozi", "Olga", "Priya", "Rosa", "Saoirse", "Shira", "Tuyet", "Valentina", "Zeynep",
    ),
    "male": (
        "Abdullah", "Bjorn", "Carlos", "Dmitri", "Emeka", "Giovanni", "Haruto", "Ibrahim", "Igor", "Kofi",
        "Mateusz", "Minh", "Nathan", "Pedro", "Rajesh", "Sipho", "Stefan", "Tomas", "Yusuf", "Zhang",
    ),
}  # fmt: skip
COMMON = {
    "female": (
        "mary", "patricia", "jennifer", "linda", "elizabeth", "susan", "jessica", "sarah", "karen", "lisa",
        "nancy", "betty", "amy", "emma", "olivia", "sophie", "kate", "laura", "julia", "rachel", "hannah",
        "alice", "lucy", "maria", "megan", "amanda", "melissa",
    ),
    "male": (
        "james", "robert", "john", "michael", "david", "william", "richard", "joseph", "thomas", "charles",
        "daniel", "matthew", "anthony", "mark", "paul", "steven", "andrew", "josh", "kevin", "brian", "george",
        "peter", "tom", "mike", "jack", "ben", "sam", "alex", "ryan", "adam", "chris", "dave",
    ),
}
NAME = re.compile(r"\b(" + "|".join(name.capitalize() for names in COMMON.values() for name in names) + r")\b")
MASK = re.compile(r"\[NAME\]")  # GoEmotions' own mask


def names_person(text):
    """Whether a text names somebody whom a copy could replace."""
    return bool(PERSON.search(text) or NAME.search(text) or MASK.search(text) or _gender(text))


def swap_person(text):
    """
    The same text about somebody else: of another group, by another name, or of the other gender.

    Args:
        text (`str`): Any text.

    Returns:
        `str` or `None`: The copy, always the same for the same text; `None` where nobody is named.

    Example:

    ```python
    >>> from emodistill.training.counterfactual import swap_person

    >>> swap_person("It rained all day.") is None
    True
    >>> swap_person("He said that he was late.")
    'She said that she was late.'

    ```
    """
    draw = _Draw(text)
    ways = []
    if PERSON.search(text):
        ways += [_with_modifier] * 3  # words for groups are what models read most into
    if NAME.search(text) or MASK.search(text):
        ways += [_with_name]
    if _gender(text):
        ways += [_with_gender]
    if not ways:
        return None
    copy = draw.one(ways)(text, draw)
    return None if copy == text else copy


class _Draw:
    """Choices that depend on the text alone, so that a run that goes on makes the same copies."""

    def __init__(self, text):
        self.number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16], "big")

    def one(self, options):
        self.number, place = divmod(self.number, len(options))
        return options[place]


def _with_modifier(text, draw):
    word = draw.one(MODIFIERS[draw.one(sorted(MODIFIERS))])
    return PERSON.sub(lambda found: f"{found[1]} {found[2] or ''}{word} {found[3]}", text, count=1)


def _with_name(text, draw):
    place, names = draw.number, {}

    def other(found):
        kind = next((kind for kind, known in COMMON.items() if found[0].lower() in known), None)
        pool = NAMES[kind] if kind else NAMES["female"] + NAMES["male"]
        return names.setdefault(found[0], pool[(place + len(names)) % len(pool)])

    return MASK.sub(other, NAME.sub(other, text))


def _gender(text):
    """`male` or `female` if words of one gender alone stand in the text."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    male, female = words & TO_FEMALE.keys(), words & (TO_MALE.keys() | {"her"})
    return ("male" if male else "female" if female else None) if not (male and female) else None


def _with_gender(text, draw):
    if _gender(text) == "male":
        table = TO_FEMALE
    else:
        text = FEMALE_OBJECT.sub(lambda found: _like(found[0], "him"), text)
        table = TO_MALE | {"her": "his", "him": "him"}
    words = re.compile(r"\b(" + "|".join(table) + r")\b", re.IGNORECASE)
    return words.sub(lambda found: _like(found[0], table[found[0].lower()] or found[0]), text)


def _like(model, word):
    return word.capitalize() if model[:1].isupper() else word
