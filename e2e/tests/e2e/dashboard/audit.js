// What a page gets wrong for those who use a keyboard, a screen reader, a telephone, or tired eyes. Gives a list of sentences.
(() => {
  const found = [];
  const shown = node => node.checkVisibility({ visibilityProperty: true });
  const name = node => `<${node.tagName.toLowerCase()}${node.id ? ` id=${node.id}` : ""} class="${node.getAttribute("class") ?? ""}">`;

  const ids = [...document.querySelectorAll("[id]")].map(node => node.id);
  for (const id of new Set(ids)) if (ids.filter(other => other === id).length > 1) found.push(`two have the id ${id}`);
  for (const attribute of ["aria-controls", "aria-labelledby"]) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) {
      if (!document.getElementById(node.getAttribute(attribute))) found.push(`${name(node)}: ${attribute} leads nowhere`);
    }
  }

  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!shown(heading)) continue;
    const next = Number(heading.tagName[1]);
    if (next > level + 1) found.push(`${name(heading)} "${heading.textContent}" comes after a heading of level ${level}`);
    if (!heading.textContent.trim()) found.push(`${name(heading)} says nothing`);
    level = next;
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("there is not one h1");
  for (const table of document.querySelectorAll("table")) {
    if (shown(table) && !table.caption?.textContent) found.push(`${name(table)} has no caption`);
  }

  // WCAG 2.2, 1.4.3: 4.5 to 1, for large text 3 to 1. Colours are opaque here, or fully transparent.
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = colour => {
    const [red, green, blue] = channels(colour).map(value => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(node) || !shown(node) || node.closest("option, svg")) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    const [one, other] = [luminance(style.color), luminance(behind(node))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${name(node)} "${node.textContent}": contrast ${ratio.toFixed(2)}`);
  }
  if (seen.size < 20) found.push(`only ${seen.size} texts were looked at`);

  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    const wide = [...document.body.querySelectorAll("*")].filter(node => node.getBoundingClientRect().right > clientWidth + 1);
    found.push(`it is ${scrollWidth} wide where ${clientWidth} are: ${wide.slice(0, 5).map(name)}`);
  }
  return found;
})()
