// An exported model in JavaScript: texts to token ids, onnxruntime-web, then a product and a sigmoid a label.
// Everything that follows from the labels alone was computed when the folder was built (demo/static_page.py).
import { normaliseText, spellEmoji } from "./normalise.js";
import { Tokenizer } from "./wordpiece.js";

const MOST_WINDOWS = 16; // of one text, spread evenly over it
const BLANK = /^[\p{White_Space}\p{Cc}\p{Cf}\p{Cn}\p{Mn}\p{Me}\u115f\u1160\u3164\uffa0\u2800\ufffd]*$/u;

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.pathname} is missing (${response.status})`);
  return response;
}

/**
 * Load a folder that `emodistill demo --web` wrote.
 *
 * @param {URL} folder Its address, with a slash at the end.
 * @returns {Promise<function(string, boolean): Promise<{labels: string[], scores: number[], predicted: string[]}>>}
 *   Scores a text; the second argument tells whether any number of labels may hold (0.5 is the decision), or one.
 */
export async function loadClassifier(folder) {
  const ort = await import(new URL("ort/ort.wasm.min.mjs", folder));
  ort.env.wasm.wasmPaths = new URL("ort/", folder).href;
  const [decision, tokens, symbols, graph] = await Promise.all([
    fetched(new URL("decision.json", folder)).then((file) => file.json()),
    fetched(new URL("tokenizer.json", folder)).then((file) => file.json()),
    fetched(new URL("emoji.json", folder)).then((file) => file.json()),
    fetched(new URL("model.onnx", folder)).then((file) => file.arrayBuffer()),
  ]);
  const tokenizer = new Tokenizer(tokens);
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });

  const plain = (text) => {
    if (decision.normalise_texts) return normaliseText(text, symbols);
    return decision.spell_emoji ? spellEmoji(text, symbols) : text;
  };

  // One window at a time: activations are quantised over a batch, so a window's neighbours would move it.
  const embed = async (text) => {
    const windows = spread(tokenizer.windows(text, decision.text_max_length), MOST_WINDOWS);
    const summed = new Float64Array(decision.size);
    for (const ids of windows) {
      const shape = [1, ids.length];
      const feeds = {
        input_ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
        attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
      };
      const { data } = (await session.run(feeds, ["sentence_embedding"])).sentence_embedding;
      data.forEach((value, place) => (summed[place] += value * ids.length));
    }
    const norm = Math.hypot(...summed);
    return summed.map((value) => value / norm);
  };

  const predicted = (scores, several, blank) => {
    const best = scores.indexOf(Math.max(...scores));
    const held = (score, place) => (several ? score >= 0.5 : place === best && !blank);
    const labels = decision.labels.filter((_, place) => held(scores[place], place));
    // Where nothing holds a text is neutral, unless neutral is a label that might have.
    return labels.length || (decision.labels.includes(decision.neutral) && !blank) ? labels : [decision.neutral];
  };

  const classify = async (text, several = true) => {
    const read = plain(text);
    const rule = several ? decision.several : decision.one;
    const scores = BLANK.test(read) ? rule.blank : decide(rule, await embed(read));
    return { labels: decision.labels, scores: [...scores], predicted: predicted(scores, several, BLANK.test(read)) };
  };
  return Object.assign(classify, { plain, tokenize: (text) => tokenizer.windows(text, decision.text_max_length) });
}

/** Scores from a text's embedding: `weights · embedding + biases`, then each by itself or one of them. */
export function decide(rule, embedding) {
  const margins = rule.weights.map((weights, label) =>
    weights.reduce((sum, weight, place) => sum + weight * embedding[place], rule.biases[label]),
  );
  const neutral = rule.neutral_without_others;
  const others = [...margins.keys()].filter((label) => label !== neutral);
  const [top, second = 0] = others.map((label) => margins[label]).sort((a, b) => b - a);
  for (const label of others) margins[label] -= rule.rivals * Math.max(0, margins[label] < top ? top : second);
  if (neutral !== null) {
    margins[neutral] = Math.max(margins[neutral], -Math.max(...others.map((label) => margins[label])));
  }
  if (rule.several) return margins.map((margin) => 1 / (1 + Math.exp(-margin)));
  const highest = Math.max(...margins);
  const parts = margins.map((margin) => Math.exp(margin - highest));
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => part / total);
}

/** At most so many of the windows, the first and last among them. */
function spread(windows, most) {
  if (windows.length <= most) return windows;
  return Array.from({ length: most }, (_, place) => windows[Math.round((place * (windows.length - 1)) / (most - 1))]);
}
