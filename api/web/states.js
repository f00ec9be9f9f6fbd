// When runs have ended.

export const FINAL = ["succeeded", "failed", "canceled"];

// Those that a halving has left behind stay paused for good.
export function hasEnded(run) {
  return FINAL.includes(run?.state) || (run?.state === "paused" && Boolean(run.halving?.ranked_out));
}
