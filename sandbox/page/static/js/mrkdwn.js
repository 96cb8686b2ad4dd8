/** Draws Slack's mrkdwn. All external text ends up in text nodes. */

import { h } from "./dom.js";
import { emojiElement, isEmoji } from "./emoji.js";
import { parse, unescape } from "./mrkdwn_parser.js";
import { LEAVING, safeUrl } from "./safe_url.js";
import { formatDate } from "./slack_dates.js";

const EVERYBODY = new Set(["here", "channel", "everyone"]);
const LONG = 60; // length in characters from which a link may break anywhere, not only after its first hyphen
const STYLE_TAGS = { bold: "strong", italic: "em", strike: "s" };

/**
 * Returns the nodes of a mrkdwn text.
 * `context` is {users: Map, channels: Map, me, now()}; `verbatim` leaves bare URLs and #names alone.
 */
export function renderMrkdwn(text, context, { verbatim = false } = {}) {
  return parse(String(text ?? ""), { links: !verbatim }).map((block) => blockElement(block, context));
}

/** Returns the same as one line of plain text, for announcements and previews. */
export function mrkdwnAsText(text, context) {
  const holder = h("div", {}, renderMrkdwn(text, context));
  for (const image of holder.querySelectorAll("img")) image.remove();
  for (const line of holder.querySelectorAll("br")) line.replaceWith(" ");
  return holder.textContent.replace(/\s+/g, " ").trim();
}

function blockElement(block, context) {
  switch (block.type) {
    case "preformatted":
      return h("pre", { class: "code-block" }, h("code", {}, codeText(block.text, context)));
    case "quote":
      return h("blockquote", {}, inline(block.children, context));
    default:
      return h("div", { class: "paragraph" }, inline(block.children, context));
  }
}

function inline(nodes, context) {
  return nodes.map((node) => inlineNode(node, context));
}

function inlineNode(node, context) {
  switch (node.type) {
    case "break":
      return h("br");
    case "code":
      return h("code", {}, codeText(node.text, context));
    case "emoji":
      return isEmoji(node.name) ? emojiElement(node.name) : `:${node.name}:`;
    case "angle":
      return angle(node.body, context);
    case "text":
      return node.text;
    default:
      return h(STYLE_TAGS[node.type], {}, inline(node.children, context));
  }
}

/** Returns the text of code, in which links and mentions appear as plain words. */
function codeText(text, context) {
  const parts = text.split(/<([^<>\n]+)>/);
  return parts.map((part, index) => (index % 2 ? angle(part, context).textContent : unescape(part))).join("");
}

/** Resolves `<...>`: a mention, a date, a link, or literal text. */
function angle(body, context) {
  const [target, label] = halves(body);
  if (target.startsWith("@")) return userMention(target.slice(1), label, context);
  if (target.startsWith("#")) return channelMention(target.slice(1), label, context);
  if (target.startsWith("!")) return special(target.slice(1), label, context);
  return linkElement(unescape(target), label && unescape(label)) ?? literally(body);
}

function halves(body) {
  const bar = body.indexOf("|");
  return bar < 0 ? [body, ""] : [body.slice(0, bar), body.slice(bar + 1)];
}

function literally(body) {
  return document.createTextNode(`<${unescape(body)}>`);
}

function linkElement(url, label) {
  const href = safeUrl(url);
  const words = label || url;
  return href && h("a", { href, class: words.length > LONG && !words.includes(" ") && "long-url", ...LEAVING }, words);
}

function userMention(id, label, context) {
  const name = context.users.get(id)?.real_name ?? (label ? unescape(label) : id);
  return h("span", { class: id === context.me ? "mention mention-me" : "mention" }, `@${name}`);
}

function channelMention(id, label, context) {
  const name = context.channels.get(id)?.name ?? (label ? unescape(label) : id);
  return h("span", { class: "mention" }, `#${name}`);
}

function special(command, label, context) {
  if (command.startsWith("date^")) return dateElement(command, label, context);
  if (EVERYBODY.has(command)) return h("span", { class: "mention mention-me" }, `@${command}`);
  if (command.startsWith("subteam^")) return h("span", { class: "mention" }, label ? unescape(label) : "@group");
  return literally(label ? `!${command}|${label}` : `!${command}`);
}

/** Draws <!date^seconds^format^link|fallback>. */
function dateElement(command, fallback, context) {
  const [, seconds, format = "", ...link] = command.split("^");
  const said = /^\d{1,12}$/.test(seconds) ? formatDate(Number(seconds), unescape(format), context.now()) : null;
  const text = said ?? unescape(fallback);
  const moment = said && new Date(Number(seconds) * 1000);
  const time = h("time", { datetime: moment && moment.toISOString(), title: moment && moment.toLocaleString() }, text);
  const href = safeUrl(unescape(link.join("^")));
  return href ? h("a", { href, ...LEAVING }, time) : time;
}
