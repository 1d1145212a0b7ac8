// What was found, for other programs.

import {correctedOf} from "./correction.js";
import {answered} from "./taxonomy.js";

/** As JSON: the answers of the service beside their texts, with the corrections that were sent. */
export function asJson(all, version) {
  const sentences = all.map(({text, result}) => {
    const corrected = correctedOf(text);
    return Object.keys(corrected).length ? {text, ...result, corrected} : {text, ...result};
  });
  return JSON.stringify({model: {version}, sentences}, null, 2);
}

/** As CSV (RFC 4180), a sentence a line. */
export function asCsv(all, taxonomy, version) {
  const targets = answered(taxonomy, all[0].result);
  const columns = ["label", "sure", "score", "confidence"];
  const head = ["number", "text", ...targets.flatMap(({id}) => [...columns.map(column => `${id}_${column}`), `${id}_corrected`]), "read_in_part", "model"];
  const rows = all.map(({text, result}, n) => [
    n + 1, text,
    ...targets.flatMap(({id}) => {
      const {label, abstained, score, probabilities} = result.targets[id];
      return [label, abstained ? "no" : "yes", score, probabilities[label], correctedOf(text)[id] ?? ""];
    }),
    result.truncated ? "yes" : "no", version,
  ]);
  return [head, ...rows].map(row => row.map(cell).join(",") + "\r\n").join("");
}

/** A cell; a text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(value) {
  if (typeof value === "number") return String(value);
  const text = /^[\s\u0000]*[=+\-@＝＋－＠]|^[\t\r\n]/u.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Puts a text on the clipboard, also where the browser has no clipboard for pages without TLS. */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("The browser does not let this page copy.");
}

/** Offers a text as a file. */
export function save(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], {type}));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
