/** The interactive elements of a message. Source: docs.slack.dev, reference of block elements. */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { LEAVING, safeUrl } from "./safe_url.js";
import { plainString, plainText } from "./text_objects.js";
import { unsupported } from "./unsupported.js";

const STYLES = new Set(["primary", "danger"]);
const ELEMENTS = { button, overflow, static_select: staticSelect, image };

/** Draws an element of a block. */
export function elementOf(element, block, context) {
  const kind = element?.type;
  return Object.hasOwn(ELEMENTS, kind) ? ELEMENTS[kind](element, block, context) : unsupported("element", kind);
}

/** Draws a button. One with a URL is a link, but also sends its click to the app. */
function button(element, block, context) {
  const style = STYLES.has(element.style) ? `button-${element.style}` : "";
  const look = {
    class: `button ${style}`.trim(),
    dataset: { actionId: element.action_id ?? "" },
    "aria-label": element.accessibility_label ? String(element.accessibility_label) : null,
  };
  const press = (pressed) => perform(pressed, element, block, context, element.value);
  const href = safeUrl(element.url);
  if (!href)
    return h(
      "button",
      { ...look, type: "button", on: { click: (event) => press(event.currentTarget) } },
      plainText(element.text),
    );
  const open = async (event) => {
    const link = event.currentTarget;
    if (element.confirm) {
      event.preventDefault(); // the link opens after confirmation
      if (await press(link)) window.open(href, "_blank", "noopener,noreferrer");
    } else {
      await press(link);
    }
  };
  return h(
    "a",
    { ...look, href, ...LEAVING, on: { click: open } },
    plainText(element.text),
    icon("external", "icon-small"),
  );
}

function overflow(element, block, context) {
  const choose = (pressed) => async (option) => {
    const done = await perform(pressed, element, block, context, option.value);
    const href = safeUrl(option.url);
    if (done && href) window.open(href, "_blank", "noopener,noreferrer");
  };
  const open = (event) => openMenu(event.currentTarget, optionsOf(element), choose(event.currentTarget));
  return h(
    "button",
    {
      class: "button button-overflow",
      type: "button",
      "aria-label": "More actions",
      ...MENU,
      dataset: { actionId: element.action_id ?? "" },
      on: { click: open },
    },
    icon("more"),
  );
}

function staticSelect(element, block, context) {
  const label = h(
    "span",
    { class: "select-label" },
    plainText(element.initial_option?.text ?? element.placeholder ?? { text: "Select an item" }),
  );
  const choose = (pressed) => async (option) => {
    if (await perform(pressed, element, block, context, option.value)) label.replaceChildren(plainString(option.text));
  };
  const open = (event) => openMenu(event.currentTarget, optionsOf(element), choose(event.currentTarget));
  return h(
    "button",
    {
      class: "button button-select",
      type: "button",
      ...MENU,
      dataset: { actionId: element.action_id ?? "" },
      on: { click: open },
    },
    label,
    icon("chevron", "icon-small"),
  );
}

const MENU = { "aria-haspopup": "menu", "aria-expanded": "false" };

function optionsOf(element) {
  const groups = Array.isArray(element.option_groups) ? element.option_groups.map((group) => group?.options) : [];
  return [element.options, ...groups].filter(Array.isArray).flat();
}

/** Shows an image as its description, since the page loads nothing from the network. */
function image(element) {
  const words = String(element.alt_text ?? "Image");
  return h("span", { class: "image-thumbnail", role: "img", "aria-label": words, title: words }, icon("image"));
}

/** Asks for confirmation if the element requires it, then sends the action; resolves to whether it succeeded. */
async function perform(pressed, element, block, context, value) {
  if (pressed.getAttribute("aria-busy") === "true") return false;
  if (element.confirm && !(await context.confirm(element.confirm))) return false;
  pressed.setAttribute("aria-busy", "true");
  try {
    return await context.act({ action_id: element.action_id, block_id: block.block_id, value });
  } finally {
    pressed.removeAttribute("aria-busy");
  }
}
