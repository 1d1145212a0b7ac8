// What a whole text comes to: totals, and a table for the targets.

import {element, percent, signed, table} from "./dom.js";
import {answered, SIGNS, sideOf, UNRELATED, worthSaying} from "./taxonomy.js";

/** Counts of a target over scored sentences; means are over the sentences that touch it, null where there are none. */
export function countsOf(target, all) {
  const answers = all.map(({result}) => result.targets[target.id]).filter(Boolean);
  const touched = answers.filter(answer => answer.label !== UNRELATED);
  const sure = touched.filter(answer => !answer.abstained);
  return {
    labels: Object.fromEntries(target.labels.map(label => [label, answers.filter(answer => answer.label === label).length])),
    unsure: answers.filter(answer => answer.abstained).length,
    mean: mean(touched),
    sure: sure.length,
    sureMean: mean(sure),
  };
}

const mean = answers => answers.length ? answers.reduce((sum, answer) => sum + answer.score, 0) / answers.length : null;

const sureMean = counts => counts.sure ? `${signed(counts.sureMean)} (${counts.sure})` : "–";

/** Totals and tables. */
export function totals(all, taxonomy) {
  const targets = answered(taxonomy, all[0].result);
  const issues = targets.filter(target => target !== taxonomy.overall);
  const touching = all.filter(({result}) => issues.some(target => worthSaying(result.targets[target.id]))).length;
  const cut = all.filter(({result}) => result.truncated).length;
  const facts = [["Sentences", all.length], ["Touching an issue, or perhaps", `${touching} (${percent(touching / all.length)})`]];
  if (cut) facts.push(["Read in part", cut]);
  const shown = [];
  if (taxonomy.overall) {
    const counts = countsOf(taxonomy.overall, all);
    facts.push([`Mean score, ${taxonomy.overall.title}`, signed(counts.mean)]);
    facts.push(["Mean of sure answers", sureMean(counts)]);
    shown.push(shares(taxonomy.overall, counts, all.length));
  }
  const list = element("dl", {class: "facts"}, ...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
  return [list, ...shown, ...sameClasses(targets).map(group => tableOf(group, all)),
    element("p", {class: "faint"}, "Means are over the sentences that touch the target, from −1 (◀) to +1 (▶); “of sure answers” leaves out those that are not sure enough, and says how many are left.")];
}

/** Where the sentences of a text lie, as a bar with a word for each part. */
function shares(target, counts, all) {
  const bar = element("div", {class: "stack", "aria-hidden": "true"});
  const words = element("ul", {class: "key", "aria-label": `${target.title}, share of the sentences`});
  for (const label of target.labels) {
    if (!counts.labels[label]) continue;
    const side = sideOf(target, label);
    const part = element("span", {class: side});
    part.style.flexGrow = counts.labels[label];
    bar.append(part);
    words.append(element("li", {class: side}, `${SIGNS[side]} ${label} ${counts.labels[label]} (${percent(counts.labels[label] / all)})`));
  }
  return element("div", {}, bar, words);
}

function sameClasses(targets) {
  const groups = new Map();
  for (const target of targets) {
    const classes = JSON.stringify(target.labels);
    groups.set(classes, [...groups.get(classes) ?? [], target]);
  }
  return [...groups.values()];
}

function tableOf(targets, all) {
  const labels = targets[0].labels;
  const head = ["Target", ...labels, "not sure", "mean score", "of sure answers"];
  const rows = targets.map(target => {
    const counts = countsOf(target, all);
    const numbers = [...labels.map(label => counts.labels[label]), counts.unsure, signed(counts.mean), sureMean(counts)];
    return [target.title, ...numbers.map(String)];
  });
  return table(`Sentences by label: ${targets.length > 1 ? `${targets.length} targets` : targets[0].title}`, head, rows);
}
