// A label put right: it goes to the label store.

import {ask, key} from "./ask.js";
import {element, percent} from "./dom.js";
import {keyField} from "./keyfield.js";
import {UNRELATED} from "./taxonomy.js";

const LABELS = "v1/labels";

/** Text → {labels (target → label) that are in the store, the attempt that is not known to be}; as long as the page is open. */
const sent = new Map();

/** Target → label that was sent for a text from this page. */
export const correctedOf = text => sent.get(text)?.labels ?? {};

/** Opens the form in a sentence's item, or closes it where the same button opened it; `kept()` is told that a label is in the store. */
export function openCorrection({item, scored, number, taxonomy, target, opener, kept}) {
  const open = item.querySelector(".correction");
  const again = opener.getAttribute("aria-expanded") === "true";
  if (open) close(item);
  if (again) return;
  opener.setAttribute("aria-expanded", "true");
  const form = correctionForm(scored, number, taxonomy, target);
  form.root.addEventListener("submit", async event => {
    event.preventDefault();
    if (form.root.ariaBusy === "true") return;
    form.root.ariaBusy = "true";
    form.status.textContent = "Sending…";
    form.problem.textContent = "";
    try {
      await send(scored.text, form.target.value, form.label.value, taxonomy);
      kept();
      form.status.textContent = `Kept: ${titleOf(taxonomy, form.target.value)} is ${form.label.value}.`;
    } catch (error) {
      form.status.textContent = "";
      form.problem.textContent = error.message;
      if ([401, 403].includes(error.status) || !key.get()) form.root.querySelector("input").focus();
    } finally {
      form.root.ariaBusy = "false";
    }
  });
  form.root.addEventListener("keydown", event => {
    if (event.key === "Escape") shut();
  });
  form.cancel.addEventListener("click", () => shut());
  item.append(form.root);
  form.label.focus();

  function shut() {
    close(item);
    opener.focus();
  }
}

function close(item) {
  item.querySelector(".correction").remove();
  for (const button of item.querySelectorAll("[aria-expanded=true]:not(.why)")) button.setAttribute("aria-expanded", "false");
}

const titleOf = (taxonomy, id) => taxonomy.targets.find(target => target.id === id).title;

let forms = 0;

function correctionForm(scored, number, taxonomy, chosen) {
  forms += 1;
  const [targetId, labelId] = [`target-${forms}`, `label-${forms}`];
  const target = element("select", {id: targetId}, ...taxonomy.targets.map(t => element("option", {value: t.id, selected: t.id === chosen.id}, t.title)));
  const label = element("select", {id: labelId});
  const model = element("p", {class: "faint"});
  const status = element("p", {role: "status"});
  const problem = element("p", {class: "problem", role: "alert"});
  const cancel = element("button", {type: "button", class: "quiet"}, "Close");
  const fill = () => {
    const known = taxonomy.targets.find(t => t.id === target.value);
    const answer = scored.result.targets[known.id];
    const standing = correctedOf(scored.text)[known.id];
    label.replaceChildren(...known.labels.map(name => element("option", {value: name, selected: name === (standing ?? answer.label)}, name)));
    const shares = Object.entries(answer.probabilities).map(([name, share]) => `${name} ${percent(share)}`);
    model.textContent = `The model: ${shares.join(", ")}. “${known.proposition}”`;
    status.textContent = problem.textContent = "";
  };
  target.addEventListener("change", fill);
  fill();
  const root = element("form", {class: "correction", "aria-label": `Correct sentence ${number}`},
    element("div", {class: "fields"},
      element("div", {class: "field"}, element("label", {for: targetId}, "Target"), target),
      element("div", {class: "field"}, element("label", {for: labelId}, "Right label"), label),
      keyField()),
    model,
    element("p", {class: "buttons"}, element("button", {type: "submit"}, "Send the label"), cancel),
    status, problem);
  return {root, target, label, status, problem, cancel};
}

/** All corrections of the sentence so far: in the store, a newer label of a sentence takes the place of the one before. */
async function send(text, targetId, label, taxonomy) {
  if (!key.get()) throw new Error("A label needs an API key. Enter it, then send again.");
  const corrected = {...correctedOf(text), [targetId]: label};
  const known = Object.entries(corrected).filter(([id]) => taxonomy.targets.some(target => target.id === id));
  const labels = Object.fromEntries(known.map(([id, name]) => [id, name === UNRELATED ? null : name]));
  // Of an act of labelling that is tried again the service sees that it is the same; one that goes back to an earlier label is another.
  const said = JSON.stringify(labels);
  const before = sent.get(text);
  const attempt = before?.attempt?.said === said ? before.attempt : {said, event: `page-${randomHex()}`};
  sent.set(text, {labels: correctedOf(text), attempt});
  await ask(LABELS, {body: {labels: [{text, labels, event: attempt.event}]}});
  sent.set(text, {labels: corrected, attempt: null});
}

// crypto.randomUUID is only there over TLS or on this machine.
const randomHex = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");
