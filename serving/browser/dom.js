// Elements, made so that what comes from a text can only ever become text.

/** An element; `attributes` that are null or false are left out, strings among `children` become text nodes. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** As `element`, of an SVG. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** The element of an id. */
export const byId = id => document.getElementById(id);

/** A table in a frame that scrolls by itself where the screen is narrow; `head` and `rows` hold cells (text or elements). */
export function table(caption, head, rows) {
  const cell = (kind, content, scope) => element(kind, {scope}, ...[content].flat());
  const body = rows.map(([first, ...others]) =>
    element("tr", {}, cell("th", first, "row"), ...others.map(content => cell("td", content, null))));
  const made = element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head.map(content => cell("th", content, "col")))),
    element("tbody", {}, ...body));
  return element("div", {class: "frame", tabindex: 0, role: "region", "aria-label": caption}, made);
}

/** A share as a percentage. */
export const percent = share => `${Math.round(100 * share)}%`;

/** A number with its sign and two places; "–" where there is none. */
export function signed(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  const places = Math.abs(number).toFixed(2);
  return Number(places) === 0 ? places : (number < 0 ? "−" : "+") + places;
}
