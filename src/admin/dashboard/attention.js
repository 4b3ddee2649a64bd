// What an operator should look at first, in one list; and the numbers of the whole process.

import { anchor } from "./chain.js";
import { attribute, byId, instance, list, show, sparkline, text } from "./dom.js";
import { clock, count, now, percent, plural, rate, span } from "./format.js";
import { faults } from "./news.js";
import { KEPT } from "./rates.js";
import { serves, sinceWords, stateOf, triesPassedOver } from "./state.js";

/** More of one backend than these are told by their number. */
const NAMED = 3;

/** A greater part of a backend's requests that fails is told. */
const FAILED = 0.05;

const CERTIFICATE_WARNING = 14 * 86_400_000;

/** The rank of the first state that nobody need look at. */
const CALM = 3;

export function attention(status, tracks) {
  const found = status.ready ? [] : [{ what: "Not ready:", why: status.notReady.join("; ") }];
  if (status.refused) {
    found.push({
      what: "The configuration on disk does not run.", why: `It was refused at ${clock(status.refused.at)}; generation ${status.generation} serves on.`,
      where: "#reloads-title", errors: status.refused.errors, more: status.refused.more,
    });
  }
  for (const backend of status.backends) found.push(...failures(backend, tracks.of("backend", backend.name)), ...troubles(backend));
  for (const listener of status.listeners) {
    for (const certificate of listener.certificates ?? []) {
      const left = Date.parse(certificate.notAfter) - now();
      if (left > CERTIFICATE_WARNING) continue;
      const when = left > 0 ? `ends in ${span(left)}` : `has ended ${span(-left)} ago`;
      found.push({ what: `Certificate of ${certificate.names.join(", ")}`, why: `${when} (listener ${listener.name}, ${certificate.file}).` });
    }
  }
  const spans = tracks.of("spans");
  const [failed, dropped] = [spans.growth("failed"), spans.growth("dropped")];
  if (failed + dropped > 0) {
    found.push({
      what: "Spans are lost:", where: "#traces",
      why: `the collector did not take ${count(failed)}, and ${count(dropped)} were never sent${lately(spans)}.`,
    });
  }
  const calm = !found.length;
  attribute(byId("attention"), "data-calm", calm);
  text(byId("attention-title"), calm ? "All is well" : `${plural(found.length, "thing")} to look at`);
  list(byId("attention-list"), found, it => it.what, () => instance("t-attention"), (view, it) => {
    text(view.what, it.what);
    text(view.why, it.why);
    show(view.where, Boolean(it.where));
    attribute(view.where, "href", it.where);
    attribute(view.where, "aria-label", `show: ${it.what}`);
    show(view.errors, Boolean(it.errors));
    faults(view.errors, it.errors, it.more);
  });
}

/** Of what time the numbers are. */
const lately = track => `, in the last ${track.watched > 59_000 ? "minute" : span(track.watched)}`;

function failures(backend, track) {
  const where = `#${anchor(backend.name)}`;
  const found = [];
  const [requests, failed, refused] = ["requests", "failed", "retriesRefused"].map(name => track.growth(name));
  if (failed > FAILED * requests) {
    const why = `${percent(failed / requests)} of its ${plural(requests, "request")} got a 5xx or no answer${lately(track)}.`;
    found.push({ what: `Requests to backend ${backend.name} fail:`, why, where });
  }
  if (refused > 0) {
    const why = `it refused ${plural(refused, "retry", "retries")}${lately(track)}.`;
    found.push({ what: `The retry budget of backend ${backend.name} is used up:`, why, where });
  }
  return found;
}

function troubles(backend) {
  const where = `#${anchor(backend.name)}`;
  const found = [];
  const bad = backend.endpoints.map(endpoint => ({ endpoint, state: stateOf(endpoint, backend) }))
    .filter(({ state }) => state.rank < CALM);
  if (backend.panic) found.push({ what: `Backend ${backend.name} is in panic:`, why: "too few endpoints are healthy, so that all get requests.", where });
  else if (!backend.endpoints.some(serves)) found.push({ what: `Backend ${backend.name} serves nothing:`, why: "none of its endpoints gets requests.", where });
  else if (triesPassedOver(backend)) found.push({ what: `Backend ${backend.name}:`, why: "all are passed over, so all are tried.", where });
  if (bad.length > NAMED) {
    found.push({ what: `${bad.length} of ${plural(backend.endpoints.length, "endpoint")} of ${backend.name}`, why: "are unhealthy or passed over.", where });
    return found;
  }
  for (const { endpoint, state } of bad) {
    found.push({ what: `${endpoint.url} of ${backend.name} is ${state.name}`, why: `${sinceWords(state)}${state.cause ? `: ${state.cause}` : ""}`, where });
  }
  return found;
}

export function totals(status, tracks, at) {
  const all = tracks.of("total");
  const endpoints = status.backends.flatMap(backend => backend.endpoints);
  text(byId("total-rate"), rate(all.rate("requests")));
  sparkline(byId("total-spark"), all.rates("requests"), at - KEPT, at);
  const failed = all.rate("failed");
  text(byId("total-errors"), rate(failed));
  attribute(byId("total-errors"), "class", failed > 0 ? "bad" : "");
  text(byId("total-in-flight"), count(endpoints.reduce((sum, it) => sum + it.inFlight, 0)));
  const connections = status.listeners.map(it => it.connections).filter(Number.isFinite);
  text(byId("total-connections"), connections.length ? count(connections.reduce((sum, it) => sum + it, 0)) : "–");
  const [serving, wanted] = [endpoints.filter(serves).length, endpoints.filter(it => it.weight > 0).length];
  text(byId("total-serving"), `${count(serving)} of ${count(wanted)}`);
  attribute(byId("total-serving"), "class", serving < wanted ? "warn" : "");
}
