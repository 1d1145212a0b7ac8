// The model card: the little Markdown that it is written in, as elements.

import {element, table} from "./dom.js";

/** Elements for a card, without its front matter. */
export function cardElements(markdown) {
  const blocks = markdown.replace(/^---\n.*?\n---\n/s, "").split(/\n{2,}/).map(block => block.trim()).filter(Boolean);
  return blocks.flatMap((block, n) => blockElement(block, blocks.slice(0, n).findLast(earlier => earlier.startsWith("#"))));
}

function blockElement(block, heading) {
  const lines = block.split("\n");
  if (lines[0].startsWith("#")) {
    const rest = lines.slice(1).join("\n").trim();
    return [element("h4", {}, lines[0].replace(/^#+\s*/, "")), ...rest ? blockElement(rest) : []];
  }
  if (lines[0].startsWith("|")) {
    const [head, , ...rows] = lines.map(line => line.trim().replace(/^\||\|$/g, "").split("|").map(cell => cell.trim()));
    const width = head.findLastIndex(Boolean) + 1;
    return [table(heading?.split("\n")[0].replace(/^#+\s*/, "") ?? "Figures", head.slice(0, width), rows.map(row => row.slice(0, width)))];
  }
  if (lines[0].startsWith("- ")) {
    const items = block.split(/^- /m).filter(Boolean);
    return [element("ul", {}, ...items.map(item => element("li", {}, ...inline(item))))];
  }
  return [element("p", {}, ...inline(block))];
}

function inline(text) {
  return text.replaceAll("\n", " ").split(/(`[^`]+`|\*[^*\s][^*]*\*)/).map(part => {
    if (/^`.+`$/.test(part)) return element("code", {}, part.slice(1, -1));
    if (/^\*.+\*$/.test(part)) return element("em", {}, part.slice(1, -1));
    return part;
  });
}
