/** Emoji shortcodes. Those that the bot uses are drawings, so that a machine without an emoji font shows them. */

import { h } from "./dom.js";

const DRAWN = new Set([
  "red_circle",
  "large_yellow_circle",
  "white_circle",
  "large_green_circle",
  "warning",
  "grey_question",
  "white_check_mark",
  "x",
  "bell",
  "no_bell",
  "tv",
  "lock",
]);

const CHARACTERS = {
  "+1": "👍",
  "-1": "👎",
  thumbsup: "👍",
  thumbsdown: "👎",
  smile: "😄",
  grinning: "😀",
  joy: "😂",
  wink: "😉",
  thinking_face: "🤔",
  sob: "😭",
  cry: "😢",
  heart: "❤️",
  heart_eyes: "😍",
  eyes: "👀",
  wave: "👋",
  clap: "👏",
  raised_hands: "🙌",
  pray: "🙏",
  muscle: "💪",
  ok_hand: "👌",
  point_right: "👉",
  point_left: "👈",
  tada: "🎉",
  rocket: "🚀",
  fire: "🔥",
  sparkles: "✨",
  star: "⭐",
  100: "💯",
  zap: "⚡",
  boom: "💥",
  bulb: "💡",
  memo: "📝",
  link: "🔗",
  calendar: "📅",
  clock3: "🕒",
  hourglass: "⌛",
  hourglass_flowing_sand: "⏳",
  stopwatch: "⏱️",
  movie_camera: "🎥",
  video_camera: "📹",
  clapper: "🎬",
  microphone: "🎤",
  headphones: "🎧",
  loudspeaker: "📢",
  mega: "📣",
  satellite_antenna: "📡",
  question: "❓",
  grey_exclamation: "❕",
  exclamation: "❗",
  information_source: "ℹ️",
  no_entry: "⛔",
  no_entry_sign: "🚫",
  octagonal_sign: "🛑",
  heavy_check_mark: "✔️",
  large_blue_circle: "🔵",
  large_orange_circle: "🟠",
  large_purple_circle: "🟣",
  black_circle: "⚫",
  robot_face: "🤖",
  coffee: "☕",
  bug: "🐛",
  wrench: "🔧",
  hammer: "🔨",
  gear: "⚙️",
  mag: "🔍",
  key: "🔑",
  unlock: "🔓",
  email: "📧",
  arrow_right: "➡️",
  arrow_left: "⬅️",
  arrow_up: "⬆️",
  arrow_down: "⬇️",
  arrows_counterclockwise: "🔄",
  repeat: "🔁",
  double_vertical_bar: "⏸️",
  arrow_forward: "▶️",
  black_square_for_stop: "⏹️",
};

/** Returns whether there is an emoji with this name. */
export function isEmoji(name) {
  return DRAWN.has(name) || Object.hasOwn(CHARACTERS, name);
}

/** Returns the emoji as an element that a screen reader reads as its name. */
export function emojiElement(name) {
  const label = name.replaceAll("_", " ");
  if (DRAWN.has(name)) {
    return h("img", { class: "emoji", src: `/static/emoji/${name}.svg`, alt: `:${name}:`, title: `:${name}:` });
  }
  return h("span", { class: "emoji", role: "img", "aria-label": label, title: `:${name}:` }, CHARACTERS[name]);
}
