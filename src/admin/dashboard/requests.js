// Requests that were kept, each with why its endpoints were picked.

import { attribute, byId, capped, instance, list, pairs, show, text, texts } from "./dom.js";
import { ms, percent, plural, when } from "./format.js";

const CAP = 15;

let last = null;

export function requests(picks) {
  last = picks;
  const kept = byId("kept").value;
  const all = kept === "sample" ? picks.sampled : picks.notable;
  // They come in the order in which they ended, and tell when they began.
  const wanted = (all ?? []).filter(it => ["notable", "sample"].includes(kept) || it.kept.includes(kept))
    .sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  const rule = kept === "sample" ? ` Chance keeps ${percent(picks.sample)} of all.`
    : picks.slowerThanMs ? ` Slow is what takes longer than ${ms(picks.slowerThanMs)}.` : "";
  text(byId("requests-note"), (wanted.length ? "Open one to see why its endpoints were picked." : "None was kept.") + rule);
  const shown = capped(wanted, CAP, byId("more-requests"), "requests", again);
  list(byId("requests"), shown, it => `${it.requestId} ${it.at}`, create, update);
}

const again = () => last && requests(last);

export function startRequests() {
  byId("kept").addEventListener("change", again);
}

/** What went wrong, in the word of the access log. */
const fault = it => it.reason === "ok" ? "" : it.reason;

const target = it => `${it.method} ${it.host ?? ""}${it.path ?? ""}`;

function create(it) {
  const view = instance("t-request");
  // What is known of an ended request does not change, and few are opened.
  view.root.addEventListener("toggle", () => view.root.open && !view.body.firstChild && view.body.append(evidence(it)));
  return view;
}

function update(view, it) {
  when(view.at, it.at);
  text(view.status, it.status ?? "no answer");
  attribute(view.status, "class", `tag ${!it.status || it.status >= 500 ? "bad" : it.status >= 400 ? "warn" : ""}`);
  text(view.duration, ms(it.durationMs));
  text(view.line, target(it));
  const endpoint = it.attempts?.at(-1)?.endpoint;
  text(view.way, endpoint ? `→ ${endpoint}` : "");
  text(view.kept, [it.kept.join(", "), fault(it)].filter(Boolean).join(": "));
}

function evidence(it) {
  const view = instance("t-evidence");
  const detail = [fault(it), it.detail].filter(Boolean).join(": ");
  text(view.detail, detail);
  show(view.detail, detail !== "");
  pairs(view.pairs, [
    ["Request", target(it)],
    ["Client", it.client],
    ["Way", [it.listener, it.route, it.backend].filter(Boolean).join(" → ")],
    ["Algorithm", it.algorithm],
    ["Generation", it.generation],
    ["Request id", it.requestId],
    ["Trace id", it.traceId && `${it.traceId}${it.sampled ? "" : " (not sampled)"}`],
  ]);
  if (it.traceId) {
    const place = [...view.pairs.querySelectorAll("dd")].at(-1);
    place.append(" ", copyButton(it.traceId));
  }
  list(view.attempts, it.attempts ?? [], one => String(one.startMs), () => instance("t-attempt"),
    (part, one) => attempt(part, one, it.attempts.indexOf(one) + 1, it.algorithm));
  if (!it.attempts?.length) text(view.attempts, "It was sent to no endpoint.");
  return view.root;
}

function copyButton(value) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy trace id";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value);
      button.textContent = "Copied";
    } catch {
      // No clipboard without a secure origin: leave it selected.
      getSelection().selectAllChildren(button.parentElement);
    }
  });
  return button;
}

function attempt(view, it, number, algorithm) {
  const pick = it.pick ?? {};
  text(view.title, `Attempt ${number}: ${it.endpoint ?? "no endpoint"}`);
  const end = it.error ? `failed: ${it.error}` : it.status ? `answered ${it.status}` : "no answer";
  text(view.outcome, `Began after ${ms(it.startMs)}, ${end} after ${ms(it.durationMs)}.`);
  attribute(view.outcome, "class", it.error || it.status >= 500 ? "bad" : "");
  text(view.how, [pick.panic && "Panic: all endpoints counted as healthy.", pick.how && `Choice: ${pick.how}.`].filter(Boolean).join(" "));
  const candidates = (pick.candidates ?? []).toSorted((a, b) => (a.score ?? Infinity) - (b.score ?? Infinity));
  show(view.box, candidates.length > 0);
  const compared = candidates.some(one => Number.isFinite(one.score));
  text(view.caption, plural(candidates.length + (pick.moreCandidates ?? 0), "candidate") + (compared ? ", the best first" : ""));
  attribute(view.box, "aria-label", `Candidates of attempt ${number}`);
  list(view.candidates, candidates, one => one.endpoint, () => instance("t-candidate"), (row, one) => {
    text(row.endpoint, one.endpoint);
    text(row.score, score(one.score, algorithm));
    text(row.weight, one.weight);
    text(row.choice, one.endpoint === pick.chosen ? "✓ chosen" : "");
    attribute(row.root, "class", one.endpoint === pick.chosen ? "chosen" : "");
  });
  const excluded = (pick.excluded ?? []).map(one => `${one.endpoint}: ${one.reason}`);
  if (pick.moreExcluded) excluded.push(`and ${pick.moreExcluded} more`);
  show(view.excludedBox, excluded.length > 0);
  texts(view.excluded, excluded);
}

/** These compare expected times, in nanoseconds; the others compare loads. */
const COMPARE_TIMES = ["LeastResponseTime", "PeakEwma"];

const score = (value, algorithm) => value === null || value === undefined ? "–"
  : COMPARE_TIMES.includes(algorithm) ? ms(value / 1e6) : Number(value.toPrecision(4)).toLocaleString("en");
