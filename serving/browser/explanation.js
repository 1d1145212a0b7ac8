// Why a sentence was answered so: the words that carried its scores, and labelled sentences that are near to it.

import {ask} from "./ask.js";
import {element, percent, signed} from "./dom.js";
import {keyField} from "./keyfield.js";
import {answered, UNRELATED, worthSaying} from "./taxonomy.js";

/** Opens the explanation in a sentence's item, or closes it where it is open. */
export async function openExplanation({item, scored, number, taxonomy, version, opener}) {
  const open = item.querySelector(".explanation");
  if (open) {
    shut();
    return;
  }
  opener.setAttribute("aria-expanded", "true");
  const status = element("p", {role: "status"});
  const problem = element("p", {class: "problem", role: "alert"});
  const body = element("div");
  const root = element("section", {class: "explanation", tabindex: "-1", "aria-label": `Explanation of sentence ${number}`}, status, problem, body);
  root.addEventListener("keydown", event => {
    if (event.key === "Escape") shut();
  });
  item.append(root);
  root.focus();
  status.textContent = "Reading the sentence without each of its words…";
  try {
    const {model, results: [result]} = await ask("v1/score", {body: {texts: [scored.text], explain: true}});
    status.textContent = model.version === version ? "" : "Another model answers by now; this is its explanation.";
    body.replaceChildren(...explanationElements(scored.text, result, taxonomy));
  } catch (error) {
    status.textContent = "";
    problem.textContent = error.message;
    if ([401, 403].includes(error.status)) body.replaceChildren(keyField());
  }

  function shut() {
    item.querySelector(".explanation")?.remove();
    opener.setAttribute("aria-expanded", "false");
    opener.focus();
  }
}

function explanationElements(text, result, taxonomy) {
  const {targets, examples, words_in_piece: together} = result.explanation;
  const all = answered(taxonomy, result);
  const touched = all.filter(target => worthSaying(result.targets[target.id]));
  const shown = touched.length ? touched : all.slice(0, 1);
  return [
    element("p", {class: "faint"}, "By how much the score is higher (+) or lower (−) with the marked words than without them."
      + (together > 1 ? ` The text is long: ${together} words at a time were left out.` : "")),
    ...shown.flatMap(target => targetElements(text, target, result.targets[target.id], targets[target.id])),
    ...exampleElements(examples, taxonomy),
  ];
}

function targetElements(text, target, answer, why) {
  const parts = [
    element("h3", {}, `${target.title}: ${answer.label}, score ${signed(answer.score)}`),
    why.words.length
      ? element("p", {class: "marked", dir: "auto"}, ...marked(text, why.words))
      : element("p", {}, "No word by itself carries this score."),
  ];
  if (why.words.length) parts.push(element("p", {class: "faint"}, `+ toward ${target.poles.conciliatory}, − toward ${target.poles.other}.`));
  if (why.definition) parts.push(element("p", {class: "faint"}, `“${answer.label}” in the codebook: the sentence ${why.definition}.`));
  if (why.rule) {
    parts.push(element("p", {class: "faint"}, `Rule ${why.rule.number}: ${why.rule.text} As in: “${why.rule.example}”`));
  }
  return parts;
}

/** The text with its words marked; a sign and a number stand behind each, so that no colour is needed to tell. */
function marked(text, words) {
  // Offsets count characters, JavaScript half of those beyond the first plane.
  const characters = Array.from(text);
  const part = (start, end) => characters.slice(start, end).join("");
  const parts = [];
  let from = 0;
  for (const {start, end, contribution} of [...words].sort((one, other) => one.start - other.start)) {
    const side = contribution > 0 ? "conciliatory" : "other";
    parts.push(part(from, start), element("mark", {class: side}, part(start, end), " ", element("span", {class: "by"}, signed(contribution))));
    from = end;
  }
  return [...parts, part(from)];
}

function exampleElements(examples, taxonomy) {
  if (!examples.length) return [];
  const items = examples.map(({text, labels, similarity}) => {
    const said = taxonomy.targets.filter(({id}) => labels[id] && labels[id] !== UNRELATED).map(({id, title}) => `${title} ${labels[id]}`);
    return element("li", {}, element("span", {dir: "auto"}, text), element("br"),
      element("span", {class: "faint"}, `${said.join(", ") || "touches none of the targets"}; ${percent(similarity)} alike`));
  });
  return [element("h3", {}, "Labelled sentences that the model sees most alike"), element("ul", {}, ...items)];
}
