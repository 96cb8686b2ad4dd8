/** Announces new messages to a screen reader, without their blocks: a message's text says everything. */

import { byId, h } from "./dom.js";
import { mrkdwnAsText } from "./mrkdwn.js";

const LINES = 5;

/** Announces every message by another author that arrives in the current channel. */
export function announceMessages(store, place, context) {
  const log = byId("announcer");
  store.subscribe(["arrival"], (message) => {
    if (message.channel !== place.channel || message.author === store.me) return;
    const author = store.users.get(message.author)?.real_name ?? "Someone";
    const whom = message.ephemeral_to ? ", only visible to you" : "";
    log.append(h("p", {}, `${author}${whom}: ${mrkdwnAsText(message.text, context)}`));
    while (log.childElementCount > LINES) log.firstElementChild.remove();
  });
}
