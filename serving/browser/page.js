// The page: a text goes in, its sentences go to the service, what comes back is shown as it comes.

import {aboutElements} from "./about.js";
import {ask} from "./ask.js";
import {correctedOf, openCorrection} from "./correction.js";
import {byId, element, percent} from "./dom.js";
import {asCsv, asJson, copy, save} from "./export.js";
import {openExplanation} from "./explanation.js";
import {keyField} from "./keyfield.js";
import {hideTip, sentenceItem} from "./results.js";
import {batchesOf, sentencesOf} from "./sentences.js";
import {SIGNS, taxonomyOf} from "./taxonomy.js";
import {totals} from "./totals.js";

/** What is on the page now: `all` holds {text, result} for each sentence, in order. */
const shown = {taxonomy: null, model: null, version: "", all: []};
let running = null;

async function readModel() {
  const [{targets}, model] = await Promise.all([ask("v1/targets"), ask("v1/model")]);
  shown.taxonomy = taxonomyOf(targets);
  shown.model = model;
  byId("version").textContent = model.version;
  byId("error-rate").textContent = percent(model.error_rate);
  byId("legend").textContent = legend(shown.taxonomy.overall);
}

function legend(overall) {
  const tint = overall ? `The tint is ${overall.title}: ${SIGNS.other} ${overall.poles.other}, ${SIGNS.conciliatory} ${overall.poles.conciliatory}; no tint where the model is not sure enough. ` : "";
  return `${tint}On each answer: label, score from −1 to +1, probability of the label. Point at one for all probabilities; press it to correct it. “Why?” shows the words that carried the scores.`;
}

async function score(text) {
  const sentences = sentencesOf(text);
  byId("problem").textContent = "";
  clear();
  if (!sentences.length) {
    byId("status").textContent = "";
    byId("problem").textContent = "There is no sentence to score: paste a text first.";
    byId("text").focus();
    return;
  }
  running = new AbortController();
  working(sentences.length);
  try {
    // Another model may answer by now, of other targets.
    await readModel();
    for (const texts of batchesOf(sentences)) {
      show(texts, await ask("v1/score", {body: {texts}, signal: running.signal, waiting: busy}));
      byId("progress").value = shown.all.length;
      byId("status").textContent = `Scored ${shown.all.length} of ${sentences.length} sentences.`;
    }
    byId("status").textContent = `Scored ${sentences.length} ${sentences.length === 1 ? "sentence" : "sentences"}.`;
  } catch (error) {
    stopped(error, sentences.length);
  } finally {
    running = null;
    idle();
  }
}

function stopped(error, wanted) {
  const left = shown.all.length ? ` ${shown.all.length} of ${wanted} sentences are scored.` : "";
  byId("status").textContent = error.name === "AbortError" ? `Stopped.${left}` : left.trim();
  if (error.name === "AbortError") return;
  byId("problem").textContent = error.message;
  if ([401, 403].includes(error.status)) {
    const place = byId("scoring-key");
    if (place.hidden) place.replaceChildren(keyField());
    place.hidden = false;
    place.querySelector("input").focus();
  }
}

function show(texts, answer) {
  shown.version = answer.model.version;
  for (const [n, result] of answer.results.entries()) {
    const scored = {text: texts[n], result};
    shown.all.push(scored);
    byId("sentences").append(itemOf(scored, shown.all.length));
  }
  byId("totals").replaceChildren(...totals(shown.all, shown.taxonomy));
  byId("results").hidden = false;
}

function itemOf(scored, number) {
  const {taxonomy} = shown;
  const item = sentenceItem(scored, number, taxonomy, (target, opener) => {
    hideTip();
    openCorrection({item, scored, number, taxonomy, target, opener, kept});
  }, opener => openExplanation({item, scored, number, taxonomy, version: shown.version, opener}));
  const said = element("p", {class: "corrected", hidden: true});
  item.append(said);
  function kept() {
    const corrected = correctedOf(scored.text);
    const words = taxonomy.targets.filter(({id}) => id in corrected).map(({id, title}) => `${title}: ${corrected[id]}`);
    said.textContent = `✓ Your label: ${words.join("; ")}`;
    said.hidden = !words.length;
  }
  kept();
  return item;
}

function clear() {
  shown.all = [];
  hideTip();
  byId("results").hidden = true;
  byId("sentences").replaceChildren();
  byId("copied").textContent = "";
}

function working(sentences) {
  byId("status").textContent = `Scoring ${sentences} ${sentences === 1 ? "sentence" : "sentences"}…`;
  Object.assign(byId("progress"), {max: sentences, value: 0, hidden: false});
  byId("stop").hidden = false;
}

function busy(seconds) {
  byId("status").textContent = `The service is busy. Asking again in ${seconds} s…`;
}

function idle() {
  // The button that goes away must not take the focus with it.
  if (document.activeElement === byId("stop")) byId("go").focus();
  byId("stop").hidden = true;
  byId("progress").hidden = true;
}

function view() {
  const about = location.hash === "#about";
  byId("score").hidden = about;
  byId("about").hidden = !about;
  hideTip();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === (about ? "#about" : "#score")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (about) fillAbout();
}

async function fillAbout() {
  try {
    await readModel();
    byId("about-body").replaceChildren(...await aboutElements(shown.model, shown.taxonomy));
  } catch (error) {
    byId("about-body").replaceChildren(element("p", {class: "problem", role: "alert"}, error.message));
  }
}

byId("form").addEventListener("submit", event => {
  event.preventDefault();
  if (!running) score(byId("text").value);
});
byId("stop").addEventListener("click", () => running?.abort());
byId("example").addEventListener("click", async () => {
  if (running) return;
  const response = await fetch("page/example.txt");
  byId("text").value = (await response.text()).trim();
  if (!running) score(byId("text").value);
});
byId("copy").addEventListener("click", async () => {
  try {
    await copy(asJson(shown.all, shown.version));
    byId("copied").textContent = "Copied.";
  } catch (error) {
    byId("copied").textContent = error.message;
  }
});
byId("download").addEventListener("click", () => {
  // The mark at the beginning tells spreadsheets that it is UTF-8.
  save(`\ufeff${asCsv(shown.all, shown.taxonomy, shown.version)}`, "stance.csv", "text/csv;charset=utf-8");
});
window.addEventListener("hashchange", () => {
  view();
  byId(location.hash === "#about" ? "about" : "score").focus();
});

readModel().catch(error => {
  byId("problem").textContent = error.message;
});
view();
