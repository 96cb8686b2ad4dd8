/**
 * A menu of options under a button. It handles arrow keys, first letters, Home, End and Escape, and restores the focus
 * when it closes. It stays at its button when the list behind it scrolls or the button is redrawn.
 */

import { h } from "./dom.js";
import { plainText } from "./text_objects.js";

let opened = null;

/**
 * Opens a menu; `choose(option)` is called with the chosen option. Only one menu is open at a time.
 * An option is {text, description, danger}: two Block Kit plain texts, and whether it destroys something.
 */
export function openMenu(opener, options, choose) {
  const wasOpen = opened?.opener === opener;
  close();
  if (wasOpen) return;
  const menu = h(
    "div",
    { class: "menu", role: "menu", "aria-label": opener.getAttribute("aria-label") ?? opener.textContent },
    options.map((option) => item(option, choose)),
  );
  opened = { menu };
  document.body.append(menu);
  belongTo(opener);
  menu.addEventListener("keydown", (event) => onKey(event, menu));
  menu.addEventListener("focusout", (event) => event.relatedTarget && leave({ target: event.relatedTarget }));
  document.addEventListener("pointerdown", leave, true);
  document.addEventListener("scroll", follow, true);
  menu.firstElementChild?.focus();
}

/** Moves the menu after `before` was replaced; `successor(opener)` returns the new button, if there is one. */
export function moveMenu(before, successor) {
  if (!opened || !before.contains(opened.opener)) return;
  const opener = successor(opened.opener);
  if (opener) belongTo(opener);
  else close();
}

/** Closes the menu if its button is no longer in the page. */
export function closeLostMenu() {
  if (opened && !opened.opener.isConnected) close();
}

function belongTo(opener) {
  opened.opener = opener;
  opener.setAttribute("aria-expanded", "true");
  place(opened.menu, opener);
}

function close({ focus = false } = {}) {
  if (!opened) return;
  const { menu, opener } = opened;
  opened = null;
  document.removeEventListener("pointerdown", leave, true);
  document.removeEventListener("scroll", follow, true);
  menu.remove();
  opener.setAttribute("aria-expanded", "false");
  if (focus) opener.focus();
}

function leave({ target }) {
  if (opened && !opened.menu.contains(target) && !opened.opener.contains(target)) close();
}

function follow({ target }) {
  const { menu, opener } = opened;
  if (menu.contains(target)) return;
  if (isInSight(opener)) place(menu, opener);
  else close({ focus: menu.contains(document.activeElement) });
}

function isInSight(opener) {
  const at = opener.getBoundingClientRect();
  const frame = opener.closest(".messages")?.getBoundingClientRect() ?? { top: 0, bottom: window.innerHeight };
  return at.bottom > frame.top && at.top < frame.bottom;
}

function item(option, choose) {
  const pick = () => {
    close({ focus: true });
    choose(option);
  };
  return h(
    "button",
    {
      class: option?.danger ? "menu-item menu-item-danger" : "menu-item",
      type: "button",
      role: "menuitem",
      tabindex: "-1",
      on: { click: pick },
    },
    h("span", { class: "menu-text" }, plainText(option?.text)),
    option?.description && h("span", { class: "menu-about" }, plainText(option.description)),
  );
}

function onKey(event, menu) {
  const items = [...menu.children];
  const to = items[next(event.key, items, items.indexOf(document.activeElement))];
  if (to) {
    event.preventDefault();
    to.focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    close({ focus: true });
  }
}

/** Returns the item that a key leads to: a neighbor, the first or last, or the next one with that first letter. */
function next(key, items, at) {
  const count = items.length;
  const places = { ArrowDown: (at + 1) % count, ArrowUp: (at - 1 + count) % count, Home: 0, End: count - 1 };
  if (Object.hasOwn(places, key)) return places[key];
  if (key.length !== 1 || key === " ") return -1;
  const begins = (place) => items[place % count].textContent.trim().toLowerCase().startsWith(key.toLowerCase());
  const found = items.map((_, step) => at + 1 + step).find(begins);
  return found === undefined ? -1 : found % count;
}

/** Places the menu under the opener if there is room, otherwise above it, and never beyond the screen's edge. */
function place(menu, opener) {
  const at = opener.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = at.bottom + 4;
  const top = below + height <= window.innerHeight ? below : Math.max(4, at.top - height - 4);
  menu.style.top = `${top}px`;
  menu.style.left = `${Math.max(4, Math.min(at.left, window.innerWidth - width - 8))}px`;
}
