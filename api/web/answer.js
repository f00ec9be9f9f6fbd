// Which group wins, in words. Pure functions of what GET /compare answers and of the runs' states.

import { title, valueText } from "./fields.js";
import { error as errorText, fixed, plural, short } from "./format.js";
import { hasEnded } from "./states.js";

// {m: 8, copies: "aliased"} -> "M 8, copies aliased"
export function groupName(group) {
  const entries = Object.entries(group.key);
  return entries.length === 0 ? "all runs" : entries.map(([key, value]) => `${title(key)} ${valueText(value)}`).join(", ");
}

// What the name is where there is little room: without "M", without a field's name.
export function groupShort(group) {
  return Object.entries(group.key).map(([key, value]) => (key === "run" ? `run ${value}` : valueText(value))).join(", ") || "all";
}

export function errorIn(unit, ratio, digits = 2) {
  return ratio == null ? "–" : `${errorText(ratio, unit, digits)}${unit === "percent" ? "\u00a0%" : ""}`;
}

// The lowest mean among the groups of which every run that has ended got there.
function winner(groups, runs, axis) {
  const settled = groups.filter((group) => {
    const ended = group.runs.filter((id) => hasEnded(runs.get(id)));
    return ended.length > 0 && group.to_target?.[axis].n_reached >= ended.length && group.to_target[axis].mean != null;
  });
  return settled.sort((a, b) => a.to_target[axis].mean - b.to_target[axis].mean)[0];
}

function near(groups, best) {
  const close = groups.find((group) => {
    const [a, b] = [group.to_target.epochs, best.to_target.epochs];
    return group !== best && a.mean != null && a.std != null && b.std != null && Math.abs(a.mean - b.mean) < Math.max(a.std, b.std);
  });
  return close ? ` (${groupName(close)} is within one sd)` : "";
}

export function sentence(groups, runs, target, unit) {
  if (groups.length === 0) { return "No epochs yet."; }
  if (groups.length === 1) { return `${plural(runs.size, "run")}, ${plural(groups[0].n, "seed")}.`; }
  const nearest = groups.filter((group) => group.best.mean != null).sort((a, b) => a.best.mean - b.best.mean)[0];
  if (!nearest) { return "No epochs yet."; }
  if (!target) { return `${groupName(nearest)} has the lowest error, ${errorIn(unit, nearest.best.mean)}.`; }
  const aim = errorIn(unit, target, 0);
  const best = winner(groups, runs, "epochs");
  if (!best) {
    return groups.some((group) => group.to_target?.epochs.n_reached > 0) ? `Not every finished run of a group has reached ${aim}; ${groupName(nearest)} has the lowest error, ${errorIn(unit, nearest.best.mean)}.`
      : `No group has reached ${aim} yet; ${groupName(nearest)} is nearest, ${errorIn(unit, nearest.best.mean)}.`;
  }
  const parts = [`${groupName(best)} needs the fewest epochs to reach ${aim}: ${fixed(best.to_target.epochs.mean, best.to_target.epochs.n_reached > 1 ? 1 : 0)}${near(groups, best)}.`];
  const images = winner(groups, runs, "images");
  const seconds = winner(groups, runs, "seconds");
  if (images && seconds) {
    const hours = hoursText(seconds.to_target.seconds.mean);
    parts.push(images === seconds ? `${groupName(images)} needs the fewest images, ${short(images.to_target.images.mean)}, and the least time, ${hours}.`
      : `${groupName(images)} needs the fewest images, ${short(images.to_target.images.mean)}; ${groupName(seconds)} the least time, ${hours}.`);
  }
  if (groups.every((group) => group.n === 1)) { parts.push("One seed each."); }
  return parts.join(" ");
}

export function hoursText(seconds) {
  return seconds < 90 ? `${fixed(seconds, 1)}\u00a0s` : seconds < 5400 ? `${fixed(seconds / 60, 1)}\u00a0min` : `${fixed(seconds / 3600, 2)}\u00a0h`;
}
