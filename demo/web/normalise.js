// Texts as the model reads them: the rules of normalisation_emodistill.py, where each is explained.
// Python's \w, \d and \s know all scripts and JavaScript's do not, so they are spelled out.

const WORD = "[\\p{L}\\p{N}_]";
const LETTER = "[\\p{L}\\p{Nl}\\p{No}]";
const ADDRESS = /(?:https?:\/\/|www\.)[^\s\x85]+/giu;
const TAG =
  /<\/?(?:a|abbr|b|blockquote|body|br|center|code|del|div|em|font|h[1-6]|hr|html|i|img|ins|li|ol|p|pre|q|s|small|span|strike|strong|sub|sup|table|tbody|td|th|tr|u|ul)(?:[\s\x85][^<>]*)?\/?>/giu;
const USER = new RegExp(`(?<![\\p{L}\\p{N}_@.])@${WORD}+`, "gu");
const HASHTAG = new RegExp(`(?<![\\p{L}\\p{N}_&#])#(?=${WORD}*${LETTER})(${WORD}+)`, "gu");
const WORD_IN_HASHTAG = new RegExp(`[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\\p{Nd}+|(?:(?![A-Za-z])${LETTER})+`, "gu");
const ELONGATED = new RegExp(
  `(?<!${WORD})(?!www(?!${WORD}))(?=${WORD}*(${LETTER})\\1\\1)${LETTER}+(?!${WORD})`,
  "giu",
);
const RUN = new RegExp(`(${LETTER})\\1{2,}`, "giu");
const INVISIBLE =
  /[\u0000-\u0008\u000e-\u001f\u007f\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/gu;

const single = (text) => text.split(/[\s\x1c-\x1f\x85]+/u).filter(Boolean).join(" ");

/** Emoji by their names; `symbols.names` has one for each, `symbols.skipped` what only changes how one looks. */
export function spellEmoji(text, symbols) {
  if (!/[\u2600-\u{10ffff}]/u.test(text)) return text;
  const skipped = new Set(symbols.skipped);
  let spelled = "";
  let previous = null;
  for (const character of text) {
    if (skipped.has(character)) continue;
    if (Object.hasOwn(symbols.names, character)) {
      if (character !== previous) spelled += ` ${symbols.names[character]} `;
    } else spelled += character;
    previous = character;
  }
  return single(spelled);
}

/** A text as its writer meant it to be read. */
export function normaliseText(text, symbols) {
  for (let time = 0; time < 3 && text.includes("&"); time += 1) {
    const read = unescaped(text);
    if (read === text) break;
    text = read;
  }
  text = text.replace(TAG, " ").replace(/\p{Cs}/gu, "?").replace(INVISIBLE, "").replace(ADDRESS, "http");
  text = text.replace(USER, "@user").replace(HASHTAG, (_, word) => wordsOf(word));
  const doubled = new Set(symbols.doubled);
  return single(spellEmoji(text.replace(ELONGATED, (word) => shortened(word, doubled)), symbols));
}

function unescaped(text) {
  const area = document.createElement("textarea");
  area.innerHTML = text.replace(/</g, "&lt;"); // tags are no entities
  return area.value;
}

function wordsOf(hashtag) {
  const words = hashtag.replaceAll("_", " ").match(WORD_IN_HASHTAG) ?? [];
  if (words.length === 1) return words[0];
  const capitals = (word) => word === word.toUpperCase() && word !== word.toLowerCase();
  return words.map((word) => (Array.from(word).length > 1 && capitals(word) ? word : word.toLowerCase())).join(" ");
}

function shortened(word, doubled) {
  const characters = Array.from(word);
  if (new Set(characters.map((character) => character.toLowerCase())).size === 1) return characters.slice(0, 3).join("");
  const double = word.replace(RUN, "$1$1");
  return doubled.has(double.toLowerCase()) ? double : word.replace(RUN, "$1");
}
