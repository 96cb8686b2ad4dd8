/** The sandbox's clock in the panel, which may run faster than real time. */

import { byId } from "./dom.js";

/** Shows the time; the returned function registers a listener for the start of a new day. */
export function showClock(store) {
  const listeners = new Set();
  let day = null;
  const tick = () => {
    const now = new Date(store.now() * 1000);
    byId("clock").textContent = now.toLocaleTimeString().replaceAll("\u202f", " ");
    if (day !== null && day !== now.toDateString()) for (const listener of listeners) listener();
    day = now.toDateString();
  };
  setInterval(tick, 1000);
  store.subscribe(["conditions"], tick);
  return (listener) => listeners.add(listener);
}
