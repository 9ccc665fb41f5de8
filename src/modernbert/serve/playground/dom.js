// Elements, and texts whose places count code points, as the server's do.

/** An element. `on…` listens, `style` sets properties one by one (the page allows no style attributes), null leaves out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) made.style.setProperty(key, each);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** A text that is cut by code points. */
export class Points {
  constructor(text) {
    this.points = [...text];
  }
  slice(start, end) {
    return this.points.slice(start, end).join("");
  }
}

/** A text with some of its places made into elements; what lies between stays text. Places are in order and apart. */
export function marked(text, places, make) {
  const points = new Points(text);
  const found = [];
  let reached = 0;
  for (const place of places) {
    found.push(points.slice(reached, place.start), make(place, points.slice(place.start, place.end)));
    reached = place.end;
  }
  return [...found, points.slice(reached)];
}

export function percent(share) {
  const hundred = share * 100;
  return `${hundred >= 9.95 ? hundred.toFixed(0) : hundred.toFixed(1)} %`;
}

/** A row with a bar: a name, how much, and a number to read. */
export function bar(name, share, number, attributes = {}) {
  const tag = attributes.onclick ? "button" : "div";
  return el(
    tag,
    { class: "bar", type: tag === "button" ? "button" : null, ...attributes },
    el("span", { class: "bar-name" }, name),
    el("span", { class: "bar-number" }, number),
    el("span", { class: "bar-fill", style: { "--share": share } }),
  );
}

/** A text field that grows. Enter asks where one text is meant; Control and Enter ask everywhere. */
export function field(label, value, { onask, lines = false, rows = 2 } = {}) {
  const id = `field-${label.toLowerCase().replace(/\W+/g, "-")}`;
  const area = el("textarea", {
    id,
    rows,
    spellcheck: "false",
    oninput: () => onask(false),
    onkeydown: (event) => {
      if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
      if (lines && !event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      onask(true);
    },
  });
  area.value = value;
  return { area, whole: el("div", { class: "field" }, el("label", { for: id }, label), area) };
}

/** A choice of several; nothing where there is but one. */
export function choice(label, options, onchange) {
  const id = `choice-${label.toLowerCase().replace(/\W+/g, "-")}`;
  const select = el(
    "select",
    { id, onchange: () => onchange(select.value) },
    options.map(([value, text]) => el("option", { value }, text)),
  );
  return el("div", { class: "choice", hidden: options.length < 2 }, el("label", { for: id }, label), select);
}
