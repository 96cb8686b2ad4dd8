/** The visible parts of the page: all on a wide screen, one at a time on a phone. */

import { byId } from "./dom.js";

const WIDE = window.matchMedia("(min-width: 1100px)");
const PLACES = ["channels", "chat", "studio", "log"];

/** Wires the phone's tabs and the panel's button; returns {showChat()}. */
export function layOut() {
  const show = (where) => {
    document.body.dataset.place = where;
    for (const tab of PLACES) byId(`tab-${tab}`).setAttribute("aria-current", tab === where ? "page" : "false");
  };
  for (const where of PLACES) byId(`tab-${where}`).addEventListener("click", () => show(where));

  const togglePanel = (open) => {
    document.body.dataset.panel = open ? "open" : "closed";
    byId("panel-toggle").setAttribute("aria-expanded", String(open));
  };
  byId("panel-toggle").addEventListener("click", () => togglePanel(document.body.dataset.panel !== "open"));
  byId("panel-close").addEventListener("click", () => {
    togglePanel(false);
    byId("panel-toggle").focus();
  });
  byId("studio").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !WIDE.matches) byId("panel-close").click();
  });
  WIDE.addEventListener("change", () => togglePanel(WIDE.matches));

  togglePanel(WIDE.matches);
  show("chat");
  return {
    showChat() {
      show("chat");
      if (!WIDE.matches) togglePanel(false);
    },
  };
}
