/** Block Kit's two kinds of text. */

import { h } from "./dom.js";
import { emojiElement, isEmoji } from "./emoji.js";
import { renderMrkdwn } from "./mrkdwn.js";
import { unsupported } from "./unsupported.js";

/** Returns the nodes of a text object of either kind. */
export function textOf(text, context) {
  if (text?.type === "mrkdwn") return renderMrkdwn(text.text, context, { verbatim: text.verbatim === true });
  if (text?.type === "plain_text") return plainText(text);
  return unsupported("text", text?.type);
}

/** Returns the nodes of a plain text, with line breaks and, unless switched off, emoji. */
export function plainText(text) {
  return String(text?.text ?? "")
    .split("\n")
    .flatMap((line, index) => [index > 0 && h("br"), text?.emoji === false ? line : withEmoji(line)]);
}

/** Returns only the characters, for labels. */
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
