/** Draws a message: author, time, content, and the link to its thread. */

import { avatar } from "./avatar.js";
import { renderBlocks } from "./block_kit.js";
import { classes, h } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { mrkdwnAsText, renderMrkdwn } from "./mrkdwn.js";
import { formatDate, timeOfDay } from "./slack_dates.js";

const PREVIEW = 80;
const FACES = 3;

/**
 * Returns a list item. `item` is {message, replies, continued} from conversation(); `desk` is
 * {store, contextOf, openThread}. `inThread` omits the link to the thread.
 */
export function messageView(item, desk, { inThread = false } = {}) {
  const { message, replies = [], continued = false } = item;
  const author = desk.store.users.get(message.author);
  const at = new Date(Number(message.ts) * 1000);
  const content = h(
    "div",
    { class: "message-content" },
    message.ephemeral_to && privateNote(),
    message.is_broadcast && !inThread && broadcastNote(message, desk),
    !continued && byline(author, at, desk),
    h("div", { class: "message-body" }, body(message, desk)),
    !inThread && replies.length > 0 && repliesLink(message.ts, replies, desk),
  );
  return h(
    "li",
    {
      class: classes("message", continued && "is-continued", message.ephemeral_to && "is-ephemeral"),
      dataset: { ts: message.ts, author: message.author },
    },
    h(
      "div",
      { class: "message-gutter" },
      continued
        ? h("span", { class: "gutter-time", "aria-hidden": "true" }, timeOfDay(at))
        : avatar(author, desk.store.botUser),
    ),
    content,
    !message.ephemeral_to && toolbar(message, desk, inThread),
  );
}

/** Returns the placeholder for a thread's deleted first message. */
export function goneView(item, desk, { inThread = false } = {}) {
  return h(
    "li",
    { class: "message is-gone", dataset: { ts: item.ts } },
    h(
      "div",
      { class: "message-gutter" },
      h("span", { class: "avatar avatar-gone", "aria-hidden": "true" }, icon("close")),
    ),
    h(
      "div",
      { class: "message-content" },
      h("p", { class: "gone" }, "This message was deleted."),
      !inThread && repliesLink(item.ts, item.replies, desk),
    ),
  );
}

function privateNote() {
  return h("p", { class: "only-you" }, icon("eye", "icon-small"), "Only visible to you");
}

function broadcastNote(message, desk) {
  const parent = desk.store.messages.get(message.channel)?.get(message.thread_ts);
  const words = parent && !parent.deleted ? mrkdwnAsText(parent.text, desk.contextOf(parent)) : "a thread";
  const open = () => desk.openThread(message.thread_ts);
  return h(
    "p",
    { class: "broadcast" },
    "replied to a thread: ",
    h("button", { class: "link", type: "button", on: { click: open } }, shortened(words)),
  );
}

function byline(author, at, desk) {
  const seconds = at.getTime() / 1000;
  return h(
    "div",
    { class: "byline" },
    h("span", { class: "author" }, author?.real_name ?? "Someone"),
    author?.id === desk.store.botUser && h("span", { class: "badge" }, "APP"),
    h(
      "time",
      {
        class: "time",
        datetime: at.toISOString(),
        title: formatDate(seconds, "{date_long_pretty} at {time_secs}", desk.store.now()),
      },
      timeOfDay(at),
    ),
  );
}

function body(message, desk) {
  const context = desk.contextOf(message);
  const edited = message.edited && h("span", { class: "edited" }, "(edited)");
  if (message.blocks.length > 0) return [h("div", { class: "blocks" }, renderBlocks(message.blocks, context)), edited];
  return [h("div", { class: "text" }, renderMrkdwn(message.text, context)), edited];
}

function repliesLink(ts, replies, desk) {
  const authors = [...new Set(replies.map((reply) => reply.author))].slice(0, FACES);
  const last = formatDate(Number(replies.at(-1).ts), "{date_short_pretty} at {time}", desk.store.now());
  return h(
    "button",
    { class: "replies", type: "button", dataset: { focus: "replies" }, on: { click: () => desk.openThread(ts) } },
    authors.map((id) => avatar(desk.store.users.get(id), desk.store.botUser, "avatar-small")),
    h("span", { class: "replies-count" }, count(replies.length)),
    h("span", { class: "replies-last" }, `Last reply ${last.charAt(0).toLowerCase()}${last.slice(1)}`),
  );
}

function toolbar(message, desk, inThread) {
  return h(
    "div",
    { class: "message-toolbar" },
    !inThread && tool("Reply in thread", "thread", "reply", {}, () => desk.openThread(message.ts)),
    tool("Message menu", "more", "menu", { "aria-haspopup": "menu", "aria-expanded": "false" }, (event) =>
      openMenu(event.currentTarget, MESSAGE_MENU, () => desk.deleteMessage(message)),
    ),
  );
}

const MESSAGE_MENU = [
  {
    text: { text: "Delete message…", emoji: false },
    description: { text: "As an admin of this workspace may" },
    danger: true,
  },
];

function tool(label, picture, focus, attributes, press) {
  return h(
    "button",
    {
      class: "icon-button",
      type: "button",
      "aria-label": label,
      title: label,
      ...attributes,
      dataset: { focus },
      on: { click: press },
    },
    icon(picture),
  );
}

/** Returns "1 reply", "2 replies" and so on. */
export function count(replies) {
  return `${replies} ${replies === 1 ? "reply" : "replies"}`;
}

function shortened(text) {
  return text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text;
}
