/** Block Kit's confirmation dialog. */

import { h } from "./dom.js";
import { plainText, textOf } from "./text_objects.js";

/** Shows the dialog; resolves to whether the person agreed. The browser restores the focus. */
export function confirmDialog(confirm, context) {
  let agreed = false;
  const leave = (answer) => () => {
    agreed = answer;
    dialog.close();
  };
  const style = confirm.style === "danger" ? "button-danger" : "button-primary";
  const agree = choice(style, confirm.confirm ?? { text: "Yes" }, leave(true));
  const refuse = choice("", confirm.deny ?? { text: "Cancel" }, leave(false));
  const dialog = h(
    "dialog",
    { class: "confirm", "aria-labelledby": "confirm-title" },
    h("h2", { id: "confirm-title" }, plainText(confirm.title ?? { text: "Are you sure?" })),
    h("div", { class: "confirm-text" }, confirm.text && textOf(confirm.text, context)),
    h("div", { class: "confirm-buttons" }, refuse, agree),
  );
  document.body.append(dialog);
  dialog.showModal();
  agree.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(agreed);
    });
  });
}

function choice(style, text, click) {
  return h("button", { class: `button ${style}`.trim(), type: "button", on: { click } }, plainText(text));
}
