// What happened: reloads, and events of every kind.

import { attribute, byId, capped, instance, list, text, texts } from "./dom.js";
import { fault, ms, plural, when } from "./format.js";

const OUTCOMES = { accepted: "good", refused: "bad", unchanged: "" };

export function reloads(all) {
  const shown = capped(all, 6, byId("more-reloads"), "reloads", () => reloads(all));
  list(byId("reloads"), shown, it => `${it.at} ${it.outcome}`, () => instance("t-reload"), (view, it) => {
    when(view.at, it.at);
    text(view.outcome, it.outcome);
    attribute(view.outcome, "class", `tag ${OUTCOMES[it.outcome] ?? ""}`);
    const accepted = it.outcome === "accepted";
    text(view.facts, [
      accepted ? `generation ${it.generation}` : `generation ${it.generation} serves on`,
      it.cause && `cause: ${it.cause}`,
      it.hash && `configuration ${it.hash.slice(0, 8)}`,
      accepted && Number.isFinite(it.connectionsClosed) && `${plural(it.connectionsClosed, "connection")} closed`,
      accepted && Number.isFinite(it.requestsKept) && `${plural(it.requestsKept, "request")} in flight kept`,
      Number.isFinite(it.durationMs) && `took ${ms(it.durationMs)}`,
    ].filter(Boolean).join(", "));
    texts(view.changes, it.changes ?? []);
    faults(view.errors, it.errors, it.more);
  });
}

/** The errors of a configuration, and how many there are besides. */
export function faults(parent, errors, more) {
  const all = [...(errors ?? []), ...(more ? [`and ${more} more`] : [])];
  list(parent, all.map((error, index) => ({ error, index })), it => String(it.index), () => instance("t-error"),
    (view, it) => fault(view, it.error));
}

export function events(all) {
  const latest = folded(all).reverse();
  const shown = capped(latest, 12, byId("more-events"), "events", () => events(all));
  list(byId("events"), shown, it => String(it.id), () => instance("t-event"), (view, it) => {
    when(view.at, it.at);
    const kind = it.kind.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
    text(view.kind, kind);
    // The text is that of the log, which has no label.
    text(view.text, it.text.startsWith(kind) ? it.text.slice(kind.length).replace(/^:? /, "") : it.text);
  });
}

/** The endpoints' first probes that passed, of a start or of a reload, in one line. */
function folded(all) {
  const lines = [];
  let round = null;
  for (const event of all) {
    if (event.kind === "reload") round = null;
    if (event.kind !== "health" || !event.text.includes(": unknown → healthy: ")) {
      lines.push(event);
    } else if (round) {
      round.number += 1;
      round.backends.add(event.backend);
      round.line.text = `${round.number} endpoints of ${[...round.backends].join(", ")}: unknown → healthy`;
    } else {
      round = { number: 1, backends: new Set([event.backend]), line: { ...event } };
      lines.push(round.line);
    }
  }
  return lines;
}
