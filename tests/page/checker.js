// What a page must be for everyone, checked in the browser where it is rendered. Returns sentences; an empty list is good.
() => {
  const problems = [];
  const say = (element, words) => problems.push(`${describe(element)}: ${words}`);
  const describe = (e) => `<${e.tagName.toLowerCase()}${e.id ? ` id=${e.id}` : ""}${e.className && e.className.baseVal === undefined ? ` class=${e.className}` : ""}> '${(e.textContent ?? "").trim().slice(0, 30)}'`;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawn = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden";
  const hidden = (e) => e.closest("[hidden], [aria-hidden=true]") !== null;
  const shown = all("body *").filter((e) => drawn(e) && !hidden(e));

  // --- the document
  if (!document.documentElement.lang) problems.push("html: no lang");
  if (!document.title.trim()) problems.push("no title");
  if (all("main").length !== 1) problems.push(`${all("main").length} main`);
  if (all("h1").length !== 1) problems.push(`${all("h1").length} h1`);
  if (!document.querySelector("meta[name=viewport]") || /user-scalable=no|maximum-scale/.test(document.querySelector("meta[name=viewport]").content)) problems.push("the viewport cannot be zoomed");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6").filter((e) => !hidden(e))) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say(heading, `level ${next} after ${level}`);
    if (!heading.textContent.trim()) say(heading, "an empty heading");
    level = next;
  }
  for (const kind of ["nav", "section", "[role=search]"]) {
    const found = all(kind).filter((e) => !hidden(e));
    const names = found.map(name);
    if (found.length > 1 || kind === "section") found.forEach((e, n) => { if (!names[n]) say(e, `a ${kind} without a name`); });
    if (new Set(names).size !== names.length) problems.push(`two ${kind} of one name: ${names}`);
  }
  for (const element of shown) {
    if (["HEADER", "MAIN", "SCRIPT"].includes(element.tagName) || element.closest("header, main, .skip, #said")) continue;
    if (element.childNodes.length && [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) say(element, "text outside of all landmarks");
  }

  // --- ids and what points at them
  const ids = all("[id]").map((e) => e.id);
  ids.filter((id, n) => ids.indexOf(id) !== n).forEach((id) => problems.push(`id ${id} is there twice`));
  for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
    for (const element of all(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(" ")) if (!ids.includes(id)) say(element, `${attribute}=${id} is not there`);
    }
  }

  // --- names
  function name(element) {
    const by = element.getAttribute("aria-labelledby");
    if (by) return by.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    if (element.getAttribute("aria-label")) return element.getAttribute("aria-label").trim();
    if (element.labels?.length) return [...element.labels].map((l) => l.textContent).join(" ").trim();
    if (["A", "BUTTON", "SUMMARY"].includes(element.tagName)) return element.textContent.trim();
    return element.getAttribute("title") ?? "";
  }
  for (const element of all("a, button, input:not([type=hidden]), select, textarea, summary")) {
    if (hidden(element)) continue;
    const spoken = name(element);
    if (!spoken) say(element, "no name");
    const written = element.tagName === "BUTTON" || element.tagName === "A" ? element.textContent.trim().replace(/\s+/g, " ") : "";
    const first = written.split(" ")[0].toLowerCase();
    if (written && !spoken.toLowerCase().includes(first)) say(element, `is written '${written}' and called '${spoken}'`);
    if (element.tabIndex > 0) say(element, "a tabindex that changes the order");
  }
  const again = {};
  for (const button of all("button, a").filter((e) => !hidden(e))) {
    const target = button.href ?? `${button.form?.action} ${new URLSearchParams(button.form ? new FormData(button.form) : []).toString()} ${button.name} ${button.value} ${button.dataset.copy ?? ""} ${button.dataset.copyFrom ?? ""}`;
    const key = `${button.tagName} ${name(button)}`;
    if (again[key] !== undefined && again[key] !== target) say(button, "one name for two things");
    again[key] = target;
  }
  for (const image of all("svg, img")) if (image.getAttribute("aria-hidden") !== "true" && !name(image)) say(image, "an image without a name");
  for (const list of all("ul, ol")) for (const child of list.children) if (child.tagName !== "LI") say(list, `a ${child.tagName} in a list`);
  for (const box of all("pre").filter((e) => drawn(e) && (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight))) if (box.tabIndex !== 0) say(box, "scrolls, and the keyboard cannot reach it");
  if (!document.querySelector("[aria-live=polite]")) problems.push("no place for messages");
  if (document.querySelector("a[href^='#']") !== document.querySelector("a[href], button, input:not([type=hidden])")) problems.push("the skip link does not come first");

  // --- sizes of what is pressed: 24 px, but for links in a line of text
  for (const element of all("button, a.button, input:not([type=hidden]), select, textarea, .row > a, .tabs a, nav a").filter(drawn)) {
    const box = element.getBoundingClientRect();
    if (box.height < 24 && !element.closest(".crumbs")) say(element, `is ${Math.round(box.height)} px high`);
  }

  // --- contrast, as WCAG counts it
  const channels = (text) => { const found = text.match(/[\d.]+/g).map(Number); return { rgb: found.slice(0, 3), alpha: found[3] ?? 1 }; };
  const over = (top, below) => top.rgb.map((c, n) => c * top.alpha + below[n] * (1 - top.alpha));
  const light = (rgb) => { const [r, g, b] = rgb.map((c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) { const layer = channels(getComputedStyle(e).backgroundColor); if (layer.alpha) layers.push(layer); if (layer.alpha === 1) break; }
    return layers.reverse().reduce((below, layer) => over(layer, below), matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]);
  };
  let texts = 0;
  for (const element of shown) {
    if (![...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && !["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName)) continue;
    if (element.closest(".for-readers, .skip, noscript")) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const found = ratio(over(channels(style.color), below), below);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    texts += 1;
    if (found < needed) say(element, `contrast ${found.toFixed(2)}, needed ${needed}`);
    if (size < 12) say(element, `text of ${size} px`);
    const clipped = element.scrollWidth > element.clientWidth + 1 && style.overflow !== "visible" && style.overflowX !== "auto" && style.textOverflow !== "ellipsis" && element.clientWidth;
    if (clipped && !["INPUT", "SELECT", "TEXTAREA", "PRE"].includes(element.tagName)) say(element, "text is cut off");
  }
  for (const field of all("input:not([type=hidden]):not([type=checkbox]), select, textarea").filter(drawn)) {
    const below = ground(field.parentElement);
    const found = ratio(over(channels(getComputedStyle(field).borderTopColor), below), below);
    if (found < 3) say(field, `the edge has a contrast of ${found.toFixed(2)}, needed 3`);
  }
  if (texts < 3) problems.push("hardly any text was looked at");

  // --- widths
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) {
    const wide = shown.filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest("pre"));
    problems.push(`scrolls sideways: ${document.documentElement.scrollWidth} in ${document.documentElement.clientWidth}; ${wide.slice(0, 3).map(describe)}`);
  }
  return problems;
}
