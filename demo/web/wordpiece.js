// BERT's tokenizer, from a tokenizer.json: clean, lower case without accents, split at punctuation, longest pieces.

const OVERLAP = 32; // tokens that neighbouring windows of a long text share
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/u;
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

export class Tokenizer {
  /** @param {object} file A tokenizer.json whose model is WordPiece and whose normaliser and splitting are BERT's. */
  constructor(file) {
    const kinds = [file.model?.type ?? "WordPiece", file.normalizer?.type, file.pre_tokenizer?.type];
    if (kinds.join() !== "WordPiece,BertNormalizer,BertPreTokenizer") {
      throw new Error(`this page reads BERT's tokenizers, not ${kinds.join(", ")}`);
    }
    this.vocabulary = new Map(Object.entries(file.model.vocab));
    this.model = file.model;
    this.normaliser = file.normalizer;
    this.special = new Map(file.added_tokens.map((token) => [token.content, token.id]));
    const contents = [...this.special.keys()].map((content) => content.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    this.specials = new RegExp(`(${contents.join("|")})`);
    this.first = this.special.get("[CLS]");
    this.last = this.special.get("[SEP]");
  }

  normalise(text) {
    if (this.normaliser.clean_text) {
      text = text.replace(/[\t\n\r]/g, " ").replace(/[\0\ufffd\p{C}]/gu, "").replace(/\p{White_Space}/gu, " ");
    }
    if (this.normaliser.handle_chinese_chars) text = text.replace(CHINESE, " $& ");
    if (this.normaliser.strip_accents ?? this.normaliser.lowercase) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
    // A character at a time: what a word's end makes of a Greek sigma is not looked at.
    return this.normaliser.lowercase ? Array.from(text, (character) => character.toLowerCase()).join("") : text;
  }

  /** Token ids of a text, without the first and last. */
  ids(text) {
    const ids = [];
    for (const part of text.split(this.specials)) {
      if (this.special.has(part)) ids.push(this.special.get(part));
      else for (const word of words(this.normalise(part))) ids.push(...this.pieces(word));
    }
    return ids;
  }

  pieces(word) {
    const characters = Array.from(word);
    const unknown = [this.vocabulary.get(this.model.unk_token)];
    if (characters.length > this.model.max_input_chars_per_word) return unknown;
    const found = [];
    for (let start = 0; start < characters.length; ) {
      let end = characters.length;
      let id;
      for (; end > start; end -= 1) {
        const prefix = start ? this.model.continuing_subword_prefix : "";
        id = this.vocabulary.get(prefix + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown;
      found.push(id);
      start = end;
    }
    return found;
  }

  /** Token ids in windows of at most so many, which overlap. */
  windows(text, longest) {
    const ids = this.ids(text);
    const size = longest - 2;
    const step = size - Math.min(OVERLAP, Math.floor(longest / 4));
    const windows = [];
    for (let start = 0; start === 0 || start < ids.length; start += step) {
      windows.push([this.first, ...ids.slice(start, start + size), this.last]);
      if (start + size >= ids.length) break;
    }
    return windows;
  }
}

/** Words and marks of a text: split at white space, each mark of punctuation by itself. */
function words(text) {
  const found = [];
  for (const word of text.split(/\p{White_Space}+/u)) {
    let kept = "";
    for (const character of word) {
      if (PUNCTUATION.test(character)) {
        if (kept) found.push(kept);
        found.push(character);
        kept = "";
      } else kept += character;
    }
    if (kept) found.push(kept);
  }
  return found;
}
