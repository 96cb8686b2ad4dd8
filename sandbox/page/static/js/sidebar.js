/** The left side: the team, its channels, and the current person. */

import { avatar } from "./avatar.js";
import { channelLabel } from "./channel_names.js";
import { byId, classes, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { soon } from "./soon.js";

/** Shows the sidebar. Channels with unread messages are bold. */
export function showSidebar(desk) {
  const { store, place } = desk;
  const unread = new Map();

  const draw = () => {
    unread.delete(place.channel);
    const channels = [...store.channels.values()];
    fill(byId("team-name"), store.team.name);
    keepingFocus(() => {
      drawChannels(
        "channel-list",
        channels.filter((channel) => !channel.is_im),
        unread,
        desk,
      );
      drawChannels(
        "direct-list",
        channels.filter((channel) => channel.is_im),
        unread,
        desk,
      );
    });
    byId("directs").hidden = !channels.some((channel) => channel.is_im);
    drawPeople(desk);
  };

  const later = soon(draw);
  store.subscribe(["people", "channels"], later);
  store.subscribe(["arrival"], (message) => {
    if (message.channel === place.channel || message.author === store.me) return;
    unread.set(message.channel, (unread.get(message.channel) ?? 0) + 1);
    later();
  });
  place.subscribe((changed) => {
    if (changed.includes("user")) unread.clear();
    later();
  });
}

function drawChannels(id, channels, unread, desk) {
  fill(
    byId(id),
    channels.map((channel) => h("li", {}, channelButton(channel, unread.get(channel.id) ?? 0, desk))),
  );
}

function channelButton(channel, unread, { store, place, showChat }) {
  const here = channel.id === place.channel;
  const open = () => {
    place.go({ channel: channel.id });
    showChat();
  };
  return h(
    "button",
    {
      class: classes("channel", unread > 0 && "is-unread"),
      type: "button",
      dataset: { channel: channel.id },
      "aria-current": here ? "page" : null,
      on: { click: open },
    },
    channel.is_im
      ? avatar(store.users.get(store.botUser), store.botUser, "avatar-small")
      : icon(channel.is_private ? "lock" : "hash"),
    h("span", { class: "channel-name" }, channelLabel(channel, store)),
    channel.is_private && !channel.is_im && h("span", { class: "visually-hidden" }, " (private)"),
    unread > 0 && h("span", { class: "unread" }, String(unread), h("span", { class: "visually-hidden" }, " new")),
  );
}

/** Redraws the list, and restores the focus to the channel that had it. */
function keepingFocus(draw) {
  const channel = document.activeElement?.dataset?.channel;
  draw();
  if (channel) document.querySelector(`[data-channel="${CSS.escape(channel)}"]`)?.focus();
}

function drawPeople({ store, place }) {
  const people = [...store.users.values()].filter((user) => !user.is_bot);
  const holder = byId("people");
  const key = JSON.stringify([people, store.me]);
  if (holder.dataset.shown === key) return;
  const hadFocus = holder.contains(document.activeElement);
  holder.dataset.shown = key;
  fill(
    holder,
    people.map((user) => person(user, store, place)),
  );
  if (hadFocus) holder.querySelector("input:checked")?.focus();
}

function person(user, store, place) {
  const choose = () => place.go({ user: user.id });
  return h(
    "label",
    { class: "person" },
    h("input", { type: "radio", name: "me", value: user.id, checked: user.id === store.me, on: { change: choose } }),
    avatar(user, store.botUser, "avatar-small"),
    h("span", { class: "person-name" }, user.real_name),
  );
}
