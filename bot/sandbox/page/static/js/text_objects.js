/** Block Kit's two kinds of text. */

import { h } from "./dom.js";
import { emojiElement, isEmoji } from "./emoji.js";
import { renderMrkdwn } from "./mrkdwn.js";
import { unsupported } from "./unsupported.js";

/** The nodes of a text object of either kind. */
export function textOf(text, context) {
  if (text?.type === "mrkdwn") return renderMrkdwn(text.text, context, { verbatim: text.verbatim === true });
  if (text?.type === "plain_text") return plainText(text);
  return unsupported("text", text?.type);
}

/** The nodes of a plain text: line breaks and, unless it asks for none, emoji. */
export function plainText(text) {
  return String(text?.text ?? "")
    .split("\n")
    .flatMap((line, index) => [index > 0 && h("br"), text?.emoji === false ? line : withEmoji(line)]);
}

/** The characters alone, for labels. */
export function plainString(text) {
  return String(text?.text ?? "");
}

function withEmoji(line) {
  const parts = line.split(/:([a-z0-9_+-]{1,60}):/);
  return parts.map((part, index) => {
    if (index % 2 === 0) return part;
    return isEmoji(part) ? emojiElement(part) : `:${part}:`;
  });
}
