/** Small pictures of people: initials on a color of their own; the bot has its logo. */

import { h } from "./dom.js";

const HUES = 6;

/** Returns a user's picture, hidden from screen readers because the name is beside it. */
export function avatar(user, botUser, size = "") {
  const className = `avatar ${size}`.trim();
  if (user?.id === botUser) return h("img", { class: className, src: "/static/favicon.svg", alt: "" });
  const name = user?.real_name ?? "?";
  const initials = name
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => word.charAt(0).toUpperCase())
    .join("");
  return h("span", { class: `${className} hue-${hue(user?.id ?? name)}`, "aria-hidden": "true" }, initials);
}

function hue(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 7 + character.codePointAt(0)) % 9973;
  return sum % HUES;
}
