/** Placeholders for things that the page cannot draw. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** Returns a visible note, such as "Unsupported block: video". */
export function unsupported(what, kind) {
  const name = typeof kind === "string" && kind ? kind : "(no type)";
  return h("div", { class: "unsupported block" }, icon("warning"), h("span", {}, `Unsupported ${what}: ${name}`));
}
