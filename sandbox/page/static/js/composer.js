/** The message field: Enter sends, Shift+Enter breaks the line, `/` offers the commands, and drafts are kept. */

import { keepDraft, readDraft } from "./drafts.js";
import { CommandMenu } from "./command_menu.js";

const MOST_ROWS = 8;

export class Composer {
  /**
   * `form` contains a textarea, a send button and, to offer commands, an element with the class command-menu.
   * `send(text)` returns a promise; a refused text is put back into the field.
   */
  constructor(form, { send, commands }) {
    this.form = form;
    this.field = form.querySelector("textarea");
    this.button = form.querySelector("button[type=submit]");
    this.send = send;
    this.key = "";
    this.menu = new CommandMenu(this.field, form.querySelector(".command-menu"), commands, (text) => this.put(text));
    this.field.addEventListener("input", () => this.changed());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /** Switches to the draft with this name; `placeholder` says where a message would go. */
  goTo(key, placeholder) {
    this.field.placeholder = placeholder;
    this.field.setAttribute("aria-label", placeholder);
    if (key === this.key) return;
    this.key = key;
    this.field.value = readDraft(key);
    this.menu.close();
    this.fit();
  }

  /** Sets the text and puts the cursor behind it. */
  put(text) {
    this.field.value = text;
    this.focus();
    this.field.setSelectionRange(text.length, text.length);
    this.changed();
  }

  focus() {
    this.field.focus();
  }

  changed() {
    keepDraft(this.key, this.field.value);
    this.menu.update();
    this.fit();
  }

  onKey(event) {
    if (event.isComposing || this.menu.onKey(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    }
  }

  async submit() {
    const { key } = this;
    const text = this.field.value.trim();
    if (!text) return;
    this.field.value = "";
    this.changed();
    this.menu.close();
    if (await this.send(text)) return;
    if (this.key === key && !this.field.value) this.put(text);
    else keepDraft(key, text);
  }

  fit() {
    this.field.rows = Math.min(MOST_ROWS, this.field.value.split("\n").length);
    this.button.disabled = !this.field.value.trim();
  }
}
