/** The sandbox's clock, ticking in the panel; it may run faster than ours. */

import { byId } from "./dom.js";

/** Shows the time; the returned function registers who wants to know of a new day. */
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
