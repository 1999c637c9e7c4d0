"""Whether a text is clearly not English, by its script and its smallest words. Standard library only.

The models are for English, and score a text in another language as confidently as any: usually as neutral. This is no
language detector: it says nothing where it is not sure, and knows no more than what is below.
"""

import re
import unicodedata

__all__ = ["foreign_language"]

# Frequent small words of the languages with most writers in the Latin script, less those that are English words too,
# or words of what people write in English chats.
FUNCTION_WORDS = {
    "Spanish": (
        "el los las una unos es está están estoy muy pero porque que qué yo tú él ella nosotros mi mis tu su "
        "sus con para por como cuando más también hoy fue era ser estar tengo tiene hay nada todo todos esto "
        "eso ya sí del al lo le se nos siento estaba gracias día"
    ),
    "French": (
        "le les une des est et je tu il elle nous vous ils elles mon ma mes ton ta son sa ses leur avec pour "
        "dans sur mais parce que qui quoi très pas plus ce cette ces c'est j'ai j'étais suis était être avoir "
        "fait tout tous aujourd'hui rien ça du au aux ne sans merci l'ai d'être n'est qu'il"
    ),
    "German": (
        "der das den dem des ein eine einen einem einer ich du er sie es wir ihr mir mich dich uns ist sind "
        "bin und oder aber nicht kein keine sehr auch noch schon mit von zu zum zur für auf aus bei nach über "
        "wie wenn weil dass heute habe hast haben hatte wurde werden mein meine dein unser gut"
    ),
    "Italian": (
        "il gli una è sono sei siamo e io lui lei noi voi mio mia miei tuo suo con per di da del della dei "
        "che chi cosa perché molto anche non più ma questo questa questi quello oggi ho hai abbiamo era stato "
        "stata tutto niente grazie così sto"
    ),
    "Portuguese": (
        "os um uma uns é são está estou eu você ele ela nós meu minha seu sua com para por de da do dos das "
        "em na no nos nas que quem muito também não mais mas este esta isso hoje foi era ser tenho tem tudo "
        "nada obrigado obrigada porque sinto"
    ),
    "Dutch": (
        "de het een ik jij je hij zij wij jullie mij hem haar ons mijn jouw zijn en of maar niet geen heel "
        "erg ook nog al met van voor op uit bij naar over als omdat dat wat vandaag heb hebt heeft hebben was "
        "werd ben bent er te zo"
    ),
    "Polish": (
        "jestem jest są nie się to że i w z na do ale bardzo mnie mi ja ty on ona my co jak gdy dla od po już "
        "tylko też dzisiaj było był była mam masz ma"
    ),
    "Turkish": (
        "ve bir bu şu o ben sen biz çok ama için ile gibi daha değil var yok ne neden bugün beni seni benim "
        "oldu oldum olarak kadar mi mı da de"
    ),
    "Swedish": (
        "jag du han hon vi ni och att det den en ett är inte men som på med för av till från om så mycket "
        "också idag har hade min mitt mina var blev"
    ),
    "Indonesian": (
        "saya aku kamu dia kami kita yang dan di ke dari ini itu tidak bukan sangat dengan untuk karena tapi "
        "sudah belum ada hari adalah akan bisa"
    ),
}
# word: the languages that have it
LANGUAGES = {}
for _language, _words in FUNCTION_WORDS.items():
    for _word in set(_words.split()):
        LANGUAGES.setdefault(_word, []).append(_language)
ENGLISH_WORDS = (
    "a about after again all also am an and any are aren't as at be because been before being both but by "
    "can can't could did didn't do does doesn't don't each feel few for from get go going good got had "
    "has have having he her here him his how i i'd i'll i'm i've if in into is isn't it it's its just "
    "know like love many may me might mine more most much must my no not now of off on one only or other "
    "our out over own really same shall she should so some such than that the their them then there these "
    "they think this those to too until up us very was wasn't we were what when where which while who why "
    "will with would you your"
)
ENGLISH = frozenset(ENGLISH_WORDS.split())
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
FEWEST = 3  # words of a language of Latin script, to be sure of it


def foreign_language(text):
    """
    The language or script of a text that is clearly not English.

    Args:
        text (`str`): Any text; its first 2,000 characters are read.

    Returns:
        `str` or `None`: For instance `"Spanish"` or `"Cyrillic script"`; `None` for English, for what may be English,
        and for a text too short to tell.

    Example:

    ```python
    >>> from emodistill.language_emodistill import foreign_language

    >>> foreign_language("Estoy muy triste"), foreign_language("Мне грустно"), foreign_language("So sad today")
    ('Spanish', 'Cyrillic script', None)

    ```
    """
    text = text[:2000]
    if not text.isascii() and (script := _script(text)):
        return script
    words = [word.replace("’", "'") for word in WORD.findall(text.lower() if text.isupper() else text)]
    if len(words) < FEWEST:
        return None
    # Capitals within a text are names: Las Vegas, Juan de la Cruz.
    words = [word.lower() for place, word in enumerate(words) if place == 0 or word[0].islower() or len(word) == 1]
    counts = {}
    for word in words:
        for language in LANGUAGES.get(word, ()):
            counts[language] = counts.get(language, 0) + 1
    if not counts:
        return None
    found, language = max((number, name) for name, number in counts.items())
    # Some words belong to both: a language must show more clearly than English does.
    if found >= 2 and found >= 0.3 * len(words) and found > 1.5 * sum(word in ENGLISH for word in words):
        return language
    return None


def _script(text):
    """The script of most letters, if it is not Latin."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(character.isascii() or "LATIN" in unicodedata.name(character, "") for character in letters)
    if len(letters) < 2 or 2 * latin >= len(letters):
        return None
    counts = {}
    for character in letters:
        name = unicodedata.name(character, "").split(" ")[0]
        counts[name] = counts.get(name, 0) + 1
    name = max(counts, key=counts.get)
    # Emoticons of letters from elsewhere (ಠ_ಠ, ツ, ʕ•ᴥ•ʔ) are no text: a script shows in words.
    others = [character for character in letters if not unicodedata.name(character, "").startswith("LATIN")]
    if len(set(others)) < 3:
        return None
    return {"CJK": "Chinese script", "HIRAGANA": "Japanese script", "KATAKANA": "Japanese script"}.get(
        name, f"{name.capitalize()} script"
    )
