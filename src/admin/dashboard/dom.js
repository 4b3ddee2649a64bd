// Putting data into the page. Text goes in as text only, never as HTML: names come from configurations and requests.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = id => document.getElementById(id);

/** A copy of a template: its root and, by their names, the elements with `data-ref`. */
export function instance(template) {
  const root = byId(template).content.firstElementChild.cloneNode(true);
  const refs = { root };
  for (const node of root.querySelectorAll("[data-ref]")) refs[node.dataset.ref] = node;
  return refs;
}

/** Sets the text; touches nothing that stays as it is, so that a selection survives. */
export function text(node, value) {
  const wanted = value === null || value === undefined ? "" : String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function attribute(node, name, value) {
  if (value === null || value === undefined || value === "") node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

const lists = new WeakMap();

/**
 * Makes the children of `parent`, after those it had at first, those of `items`. A child stays with its key, and so do its
 * focus and what is open in it.
 */
export function list(parent, items, key, create, update) {
  if (!lists.has(parent)) lists.set(parent, { first: parent.childElementCount, views: new Map() });
  const known = lists.get(parent);
  const views = new Map();
  for (const item of items) {
    let name = key(item);
    while (views.has(name)) name += "'";
    views.set(name, known.views.get(name) ?? create(item));
  }
  for (const [name, view] of known.views) if (!views.has(name)) view.root.remove();
  let index = 0;
  for (const view of views.values()) {
    update(view, items[index]);
    let there = parent.children[known.first + index];
    if (there !== view.root) {
      // One that sank: moved alone, its followers stay where they are.
      if (there?.nextElementSibling === view.root) there.remove();
      else parent.insertBefore(view.root, there ?? null);
    }
    index += 1;
  }
  known.views = views;
}

/** A list of plain texts. */
export function texts(parent, items, tag = "li") {
  list(parent, items.map((item, index) => [index, item]), ([index]) => String(index),
    () => ({ root: document.createElement(tag) }), (view, [, item]) => text(view.root, item));
}

/** A list of names and values; those without a value are left out. */
export function pairs(parent, items) {
  const known = items.filter(([, value]) => value !== null && value !== undefined && value !== "");
  list(parent, known, ([name]) => name, () => instance("t-pair"), (view, [name, value]) => {
    text(view.name, name);
    text(view.value, value);
  });
}

const opened = new Set();

/** The first of `items`, unless the button has been pressed that shows all. */
export function capped(items, cap, button, name, again) {
  const all = opened.has(name);
  show(button, items.length > cap);
  text(button, all ? `Show the first ${cap} only` : `Show all ${items.length}`);
  button.onclick = () => {
    if (!opened.delete(name)) opened.add(name);
    again();
  };
  return all ? items : items.slice(0, cap);
}

/** An element of SVG with these attributes. */
export function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Draws values over time, oldest first, from 0 to their greatest, into a box of 120 × 30. */
export function sparkline(box, points, from, to) {
  const greatest = Math.max(...points.map(point => point.value), Number.MIN_VALUE);
  const at = ({ at, value }) => `${(120 * (at - from) / (to - from)).toFixed(1)},${(28.5 - 27 * value / greatest).toFixed(1)}`;
  if (!box.firstChild) box.append(svg("polyline", {}));
  attribute(box.firstChild, "points", points.length > 1 ? points.map(at).join(" ") : "");
}
