/** Offers slash commands during typing, and then shows how to use the one typed. */

import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

let number = 0;

export class CommandMenu {
  /** `commands()` returns {name, usage_hint, description, by}; `complete(text)` puts the chosen one into the field. */
  constructor(field, list, commands, complete) {
    this.field = field;
    this.list = list;
    this.commands = commands;
    this.complete = complete;
    this.offered = [];
    this.chosen = 0;
    if (!list) return;
    number += 1;
    list.id = `commands-${number}`;
    for (const [name, value] of Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": list.id,
    })) {
      field.setAttribute(name, value);
    }
    field.addEventListener("blur", () => this.close());
    field.addEventListener("focus", () => this.update());
  }

  /** Offers the commands that match the text typed so far. */
  update() {
    if (!this.list) return;
    const typed = this.field.value;
    const word = /^\/\S*$/.test(typed) ? typed.toLowerCase() : null;
    this.offered = word ? this.commands().filter((command) => command.name.startsWith(word)) : [];
    this.chosen = 0;
    if (this.offered.length > 0) this.draw();
    else this.hint(typed);
  }

  /** Handles a key if it is for the menu, and returns whether it was. */
  onKey(event) {
    if (!this.list || this.list.hidden) return false;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.close();
      return true;
    }
    if (this.offered.length === 0) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.chosen = (this.chosen + step + this.offered.length) % this.offered.length;
      this.draw();
    } else if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey && !this.isComplete())) {
      this.complete(`${this.offered[this.chosen].name} `);
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  /** Returns whether the command is typed completely, so that Enter sends it. */
  isComplete() {
    return this.field.value === this.offered[this.chosen].name;
  }

  close() {
    if (!this.list) return;
    this.offered = [];
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }

  draw() {
    fill(
      this.list,
      h("div", { class: "command-heading", role: "presentation" }, "Commands"),
      this.offered.map((command, index) => this.option(command, index)),
    );
    this.list.setAttribute("role", "listbox");
    this.list.hidden = false;
    this.field.setAttribute("aria-expanded", "true");
    this.field.setAttribute("aria-activedescendant", `${this.list.id}-${this.chosen}`);
  }

  option(command, index) {
    const pick = (event) => {
      event.preventDefault(); // the field keeps the focus
      this.complete(`${command.name} `);
    };
    return h(
      "div",
      {
        class: "command",
        role: "option",
        id: `${this.list.id}-${index}`,
        "aria-selected": String(index === this.chosen),
        on: { pointerdown: pick },
      },
      h("span", { class: "command-mark", "aria-hidden": "true" }, icon("slash")),
      h(
        "span",
        { class: "command-words" },
        h("span", { class: "command-line" }, h("b", {}, command.name), " ", command.usage_hint),
        h("span", { class: "command-about" }, command.description),
      ),
      h("span", { class: "command-by" }, command.by),
    );
  }

  /** Shows the usage once a command is typed with nothing behind it. */
  hint(typed) {
    const command = this.commands().find((each) => typed === `${each.name} `);
    this.close();
    if (!command) return;
    this.list.setAttribute("role", "note");
    fill(
      this.list,
      h(
        "div",
        { class: "command-hint" },
        h("b", {}, command.name),
        " ",
        h("span", {}, command.usage_hint),
        h("span", { class: "command-about" }, command.description),
      ),
    );
    this.list.hidden = false;
  }
}
