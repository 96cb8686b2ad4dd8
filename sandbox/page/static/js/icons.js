/** Line icons, drawn here so that they look the same without an emoji font. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  hash: ["M9 4 7 20", "M17 4l-2 16", "M4 9h16", "M4 15h16"],
  lock: ["M6 11h12v9H6z", "M9 11V8a3 3 0 0 1 6 0v3"],
  eye: [
    "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z",
    "M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z",
  ],
  copy: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  check: ["M5 12.5 10 17.5 19.5 7"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  send: ["M4 12 20 4l-5 16-3.5-6.5z", "M11.5 13.5 20 4"],
  thread: ["M4 5h16v11H11l-4 4v-4H4z", "M8 9h8", "M8 12.5h5"],
  more: ["M5 12h.01", "M12 12h.01", "M19 12h.01"],
  chevron: ["M6 9l6 6 6-6"],
  down: ["M12 5v14", "M6 13l6 6 6-6"],
  warning: ["M12 4 2.5 20h19z", "M12 10v4.5", "M12 17.4h.01"],
  panel: ["M3.5 5h17v14h-17z", "M14.5 5v14"],
  list: ["M8 6h12", "M8 12h12", "M8 18h12", "M4 6h.01", "M4 12h.01", "M4 18h.01"],
  broadcast: [
    "M12 10.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z",
    "M8 8a5.6 5.6 0 0 0 0 8",
    "M16 8a5.6 5.6 0 0 1 0 8",
    "M5 5a9.9 9.9 0 0 0 0 14",
    "M19 5a9.9 9.9 0 0 1 0 14",
  ],
  image: ["M3.5 5h17v14h-17z", "M3.5 16l5-5 4.5 4.5 3-3 4.5 4.5", "M15.5 9h.01"],
  clock: ["M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z", "M12 7.5V12l3 2"],
  external: ["M14 4h6v6", "M20 4l-9 9", "M18 13v7H4V6h7"],
  chat: ["M4 5h16v12H10l-5 4v-4H4z"],
  slash: ["M15 4 9 20"],
};

/** Returns an icon hidden from screen readers, because its label is beside it. */
export function icon(name, className = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${className}`.trim());
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}
