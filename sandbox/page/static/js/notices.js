/** Short notices that appear in a corner for a while: failed actions, and that something was copied. */

import { byId, h } from "./dom.js";

const SECONDS = 7;
const MOST = 3;

/** Shows a sentence for a few seconds; `kind` is "problem" or "done". */
export function notice(sentence, kind = "problem") {
  const corner = byId("notices");
  const note = h("p", { class: `notice notice-${kind}` }, sentence);
  corner.append(note);
  while (corner.childElementCount > MOST) corner.firstElementChild.remove();
  setTimeout(() => note.remove(), SECONDS * 1000);
}
