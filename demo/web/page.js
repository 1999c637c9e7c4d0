// The page: what is typed goes to the classifier, and its scores become bars.
import { loadClassifier } from "./emodistill.js";

const text = document.getElementById("text");
const state = document.getElementById("state");
const bars = document.getElementById("bars");

function draw({ labels, scores, predicted }) {
  const order = labels.map((_, place) => place).sort((one, other) => scores[other] - scores[one]);
  bars.replaceChildren(
    ...order.map((place) => {
      const row = document.createElement("li");
      row.className = predicted.includes(labels[place]) ? "on" : "";
      for (const name of ["name", "track", "value"]) {
        row.append(Object.assign(document.createElement("span"), { className: name }));
      }
      row.children[0].textContent = labels[place];
      const bar = row.children[1].appendChild(document.createElement("i"));
      bar.style.width = `${100 * scores[place]}%`;
      row.children[2].textContent = scores[place].toFixed(2);
      return row;
    }),
  );
}

let waiting = false;
let running = false;

// One text at a time; what is typed meanwhile is scored next, and only its last state.
async function update(classify) {
  waiting = true;
  if (running) return;
  running = true;
  try {
    while (waiting) {
      waiting = false;
      const start = performance.now();
      draw(await classify(text.value, document.querySelector("input[name=mode]:checked").value === "several"));
      state.textContent = `${Math.round(performance.now() - start)} ms on this machine`;
    }
  } catch (error) {
    state.textContent = `the text could not be scored: ${error.message}`;
  } finally {
    running = false;
  }
}

try {
  const classify = await loadClassifier(new URL("./", import.meta.url));
  window.emodistill = classify;
  text.addEventListener("input", () => update(classify));
  for (const mode of document.querySelectorAll("input[name=mode]")) {
    mode.addEventListener("change", () => update(classify));
  }
  await update(classify);
} catch (error) {
  state.textContent = `the model could not be loaded: ${error.message}`;
}
