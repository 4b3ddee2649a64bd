// What state an endpoint is in, and was in.

import { attribute, svg } from "./dom.js";
import { count, ms, now, plural, since } from "./format.js";

/** How far back the time line goes, in minutes: that which the process has lived, or the longest. */
const WINDOWS = [1, 5, 15];

export const minutesBack = startedAt => WINDOWS.find(minutes => now() - Date.parse(startedAt) < minutes * 60_000) ?? WINDOWS.at(-1);

/** Each state: its class, its sign, and how soon it wants to be seen. A state that is not here is shown by its own name. */
const STATES = {
  ejected: { kind: "ejected", mark: "⏏", rank: 0 },
  unhealthy: { kind: "bad", mark: "✕", rank: 0 },
  "passed over": { kind: "warn", mark: "▲", rank: 1 },
  "gets nothing": { kind: "warn", mark: "▲", rank: 2 },
  "weight 0": { kind: "idle", mark: "–", rank: 3 },
  unknown: { kind: "idle", mark: "?", rank: 4 },
  healthy: { kind: "good", mark: "●", rank: 5 },
};

const known = name => STATES[name] ?? { kind: "idle", mark: "?", rank: 2 };

/** `{name, kind, mark, rank, since, cause}` of an endpoint. */
export function stateOf(endpoint, backend) {
  const { health } = endpoint;
  let name = health.state;
  let cause = health.reason ?? "";
  let since = health.since;
  if (name === "unhealthy") {
    if (endpoint.eligible && backend.panic) cause += "; gets requests all the same: panic";
  } else if (endpoint.passedOverMs > 0) {
    name = "passed over";
    since = endpoint.history?.findLast(change => change.to === name)?.at;
    const reason = endpoint.history?.findLast(change => change.to === name)?.reason ?? "a connect failed";
    cause = `${reason}; for another ${ms(endpoint.passedOverMs)}${endpoint.eligible ? "; tried all the same" : ""}`;
  } else if (endpoint.weight === 0) {
    name = "weight 0";
    cause = "gets no requests";
  } else if (!endpoint.eligible) {
    name = "gets nothing";
  }
  if (endpoint.resolveError && name !== "unhealthy") cause = [cause, `name not resolved: ${endpoint.resolveError}`].filter(Boolean).join("; ");
  return { name, since, cause, ...known(name) };
}

/** Whether it gets requests: one that is passed over does, where all are. */
export const serves = endpoint => endpoint.eligible && endpoint.weight > 0;

/** Whether a backend tries those that are passed over, because it has no others. */
export const triesPassedOver = backend => {
  const serving = backend.endpoints.filter(serves);
  return serving.length > 0 && serving.every(endpoint => endpoint.passedOverMs > 0);
};

export function servingWords(backend) {
  const serving = backend.endpoints.filter(serves).length;
  return `${count(serving)} of ${plural(backend.endpoints.length, "endpoint")} ${serving === 1 ? "serves" : "serve"}`;
}

export const sinceWords = state => state.since ? `for ${since(state.since)}` : "";

/** The stretches of time in one state, oldest first, from its history of health and of being passed over. */
function stretches(endpoint, from) {
  const history = endpoint.history ?? [];
  const ofPassing = change => change.to === "passed over" || change.to === "serving";
  let health = history.find(change => !ofPassing(change))?.from ?? endpoint.health.state;
  let passed = history.find(ofPassing)?.from === "passed over";
  const found = [{ from, name: passed ? "passed over" : health }];
  for (const change of history) {
    if (ofPassing(change)) passed = change.to === "passed over";
    else health = change.to;
    found.push({ from: Math.max(from, Date.parse(change.at)), name: passed && health !== "unhealthy" ? "passed over" : health });
  }
  return found;
}

/** Draws the last minutes into a box of 900 × 10. */
export function timeline(box, endpoint, startedAt) {
  const span = minutesBack(startedAt) * 60_000;
  const [end, begin] = [now(), now() - span];
  const parts = stretches(endpoint, Math.max(begin, Date.parse(startedAt)));
  const bounds = [...parts.slice(1).map(part => part.from), end];
  const x = at => Math.round(900 * (at - begin) / span);
  const drawn = parts.map((part, index) => ({ part, x: x(part.from), width: x(bounds[index]) - x(part.from) }));
  const visible = drawn.filter(({ width }, index) => width > 0 || index === drawn.length - 1);
  while (box.childElementCount > visible.length) box.lastChild.remove();
  while (box.childElementCount < visible.length) box.append(svg("rect", { height: 10 }));
  visible.forEach(({ part, x, width }, index) => {
    const rect = box.children[index];
    attribute(rect, "class", known(part.name).kind);
    // A short one is seen, too.
    const wide = Math.max(width, 6);
    attribute(rect, "x", Math.min(x, 900 - wide));
    attribute(rect, "width", wide);
  });
  const changes = (endpoint.history ?? []).filter(change => Date.parse(change.at) > begin).length;
  attribute(box, "aria-label", changes ? `${changes} changes` : "no change");
}
