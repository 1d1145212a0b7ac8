// What the model is, and how far it can be trusted.

import {ask} from "./ask.js";
import {cardElements} from "./card.js";
import {element, percent, table} from "./dom.js";
import {figure, intervals, reliability} from "./plots.js";

const SOURCES = {
  named: "named when the service was started",
  champion: "the one in use, as the registry says",
  "former champion": "one that was in use before: the one in use cannot be loaded",
  shipped: "the one that came with the service",
};
const READERS = {model: "model", floor: "floor", agreement: "agreement"};
const OVERALL = {mean_macro_f1: "Mean macro-F1 over targets", issue_pole_f1: "Mean F_avg over issues", issue_side_f1: "(issue, side) micro-F1"};

/** The view of the model of `/v1/model`. */
export async function aboutElements(model, taxonomy) {
  const {evaluation} = await ask("page/evaluation.json");
  const parts = [facts(model), ...heldOut(model, taxonomy)];
  if (evaluation) {
    parts.push(...evaluated(evaluation, taxonomy), ...honest(evaluation, taxonomy), await card());
  } else {
    parts.push(element("p", {}, "The service has no report of this model; ", element("code", {}, "stance evaluate"), " writes one."));
  }
  return parts;
}

function facts(model) {
  const data = model.trained_on;
  const rows = [
    ["Version", element("code", {}, model.version)],
    ["Why this one", SOURCES[model.source] ?? model.source],
    ["Recipe", model.recipe.title ?? model.recipe.name],
    ["Trained on", `${count(data.sentences)} sentences in ${count(data.groups)} documents or events`],
    ["From", (data.files ?? []).map(file => file.name).join(", ") || "–"],
    ["Stated error rate", `at most ${percent(model.error_rate)} wrong among the answers that are sure enough, on sentences held out`],
    ["Data", element("code", {}, data.fingerprint)],
  ];
  return element("dl", {class: "about"}, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

const count = number => Number(number).toLocaleString("en");

function heldOut(model, taxonomy) {
  const figures = model.cross_validated;
  if (!figures?.targets) return [];
  const rows = taxonomy.targets.filter(({id}) => figures.targets[id]).map(({id, title}) => {
    const {macro_f1, pole_f1} = figures.targets[id];
    return [title, intervals([{name: "macro-F1", ...macro_f1}]), figure(macro_f1), figure(pole_f1)];
  });
  return [
    element("h3", {}, "On sentences held out of its training"),
    element("p", {}, `${count(figures.sentences)} sentences of ${count(figures.groups)} documents: ${figures.method}. In brackets 95% intervals.`),
    table("Figures on sentences held out", ["Target", scale("macro-F1"), "macro-F1", "F_avg"], rows),
    element("p", {class: "faint"}, "macro-F1 is the mean F1 of all classes, F_avg that of the two poles; 1 is best."),
  ];
}

const scale = name => element("span", {class: "scale"}, element("span", {}, "0"), name, element("span", {}, "1"));

function evaluated(evaluation, taxonomy) {
  const readers = Object.keys(READERS).filter(reader => evaluation.readers[reader]);
  const row = (name, pick) => {
    const given = readers.map(reader => ({name: READERS[reader], ...pick(evaluation.readers[reader])}));
    return [name, intervals(given), ...given.map(figure)];
  };
  const rows = [
    ...taxonomy.targets.filter(({id}) => evaluation.readers.model.targets[id]).map(({id, title}) => row(title, reader => reader.targets[id].macro_f1)),
    ...Object.entries(OVERALL).map(([name, title]) => row(title, reader => reader.overall[name])),
  ];
  const which = evaluation.twice ? ", each labelled twice" : "";
  const key = readers.map((reader, n) => element("li", {class: `key-${n + 1}`}, `${"●■◆"[n]} ${READERS[reader]}`));
  return [
    element("h3", {}, "On the test set"),
    element("p", {}, `${count(evaluation.sentences)} sentences of ${count(evaluation.documents)} documents that nothing was trained on${which}. `
      + "Floor: what words alone give (TF-IDF with logistic regression on the same training sentences). "
      + "Agreement: how far two readings of the labels agree."),
    element("ul", {class: "key"}, ...key),
    table("Figures on the test set: macro-F1, and over all targets", ["Target", scale(""), ...readers.map(reader => READERS[reader])], rows),
  ];
}

function honest(evaluation, taxonomy) {
  const plots = taxonomy.targets.filter(({id}) => evaluation.probabilities[id]).map(({id, title}) => {
    const {ece, bins} = evaluation.probabilities[id];
    return element("figure", {}, reliability(title, bins), element("figcaption", {}, title, element("br"), `error ${ece.value.toFixed(3)}`));
  });
  return [
    element("h3", {}, "Whether its probabilities are honest"),
    element("p", {}, "To the right, the confidence of a label; upward, the share of such labels that were right, on all test sentences. "
      + "Points on the diagonal are honest, points below it too sure. “Error” is the expected calibration error."),
    element("div", {class: "plots"}, ...plots),
  ];
}

async function card() {
  const response = await fetch("page/model-card.md", {cache: "no-store"});
  if (!response.ok) return "";
  return element("div", {},
    element("p", {}, element("a", {href: "page/report.html"}, "The whole report"), " of this model, with its errors and what it is bad at."),
    element("details", {}, element("summary", {}, "Model card"), ...cardElements(await response.text())));
}
