/** A menu of options under a button: arrow keys, Home and End, Escape; the focus goes back where it came from. */

import { h } from "./dom.js";
import { plainText } from "./text_objects.js";

let close = () => {};

/** Opens a menu; `choose(option)` is called with the one that is picked. Only one is open at a time. */
export function openMenu(opener, options, choose) {
  const wasOpen = opener.getAttribute("aria-expanded") === "true";
  close();
  if (wasOpen) return;
  const menu = h(
    "div",
    { class: "menu", role: "menu" },
    options.map((option) => item(option, choose)),
  );
  document.body.append(menu);
  opener.setAttribute("aria-expanded", "true");
  place(menu, opener);

  const leave = (event) => {
    if (!menu.contains(event.target) && !opener.contains(event.target)) close();
  };
  close = ({ focus = false } = {}) => {
    close = () => {};
    document.removeEventListener("pointerdown", leave, true);
    document.removeEventListener("scroll", leave, true);
    menu.remove();
    opener.setAttribute("aria-expanded", "false");
    if (focus) opener.focus();
  };
  document.addEventListener("pointerdown", leave, true);
  document.addEventListener("scroll", leave, true);
  menu.addEventListener("keydown", (event) => onKey(event, menu));
  menu.addEventListener("focusout", (event) => event.relatedTarget && leave({ target: event.relatedTarget }));
  menu.firstElementChild?.focus();
}

function item(option, choose) {
  const pick = () => {
    close({ focus: true });
    choose(option);
  };
  return h(
    "button",
    { class: "menu-item", type: "button", role: "menuitem", tabindex: "-1", on: { click: pick } },
    plainText(option?.text),
  );
}

function onKey(event, menu) {
  const items = [...menu.children];
  const at = items.indexOf(document.activeElement);
  const to = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    items[to].focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    close({ focus: true });
  }
}

/** Under the opener if there is room, else above it; never beyond the edge of the screen. */
function place(menu, opener) {
  const at = opener.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = at.bottom + 4;
  const top = below + height <= window.innerHeight ? below : Math.max(4, at.top - height - 4);
  menu.style.top = `${top}px`;
  menu.style.left = `${Math.max(4, Math.min(at.left, window.innerWidth - width - 8))}px`;
}
