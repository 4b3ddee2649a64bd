// Listeners → routes → backends, and the lines between them.

import { attribute, byId, capped, instance, list, show, svg, text, texts } from "./dom.js";
import { percent, plural, rate } from "./format.js";
import { servingWords, stateOf } from "./state.js";

const CAP = 12;

/** So many squares at most, those in trouble first. */
const SQUARES = 60;

let links = [];

export const anchor = backend => `backend-${encodeURIComponent(backend)}`;

export function chain(status, routes, tracks) {
  const again = () => chain(status, routes, tracks);
  list(byId("chain-listeners"), status.listeners, it => it.name, it => node("t-listener", `l ${it.name}`),
    (view, it) => listener(view, it, tracks));
  const shownRoutes = capped(routes, CAP, byId("more-routes"), "routes", again);
  list(byId("chain-routes"), shownRoutes, it => it.name, it => node("t-route", `r ${it.name}`),
    (view, it) => route(view, it, tracks));
  const shownBackends = capped(status.backends, CAP, byId("more-backends"), "backends", again);
  list(byId("chain-backends"), shownBackends, it => it.name, it => node("t-chain-backend", `b ${it.name}`),
    (view, it) => backend(view, it, tracks));
  links = routes.flatMap(it => [
    ...(it.listeners?.length ? it.listeners : status.listeners.map(one => one.name)).map(name => [`l ${name}`, `r ${it.name}`, 1]),
    ...(it.backends ?? []).map(one => [`r ${it.name}`, `b ${one.name}`, one.share ?? 1]),
  ]);
  draw();
}

function node(template, name) {
  const view = instance(template);
  view.root.dataset.node = name;
  return view;
}

const perSecond = track => `${rate(track.rate("requests"))} requests/s`;

function listener(view, it, tracks) {
  text(view.name, it.name);
  text(view.rate, perSecond(tracks.of("listener", it.name)));
  text(view.protocol, it.protocol ?? (it.certificates ? "https" : "http"));
  text(view.address, it.address);
  show(view.connections, it.connections !== undefined);
  text(view.connections, plural(it.connections ?? 0, "connection"));
  const names = it.certificates?.flatMap(one => one.names) ?? [];
  text(view.certificate, names.length ? `certificates for ${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}` : "");
}

function route(view, it, tracks) {
  text(view.name, it.name);
  text(view.rate, perSecond(tracks.of("route", it.name)));
  const hosts = it.hosts?.length ? it.hosts.join(", ") : "any host";
  texts(view.matches, [hosts, ...(it.matches?.length ? it.matches : ["any request"])], "code");
  text(view.filters, it.filters?.join("; "));
  const one = it.backends?.length === 1;
  text(view.backends, it.backends?.length
    ? `→ ${it.backends.map(each => one ? each.name : `${each.name} ${percent(each.share)}`).join(", ")}` : "answered here");
}

function backend(view, it, tracks) {
  text(view.name, it.name);
  attribute(view.name, "href", `#${anchor(it.name)}`);
  show(view.panic, it.panic);
  text(view.algorithm, it.algorithm);
  text(view.numbers, `${perSecond(tracks.of("backend", it.name))}, ${servingWords(it)}`);
  const states = it.endpoints.map(endpoint => stateOf(endpoint, it));
  if (states.length > SQUARES) states.sort((a, b) => a.rank - b.rank);
  const shown = states.slice(0, SQUARES);
  attribute(view.squares, "viewBox", `0 0 ${14 * Math.min(shown.length, 20)} ${14 * Math.ceil(shown.length / 20)}`);
  attribute(view.squares, "width", 14 * Math.min(shown.length, 20));
  attribute(view.squares, "height", 14 * Math.ceil(shown.length / 20));
  while (view.squares.childElementCount > shown.length) view.squares.lastChild.remove();
  while (view.squares.childElementCount < shown.length) {
    const at = view.squares.childElementCount;
    view.squares.append(svg("rect", { x: 14 * (at % 20), y: 14 * Math.floor(at / 20), width: 11, height: 11, rx: 2 }));
  }
  shown.forEach(({ kind }, index) => attribute(view.squares.children[index], "class", kind));
}

/** Draws the links between the nodes that are shown, where the three columns stand side by side. */
function draw() {
  const [box, lines] = [byId("chain"), byId("chain-lines")];
  const around = box.getBoundingClientRect();
  const places = new Map();
  for (const node of box.querySelectorAll("[data-node]")) places.set(node.dataset.node, node.getBoundingClientRect());
  const paths = [];
  for (const [from, to, share] of links) {
    const [left, right] = [places.get(from), places.get(to)];
    if (!left || !right || left.right > right.left) continue;
    const [x1, y1, x2, y2] = [left.right, left.top + left.height / 2, right.left, right.top + right.height / 2]
      .map((value, index) => Math.round(value - (index % 2 ? around.top : around.left)));
    const middle = (x1 + x2) / 2;
    paths.push({ from, to, share, d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
  }
  attribute(lines, "width", Math.round(around.width));
  attribute(lines, "height", Math.round(around.height));
  list(lines, paths, it => `${it.from} ${it.to}`, () => ({ root: svg("path", {}) }), ({ root }, it) => {
    attribute(root, "d", it.d);
    attribute(root, "stroke-width", (1 + 2 * it.share).toFixed(1));
    root.ends = [it.from, it.to];
  });
}

/** The lines of a node that is pointed at, or has the focus, stand out. */
function highlight(event) {
  const name = event.type.endsWith("out") ? null : event.target.closest?.("[data-node]")?.dataset.node;
  for (const line of byId("chain-lines").children) attribute(line, "class", line.ends.includes(name) ? "on" : "");
}

export function startChain() {
  new ResizeObserver(draw).observe(byId("chain"));
  for (const type of ["pointerover", "pointerout", "focusin", "focusout"]) byId("chain").addEventListener(type, highlight);
}
