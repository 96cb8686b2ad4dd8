/** Builds elements. Text always becomes text nodes, never HTML. */

/**
 * Creates an element with attributes and children.
 * `class`, `dataset` and `on` are special; null, undefined and false attributes are omitted, true ones are empty.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") element.className = value;
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "on")
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  else element.setAttribute(name, value === true ? "" : String(value));
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

/** Replaces an element's content. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Joins class names, skipping falsy ones. */
export function classes(...names) {
  return names.filter(Boolean).join(" ");
}

/** Returns the element with this ID, which must be in index.html. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Makes the given nodes the children of `parent`, in that order, without moving those already in place, so that a
 * focused element keeps the focus.
 */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!keep.has(child)) child.remove();
  wanted.forEach((node, index) => {
    if (parent.childNodes[index] !== node) parent.insertBefore(node, parent.childNodes[index] ?? null);
  });
}
