// The sentences with what is said of each.

import {byId, element, percent, signed} from "./dom.js";
import {answered, SIGNS, sideOf, strengthOf, UNRELATED, worthSaying} from "./taxonomy.js";

/** Words for an answer, without its target. */
export function worded(target, answer) {
  const sure = percent(answer.probabilities[answer.label]);
  const score = answer.label === UNRELATED ? "" : ` ${signed(answer.score)}`;
  const said = `${answer.label}${score}, ${sure}`;
  return answer.abstained ? `not sure enough, perhaps ${said}` : said;
}

/** The list item of a sentence; `correct(target, opener)` opens the form for a correction, `why(opener)` says what carried its scores. */
export function sentenceItem(scored, number, taxonomy, correct, why) {
  const {text, result} = scored;
  const item = element("li", {class: "sentence"});
  const overall = taxonomy.overall && result.targets[taxonomy.overall.id];
  if (overall && !overall.abstained) {
    const side = sideOf(taxonomy.overall, overall.label);
    item.classList.add(side, `strength-${strengthOf(overall.score)}`);
  }
  item.append(element("p", {class: "said", dir: "auto"}, text));
  if (result.truncated) item.append(element("p", {class: "faint"}, "Only its beginning was read: it is longer than the model takes."));
  const touched = answered(taxonomy, result).filter(target => worthSaying(result.targets[target.id]));
  const chips = element("ul", {class: "chips", "aria-label": `Answers for sentence ${number}`});
  for (const target of touched) chips.append(element("li", {}, chip(target, result.targets[target.id], correct)));
  if (!touched.length) chips.append(element("li", {class: "faint"}, "touches none of the targets"));
  const asking = element("button", {type: "button", class: "link why", "aria-expanded": "false", "aria-label": `Explain sentence ${number}`}, "Why?");
  asking.addEventListener("click", () => why(asking));
  const other = element("button", {type: "button", class: "link", "aria-expanded": "false", "aria-label": `Correct sentence ${number}`}, "Correct");
  other.addEventListener("click", () => correct(touched[0] ?? taxonomy.targets[0], other));
  chips.append(element("li", {}, other), element("li", {}, asking));
  item.append(chips);
  return item;
}

function chip(target, answer, correct) {
  const side = sideOf(target, answer.label);
  const made = element("button", {type: "button", class: `chip ${answer.abstained ? "unsure" : side}`, "aria-expanded": "false"},
    element("span", {class: "of"}, `${target.title} `),
    element("span", {"aria-hidden": "true"}, `${answer.abstained ? "?" : SIGNS[side]} `),
    worded(target, answer));
  explained(made, () => probabilities(answer));
  made.addEventListener("click", () => correct(target, made));
  return made;
}

function probabilities(answer) {
  const rows = Object.entries(answer.probabilities).map(([label, share]) => {
    const bar = element("span", {class: "bar", "aria-hidden": "true"});
    bar.style.setProperty("--share", share);
    return element("span", {class: "probability"}, `${label} ${percent(share)} `, bar);
  });
  return [element("span", {class: "tip-title"}, "Probabilities"), ...rows];
}

let shownFor = null;

/** Shows the tip while an element is pointed at or has the focus; Escape puts it away. */
function explained(owner, content) {
  const show = () => {
    const tip = byId("tip");
    shownFor?.removeAttribute("aria-describedby");
    shownFor = owner;
    tip.replaceChildren(...content());
    tip.hidden = false;
    owner.setAttribute("aria-describedby", "tip");
    const place = owner.getBoundingClientRect();
    const below = place.bottom + tip.offsetHeight + 8 < window.innerHeight;
    const left = Math.max(8, Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - 8));
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${window.scrollY + (below ? place.bottom : place.top - tip.offsetHeight)}px`;
  };
  const leave = event => {
    // The tip itself may be pointed at, to read it under a magnifying glass.
    if (event.relatedTarget !== byId("tip") && document.activeElement !== owner) hideTip();
  };
  owner.addEventListener("pointerenter", event => event.pointerType === "mouse" && show());
  owner.addEventListener("pointerleave", leave);
  owner.addEventListener("focus", show);
  owner.addEventListener("blur", hideTip);
}

export function hideTip() {
  byId("tip").hidden = true;
  shownFor?.removeAttribute("aria-describedby");
  shownFor = null;
}

document.addEventListener("keydown", event => event.key === "Escape" && hideTip());
byId("tip").addEventListener("pointerleave", () => document.activeElement !== shownFor && hideTip());
