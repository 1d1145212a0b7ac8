// What the targets of the model mean for the page: which one tints, and which side a label is on.

export const UNRELATED = "unrelated";

/** The targets of `/v1/targets`: all of them, the one that a whole sentence is read for (or null), and the issues. */
export function taxonomyOf(targets) {
  const overall = targets.find(target => target.scope === "overall") ?? null;
  return {targets, overall, issues: targets.filter(target => target.scope !== "overall")};
}

/** "conciliatory", "other", "between" or "unrelated". */
export function sideOf(target, label) {
  if (label === UNRELATED) return UNRELATED;
  return Object.keys(target.poles).find(pole => target.poles[pole] === label) ?? "between";
}

/** A sign for a side, pointing the way that its scores go; so that no colour is needed to tell. */
export const SIGNS = {conciliatory: "▶", other: "◀", between: "◆", [UNRELATED]: "○"};

/** How strong a tint is, from 1 to 3. */
export const strengthOf = score => Math.abs(score) < 0.4 ? 1 : Math.abs(score) < 0.75 ? 2 : 3;

/** Whether an answer is worth a chip: the target is touched, or may be. */
export const worthSaying = answer => answer.label !== UNRELATED || answer.abstained;

/** Targets that an answer has, in the order of the taxonomy. */
export const answered = (taxonomy, result) => taxonomy.targets.filter(target => target.id in result.targets);
