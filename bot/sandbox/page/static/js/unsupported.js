/** What stands where the page does not know how to draw something. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** A visible note, such as "Unsupported block: video". */
export function unsupported(what, kind) {
  const name = typeof kind === "string" && kind ? kind : "(no type)";
  return h("div", { class: "unsupported block" }, icon("warning"), h("span", {}, `Unsupported ${what}: ${name}`));
}
