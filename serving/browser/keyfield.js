// The field for the key.

import {key} from "./ask.js";
import {element} from "./dom.js";

let made = 0;

/** A labelled field that holds the key of this tab; what is entered counts at once. */
export function keyField() {
  made += 1;
  const id = `key-${made}`;
  const input = element("input", {id, type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint`});
  input.value = key.get();
  input.addEventListener("input", () => key.set(input.value));
  return element("div", {class: "field"},
    element("label", {for: id}, "API key"), input,
    element("p", {class: "faint", id: `${id}-hint`}, "Kept in this tab until it is closed. Whoever runs the service makes keys."));
}
