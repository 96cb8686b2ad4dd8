/** The middle of the page: the messages of a channel, day by day. */

import { byId, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { MessageList } from "./message_list.js";
import { goneView, messageView } from "./message_view.js";
import { dayDivider, sameDay } from "./slack_dates.js";
import { soon } from "./soon.js";
import { conversation } from "./threads.js";
import { channelLabel, channelSign } from "./channel_names.js";

const TOGETHER_SECONDS = 300;
const WELCOME =
  "Everything here is local: this Slack, this RealtimeKit, and the real bot between them. " +
  "Type / for commands, or try a meeting in the RealtimeKit panel.";

/** Shows the current channel, and returns {followLatest()}; main.js builds `desk`. */
export function showChannel(desk) {
  const { store, place } = desk;
  const list = new MessageList(byId("messages"), byId("message-list"));
  const fresh = byId("new-messages");
  let shown = null;

  const draw = () => {
    const channel = store.channels.get(place.channel);
    const here = `${store.me}/${place.channel}`;
    const items = conversation(store.messagesOf(place.channel));
    drawHeader(channel, desk);
    fill(byId("beginning"), channel && beginning(channel, items.length === 0, desk));
    list.show(rows(items, list, desk), { jump: shown !== here });
    if (shown !== here || list.isAtEnd()) fresh.hidden = true;
    shown = here;
  };
  const later = soon(draw);

  store.subscribe(["messages", "channels", "people", "conditions"], later);
  store.subscribe(["arrival"], (message) => {
    if (message.channel === place.channel && (!message.thread_ts || message.is_broadcast) && !list.isAtEnd())
      fresh.hidden = false;
  });
  place.subscribe(later);
  desk.onNewDay(later);
  fresh.addEventListener("click", () => list.scrollToEnd());
  byId("messages").addEventListener("scroll", () => {
    if (list.isAtEnd()) fresh.hidden = true;
  });
  return { followLatest: () => list.scrollToEnd() };
}

function rows(items, list, desk) {
  const now = new Date(desk.store.now() * 1000);
  const out = [];
  let before = null;
  for (const item of items) {
    const at = momentOf(item);
    if (!before || !sameDay(momentOf(before), at)) out.push(divider(at, now));
    out.push(item.gone ? goneRow(item, desk, now) : messageRow(item, before, list, desk, now));
    before = item;
  }
  return out;
}

function divider(at, now) {
  const words = dayDivider(at, now);
  return {
    key: `day ${at.toDateString()}`,
    signature: words,
    draw: () => h("li", { class: "day" }, h("span", { class: "day-label" }, words)),
  };
}

function goneRow(item, desk, now) {
  const signature = `gone ${item.replies.length} ${item.replies.at(-1)?.ts} ${now.toDateString()}`;
  return { key: item.ts, signature, draw: () => goneView(item, desk) };
}

function messageRow(item, before, list, desk, now) {
  const continued = continues(before, item);
  const thread = `${item.replies.length} ${item.replies.at(-1)?.ts ?? ""}`;
  const author = desk.store.users.get(item.message.author)?.real_name;
  const signature = [continued, thread, author, desk.store.me, now.toDateString(), list.signatureOf(item.message)].join(
    "\n",
  );
  return { key: item.ts, signature, draw: () => messageView({ ...item, continued }, desk) };
}

/** Returns whether a message follows another one by the same author closely enough to omit the name. */
function continues(before, item) {
  if (!before?.message || before.message.author !== item.message.author) return false;
  if (before.message.ephemeral_to || item.message.ephemeral_to || item.message.is_broadcast) return false;
  if (item.message.blocks.length > 0) return false;
  return Number(item.ts) - Number(before.ts) < TOGETHER_SECONDS && sameDay(momentOf(before), momentOf(item));
}

function momentOf(item) {
  return new Date(Number(item.ts) * 1000);
}

function drawHeader(channel, { store, place }) {
  const title = channel ? channelLabel(channel, store) : "";
  fill(
    byId("channel-title"),
    channel && [channel.is_im ? null : icon(channel.is_private ? "lock" : "hash"), h("span", {}, title)],
  );
  fill(
    byId("channel-about"),
    channel ? about(channel, store) : place.channel && "This channel is not there, or not yours to see.",
  );
  const where = channel && channelSign(channel, store);
  document.title = [where, store.team.name || "Sandbox", "livestream-bot"].filter(Boolean).join(" · ");
}

function about(channel, store) {
  if (channel.is_im) return "Direct message";
  const bot = store.users.get(store.botUser)?.real_name ?? "The bot";
  const people = `${channel.members.length} ${channel.members.length === 1 ? "person" : "people"}`;
  const members = channel.has_bot ? `${people} and ${bot}` : `${people} · ${bot} is not in this channel`;
  return channel.is_archived ? `Archived · ${members}` : members;
}

function beginning(channel, isEmpty, desk) {
  const name = channelLabel(channel, desk.store);
  const first = [...desk.store.meetings.values()][0];
  return h(
    "div",
    { class: "beginning" },
    h("div", { class: "beginning-mark", "aria-hidden": "true" }, icon(markOf(channel))),
    h("h2", {}, channel.is_im ? name : `This is the start of #${name}`),
    h("p", {}, WELCOME),
    isEmpty && first && desk.store.command && suggestion(first, desk),
  );
}

function markOf(channel) {
  if (channel.is_im) return "chat";
  return channel.is_private ? "lock" : "hash";
}

function suggestion(meeting, desk) {
  const ask = () => desk.tryCommand(meeting.id);
  const look = { class: "button button-primary", type: "button", on: { click: ask } };
  return h("p", {}, h("button", look, `Check whether “${meeting.title}” is live`));
}
