/** RealtimeKit's webhooks: their outcomes, and the controls that disturb them. */

import { holdWebhooks, pressWebhooks, Refused } from "./api.js";
import { byId, fill } from "./dom.js";
import { notice } from "./notices.js";
import { soon } from "./soon.js";

/** Shows the webhooks and wires their buttons. */
export function showWebhooks({ store }) {
  const hold = byId("webhooks-hold");
  const draw = () => {
    const { webhooks } = store;
    if (!webhooks) return;
    fill(byId("webhooks-about"), about(webhooks));
    hold.setAttribute("aria-pressed", String(webhooks.held));
  };
  hold.addEventListener("click", () => done(holdWebhooks(!store.webhooks.held)));
  byId("webhooks-repeat").addEventListener("click", () => done(pressWebhooks("repeat"), "The last webhook goes again."));
  byId("webhooks-rotate").addEventListener("click", () => done(pressWebhooks("rotate"), "Signed with a new key now."));
  store.subscribe(["webhooks"], soon(draw));
}

function about({ addresses, delivered, failed, waiting }) {
  const known = addresses === 0 ? "No address is registered" : `${addresses} ${addresses === 1 ? "address" : "addresses"}`;
  return [known, `${delivered} delivered`, failed > 0 && `${failed} failed`, waiting > 0 && `${waiting} waiting`]
    .filter(Boolean)
    .join(" · ");
}

/** Waits for the server, and shows either what was done or why it was refused. */
async function done(answer, words) {
  try {
    await answer;
    if (words) notice(words, "done");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
  }
}
