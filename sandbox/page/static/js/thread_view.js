/** The side panel with one thread. */

import { byId, fill, h } from "./dom.js";
import { channelSign } from "./channel_names.js";
import { MessageList } from "./message_list.js";
import { count, goneView, messageView } from "./message_view.js";
import { soon } from "./soon.js";
import { threadOf } from "./threads.js";

/** Shows the open thread, if there is one, and restores the focus when it is closed. */
export function showThread(desk, composer) {
  const { store, place } = desk;
  const panel = byId("thread");
  const list = new MessageList(byId("thread-messages"), byId("thread-list"));
  let shown = null;

  const draw = () => {
    const ts = place.thread;
    panel.hidden = !ts;
    if (!ts) {
      shown = null;
      list.show([]);
      return;
    }
    const channel = store.channels.get(place.channel);
    fill(byId("thread-channel"), channel && channelSign(channel, store));
    list.show(rows(threadOf(store.messagesOf(place.channel), ts), ts, list, desk), { jump: shown !== ts });
    if (shown !== ts) composer.focus();
    shown = ts;
  };
  const close = () => {
    const ts = place.thread;
    place.go({ thread: null });
    draw();
    document.querySelector(`#message-list [data-ts="${CSS.escape(ts ?? "")}"] [data-focus]`)?.focus();
  };

  const later = soon(draw);
  store.subscribe(["messages", "channels", "people"], later);
  place.subscribe(later);
  desk.onNewDay(later);
  byId("thread-close").addEventListener("click", close);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) close();
  });
}

function rows({ first, replies }, ts, list, desk) {
  const inThread = { inThread: true };
  const row = (message) => ({
    key: message.ts,
    signature: `${desk.store.me} ${new Date(desk.store.now() * 1000).toDateString()} ${list.signatureOf(message)}`,
    draw: () => messageView({ message }, desk, inThread),
  });
  const head = first ? row(first) : { key: ts, signature: "gone", draw: () => goneView({ ts }, desk, inThread) };
  const words = replies.length > 0 ? count(replies.length) : "No replies yet";
  const divider = { key: "replies", signature: words, draw: () => h("li", { class: "thread-count" }, words) };
  return [head, divider, ...replies.map(row)];
}
