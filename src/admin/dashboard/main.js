// The dashboard of Outrigger. Reads what every user of the admin port can read, and changes nothing.

import { attention, totals } from "./attention.js";
import { backends, startBackends } from "./backends.js";
import { chain, startChain } from "./chain.js";
import { attribute, byId, show, text } from "./dom.js";
import { clock, plural, setClock, span } from "./format.js";
import { Live } from "./live.js";
import { events, reloads } from "./news.js";
import { Tracks } from "./rates.js";
import { requests, startRequests } from "./requests.js";

/** How often is fetched what the stream does not bring. */
const FETCH_EVERY = 2000;

/** Kinds of events that are read out. */
const TOLD = ["reload", "health", "panic", "lifecycle"];

const tracks = new Tracks();
let process = "";
/** The routes, and when they were fetched. */
let routes = { at: 0, all: [] };
let generation = 0;
let happened = new Map();
let visible = false;
let lostSince = null;

async function get(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** Fetches and shows; what fails now is asked for again with the next change or the next connection. */
async function refresh(path, use) {
  try {
    use(await get(path));
  } catch (error) {
    console.debug(String(error));
  }
}

const refreshReloads = () => refresh("/api/v1/reloads", answer => reloads(answer.reloads));
const refreshRoutes = () => refresh("/api/v1/routes", answer => { routes = { at: performance.now(), all: answer.routes ?? answer }; });
const refreshEvents = () => refresh("/api/v1/events", answer => take(answer.events));
const refreshPicks = () => refresh("/api/v1/picks", requests);

function take(all) {
  for (const event of all) happened.set(event.id, event);
  happened = new Map([...happened].sort(([a], [b]) => a - b).slice(-256));
  events([...happened.values()]);
}

function hello({ startedAt, pid }) {
  const name = `${pid} ${startedAt}`;
  if (process && process !== name) announce("Another process answers: its counters begin anew.");
  if (process !== name) {
    process = name;
    tracks.clear();
    happened.clear();
  }
  refreshRoutes();
  refreshReloads();
  refreshPicks();
  refreshEvents();
}

function change(event) {
  take([event]);
  if (event.kind === "reload") {
    refreshReloads();
    refreshRoutes();
  }
  if (TOLD.includes(event.kind)) announce(event.text);
}

function status(it) {
  const at = performance.now();
  setClock(it);
  tracks.add(at, it, routes);
  if (generation !== it.generation) {
    generation = it.generation;
    refreshRoutes();
  }
  attention(it, tracks);
  head(it);
  totals(it, tracks, at);
  chain(it, routes.all, tracks);
  backends(it, tracks, at);
}

function head(it) {
  text(byId("version"), it.version);
  attribute(byId("version"), "title", `commit ${it.commit}, process ${it.pid}`);
  text(byId("ready"), it.ready ? "ready" : it.notReady.join("; "));
  attribute(byId("ready"), "class", it.ready ? "good" : "warn");
  text(byId("generation"), it.generation);
  text(byId("sync"), it.configInSync ? "in sync" : it.refused ? "file refused" : "not in sync");
  attribute(byId("sync"), "class", it.configInSync ? "good" : "bad");
  text(byId("hash"), it.configHash.slice(0, 8));
  attribute(byId("hash"), "title", `${it.configHash} of ${it.source.path}`);
  text(byId("uptime"), span(it.uptimeSeconds * 1000));
  attribute(byId("uptime"), "title", `started ${it.startedAt}`);
  show(byId("traces"), Boolean(it.traces?.enabled));
  if (it.traces?.enabled) text(byId("traces"), tracing(it.traces));
  document.title = `${attentionMark()}Outrigger`;
}

const tracing = ({ endpoint, exported, failed, dropped }) =>
  `Traces go to ${endpoint}: ${plural(exported, "span")} taken, ${failed} refused or too late, ${dropped} never sent.`;

const attentionMark = () => byId("attention").dataset.calm === "false" ? "⚠ " : "";

const WORDS = { connecting: "Connecting", live: "Live", paused: "Paused" };

function connection({ state, since }) {
  const before = byId("live").dataset.state;
  visible = state !== "paused";
  lostSince = since ?? null;
  if (before === state && state !== "lost") return;
  byId("live").dataset.state = state;
  document.body.dataset.connection = state;
  tell();
  if (state === "lost" && before === "live") announce("Connection lost: what is shown is old.");
  if (state === "live" && before === "lost") announce("Connected again.");
}

function tell() {
  const state = byId("live").dataset.state;
  const lost = lostSince && `Connection lost at ${clock(lostSince)}, ${span(Date.now() - lostSince)} ago`;
  text(byId("live-text"), lost ?? WORDS[state]);
}

function announce(what) {
  text(byId("announcer"), what);
}

text(byId("zone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
startChain();
startBackends();
startRequests();
new Live("/api/v1/events?status=1s", { hello, change, missed: refreshEvents, status, connection }).start();
setInterval(() => {
  if (!visible || lostSince) return;
  refreshPicks();
  refreshRoutes();
}, FETCH_EVERY);
setInterval(tell, 1000);
