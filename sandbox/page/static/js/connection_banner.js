/** A banner that shows when the page has lost its connection to the sandbox. */

import { byId } from "./dom.js";

const SENTENCES = { connecting: "Connecting…", reconnecting: "Reconnecting…", open: "" };

export function showConnection(store) {
  const draw = () => {
    byId("connection").hidden = store.connection === "open";
    byId("connection-words").textContent = SENTENCES[store.connection];
    document.body.dataset.connection = store.connection;
  };
  store.subscribe(["connection"], draw);
  draw();
}
