// Plots of figures in [0, 1].

import {drawn} from "./dom.js";

const WIDTH = 150;
const ROW = 12;

/** Values with their 95% intervals, one above the other; `rows` hold {name, value, low, high}. */
export function intervals(rows) {
  const at = share => 4 + share * (WIDTH - 8);
  const height = ROW * rows.length + 4;
  const grid = [0, 0.5, 1].map(x => drawn("line", {class: "grid", x1: at(x), x2: at(x), y1: 0, y2: height}));
  const marks = rows.flatMap(({value, low, high}, n) => {
    const y = 2 + ROW * (n + 0.5);
    const kind = `mark-${n + 1}`;
    if (value === null) return [];
    return [drawn("line", {class: kind, x1: at(low), x2: at(high), y1: y, y2: y}), shape(n, at(value), y, kind)];
  });
  const words = rows.map(({name, value, low, high}) => `${name} ${figure({value, low, high})}`).join("; ");
  return drawn("svg", {class: "plot", viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, role: "img", "aria-label": words}, ...grid, ...marks);
}

function shape(n, x, y, kind) {
  if (n === 1) return drawn("rect", {class: kind, x: x - 3, y: y - 3, width: 6, height: 6});
  if (n === 2) return drawn("path", {class: kind, d: `M${x} ${y - 4}l4 4l-4 4l-4 -4z`});
  return drawn("circle", {class: kind, cx: x, cy: y, r: 3.6});
}

/** How often labels of a confidence are right: on the diagonal where the confidence is honest. */
export function reliability(name, bins) {
  const side = 130;
  const at = share => 6 + share * (side - 12);
  const up = share => side - at(share);
  const marks = bins.filter(bin => bin.count).flatMap(({confidence, right}) => [
    drawn("line", {class: "mark-1", x1: at(confidence), x2: at(confidence), y1: up(right.low), y2: up(right.high)}),
    drawn("circle", {class: "mark-1", cx: at(confidence), cy: up(right.value), r: 2.6}),
  ]);
  const words = `${name}: confidence against the share that is right, ${bins.length} groups of answers`;
  return drawn("svg", {class: "plot", viewBox: `0 0 ${side} ${side}`, width: side, height: side, role: "img", "aria-label": words},
    drawn("rect", {class: "frame-line", x: at(0), y: at(0), width: side - 12, height: side - 12}),
    drawn("line", {class: "grid", x1: at(0), y1: up(0), x2: at(1), y2: up(1)}),
    ...marks);
}

/** A figure with its interval, as the reports write it. */
export function figure(given) {
  if (!given || given.value === null || given.value === undefined) return "–";
  const places = number => number === null || number === undefined ? "–" : number.toFixed(2);
  return `${places(given.value)} [${places(given.low)}, ${places(given.high)}]`;
}
