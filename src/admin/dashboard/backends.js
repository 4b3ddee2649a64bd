// A panel for each backend, with a table of its endpoints.

import { anchor } from "./chain.js";
import { attribute, byId, capped, instance, list, pairs, show, sparkline, text } from "./dom.js";
import { clock, count, ms, percent, plural, rate, span, when } from "./format.js";
import { KEPT, failedTries } from "./rates.js";
import { minutesBack, serves, servingWords, sinceWords, stateOf, timeline } from "./state.js";

/** Rows of a table, and tables, unless all are asked for. */
const CAP = 25;
const BACKENDS = 20;

let last = null;

export function backends(status, tracks, at) {
  last = [status, tracks, at];
  const wanted = byId("filter").value.trim().toLowerCase();
  const matching = status.backends.map(backend => ({ backend, endpoints: matches(backend, wanted) }))
    .filter(({ backend, endpoints }) => endpoints.length || !wanted || backend.name.toLowerCase().includes(wanted));
  show(byId("filter-empty"), wanted !== "" && !matching.length);
  const sorted = byId("order").value === "trouble" ? matching.toSorted((a, b) => trouble(a.backend) - trouble(b.backend)) : matching;
  const shown = capped(sorted, BACKENDS, byId("more-panels"), "panels", again);
  list(byId("backends"), shown, ({ backend }) => backend.name, create, (view, it) => update(view, it, status, tracks, at));
}

const again = () => last && backends(...last);

export function startBackends() {
  byId("controls").addEventListener("submit", event => event.preventDefault());
  byId("filter").addEventListener("input", again);
  byId("order").addEventListener("change", again);
}

const trouble = backend => backend.panic ? 0 : backend.endpoints.some(serves) ? 1 : 0;

/** The endpoints that the filter leaves: all, if it names the backend. */
function matches(backend, wanted) {
  if (!wanted || backend.name.toLowerCase().includes(wanted)) return backend.endpoints;
  // "healthy" is not "unhealthy".
  return backend.endpoints.filter(it => it.url.toLowerCase().includes(wanted) || stateOf(it, backend).name.startsWith(wanted));
}

function ordered(backend, endpoints, tracks) {
  const by = {
    trouble: it => stateOf(it, backend).rank,
    rate: it => -(tracks.of("endpoint", backend.name, it.url).rate("requests") ?? 0),
    latency: it => -(it.latencyMs ?? 0),
  }[byId("order").value];
  if (!by) return endpoints;
  const keyed = endpoints.map(endpoint => ({ endpoint, key: by(endpoint) }));
  return keyed.sort((a, b) => a.key - b.key).map(({ endpoint }) => endpoint);
}

function create({ backend }) {
  const view = instance("t-backend");
  view.root.id = anchor(backend.name);
  view.name.id = `${view.root.id}-name`;
  view.root.setAttribute("aria-labelledby", view.name.id);
  view.table = view.root.querySelector("table");
  return view;
}

function update(view, { backend, endpoints }, status, tracks, at) {
  const track = tracks.of("backend", backend.name);
  text(view.name, backend.name);
  text(view.rate, rate(track.rate("requests")));
  text(view.errors, rate(track.rate("failed")));
  attribute(view.errors, "class", track.rate("failed") > 0 ? "bad" : "");
  text(view.inFlight, count(sum(backend.endpoints, it => it.inFlight)));
  text(view.retries, rate(track.rate("retries")));
  text(view.imbalance, backend.imbalance?.toFixed(2) ?? "–");
  text(view.algorithm, backend.algorithm);
  text(view.how, backend.algorithmHow);
  show(view.panic, backend.panic);
  text(view.panic, "Panic: too few endpoints are healthy, so that all count as healthy and get requests.");
  text(view.caption, `Endpoints of ${backend.name}: ${servingWords(backend)}`);
  const minutes = minutesBack(status.startedAt);
  text(view.window, `Last ${minutes === 1 ? "minute" : `${minutes} minutes`}`);
  const redo = () => update(view, { backend, endpoints }, status, tracks, at);
  const rows = capped(ordered(backend, endpoints, tracks), CAP, view.more, `of ${backend.name}`, redo);
  const picks = sum(backend.endpoints, it => tracks.of("endpoint", backend.name, it.url).growth("picks") ?? 0);
  let index = 0;
  list(view.table, rows, it => it.url, createEndpoint, (row, it) => {
    index += 1;
    // Of a thousand, those that somebody sees.
    if (row.filled && index > CAP && !near.has(row.root)) return;
    row.filled = true;
    updateEndpoint(row, it, { backend, status, at, picks, track: tracks.of("endpoint", backend.name, it.url) });
  });
}

let rows = 0;

/** The rows that are in sight, or nearly. */
const near = new WeakSet();

const sight = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) near.add(target);
    else near.delete(target);
  }
  if (entries.some(entry => entry.isIntersecting)) again();
}, { rootMargin: "300px" });

function createEndpoint() {
  const view = instance("t-endpoint");
  sight.observe(view.root);
  view.details.id = `endpoint-${rows += 1}`;
  view.expand.setAttribute("aria-controls", view.details.id);
  view.expand.addEventListener("click", () => {
    show(view.details, view.details.hidden);
    attribute(view.expand, "aria-expanded", !view.details.hidden);
    again();
  });
  return view;
}

function updateEndpoint(view, endpoint, { backend, status, at, picks, track }) {
  const state = stateOf(endpoint, backend);
  text(view.url, endpoint.url);
  attribute(view.row, "data-kind", state.kind);
  show(view.weight, endpoint.weight !== 1);
  text(view.weight, `weight ${endpoint.weight}`);
  text(view.mark, state.mark);
  attribute(view.mark, "class", `mark ${state.kind}`);
  text(view.state, state.name);
  text(view.since, sinceWords(state));
  attribute(view.since, "title", state.since && `since ${clock(state.since)}`);
  text(view.cause, state.cause);
  timeline(view.strip, endpoint, status.startedAt);

  text(view.rate, rate(track.rate("requests")));
  sparkline(view.rateSpark, track.rates("requests"), at - KEPT, at);
  text(view.latency, ms(endpoint.latencyMs));
  sparkline(view.latencySpark, track.values("latency"), at - KEPT, at);
  text(view.inFlight, count(endpoint.inFlight));
  // Of the last minute; before there is one, and where nothing came in it, of all.
  const share = picks > 0 ? (track.growth("picks") ?? 0) / picks : endpoint.share;
  text(view.share, percent(share));
  attribute(view.shareBar, "width", (100 * share).toFixed(1));
  const failed = failedTries(track);
  text(view.errors, percent(failed));
  attribute(view.errors, "class", failed > 0 ? "bad" : "");
  if (!view.details.hidden) updateDetails(view, endpoint, state);
}

function updateDetails(view, endpoint, state) {
  const byClass = Object.entries(endpoint.requests ?? {}).map(([name, number]) => `${name === "none" ? "no answer" : name} ${count(number)}`);
  pairs(view.pairs, [
    ["Gets requests", serves(endpoint) ? "yes" : `no: ${state.cause || state.name}`],
    ["In this state since", state.since && clock(state.since)],
    ["Weight", count(endpoint.weight)],
    ["Addresses", endpoint.addresses?.join(", ")],
    ["Name not resolved", endpoint.resolveError],
    ["Requests answered", `${count(endpoint.requestsTotal)}${byClass.length ? ` (${byClass.join(", ")})` : ""}`],
    ["Picked", `${plural(endpoint.picks, "time")}, ${percent(endpoint.share)} of all`],
  ]);
  const history = (endpoint.history ?? []).map((change, index, all) => ({ ...change, end: all[index + 1]?.at })).reverse();
  show(view.unchanged, !history.length);
  list(view.history, history, it => `${it.at} ${it.to}`, () => instance("t-history"), (row, it) => {
    when(row.at, it.at);
    text(row.what, `${it.from} → ${it.to}`);
    const lasted = it.end ? `for ${span(Date.parse(it.end) - Date.parse(it.at))}` : "";
    text(row.reason, [it.reason, lasted].filter(Boolean).join("; "));
  });
}

const sum = (items, of) => items.reduce((all, item) => all + of(item), 0);
