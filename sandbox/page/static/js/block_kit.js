/**
 * Draws Block Kit as Slack does: JSON in, elements out.
 *
 * `context` has what mrkdwn needs, {users, channels, me, now()}, and the handlers `act({action_id, block_id, value})`
 * and `confirm(dialog)`, which both return promises.
 * Source: docs.slack.dev, reference of blocks. Other blocks are shown as unsupported, never left out.
 */

import { elementOf } from "./block_elements.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { renderMrkdwn } from "./mrkdwn.js";
import { plainText, textOf } from "./text_objects.js";
import { unsupported } from "./unsupported.js";
import { safeUrl, LEAVING } from "./safe_url.js";

const BLOCKS = {
  header: (block) => h("h3", { class: "block-header" }, plainText(block.text)),
  section,
  context: contextBlock,
  divider: () => h("hr", { class: "block-divider" }),
  image,
  actions,
};

/** Returns the elements of a message's blocks, in order. */
export function renderBlocks(blocks, context) {
  return listed(blocks).map((block) => renderBlock(block, context));
}

function renderBlock(block, context) {
  const kind = block?.type;
  if (!Object.hasOwn(BLOCKS, kind)) return unsupported("block", kind);
  const element = BLOCKS[kind](block, context);
  element.classList.add("block");
  return element;
}

function section(block, context) {
  const fields = listed(block.fields).map((field) => h("div", { class: "field" }, textOf(field, context)));
  const accessory = block.accessory && h("div", { class: "accessory" }, elementOf(block.accessory, block, context));
  return h(
    "div",
    { class: "block-section" },
    h(
      "div",
      { class: "section-body" },
      block.text && h("div", { class: "section-text" }, textOf(block.text, context)),
      fields.length > 0 && h("div", { class: "fields" }, fields),
    ),
    accessory,
  );
}

function contextBlock(block, context) {
  const parts = listed(block.elements).map((element) =>
    element?.type === "image"
      ? h("span", { class: "context-item" }, elementOf(element, block, context))
      : h("span", { class: "context-item" }, contextText(element, context)),
  );
  return h("div", { class: "block-context" }, parts);
}

function contextText(element, context) {
  if (element?.type === "mrkdwn") return renderMrkdwn(element.text, context, { verbatim: element.verbatim === true });
  return element?.type === "plain_text" ? plainText(element) : unsupported("element", element?.type);
}

function actions(block, context) {
  const elements = listed(block.elements).map((element) => elementOf(element, block, context));
  return h("div", { class: "block-actions" }, elements);
}

/** Shows an image as its description and URL, since the page loads nothing from the network. */
function image(block) {
  const url = safeUrl(block.image_url ?? block.slack_file?.url);
  const words = String(block.alt_text ?? "Image");
  return h(
    "figure",
    { class: "block-image" },
    block.title && h("figcaption", {}, plainText(block.title)),
    h(
      "div",
      { class: "image-placeholder", role: "img", "aria-label": words },
      icon("image"),
      h("span", { class: "image-alt" }, words),
    ),
    url && h("a", { class: "image-url", href: url, ...LEAVING }, url),
  );
}

function listed(value) {
  return Array.isArray(value) ? value : [];
}
