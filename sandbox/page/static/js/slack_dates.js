/**
 * Slack's date tokens, in the reader's time zone and 12- or 24-hour format.
 * Source: docs.slack.dev, "Formatting message text" (date formatting) and "Date element".
 */

const DAY = 86_400_000;
const TOKEN = /\{([a-z_]+)\}/g;

/** Replaces the tokens in `format`, except unknown ones. `seconds` and `now` are epoch seconds. */
export function formatDate(seconds, format, now) {
  const at = new Date(seconds * 1000);
  const today = new Date(now * 1000);
  if (Number.isNaN(at.getTime())) return null;
  // Slack begins a date with a capital letter: "Today 2:02 PM".
  return format.replace(TOKEN, (token, name, offset) => {
    const text = Object.hasOwn(TOKENS, name) ? TOKENS[name](at, today) : token;
    return offset === 0 ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  });
}

/** Returns the time of day, as in "2:02 PM". */
export function timeOfDay(at) {
  return clock(at, { minute: "2-digit" });
}

/** Returns the heading for a day's messages: "Today", "Yesterday", "Monday, June 1st". */
export function dayDivider(at, now) {
  const text = TOKENS.day_divider_pretty(at, now);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Returns whether two moments are on the same day in the reader's time zone. */
export function sameDay(one, other) {
  return startOfDay(one) === startOfDay(other);
}

const TOKENS = {
  date_num: (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
  date_slash: (at) => at.toLocaleDateString(undefined, { year: "numeric", month: "2-digit", day: "2-digit" }),
  date: (at) => `${month(at)} ${ordinal(at.getDate())}, ${at.getFullYear()}`,
  date_short: (at) => `${month(at, "short")} ${at.getDate()}, ${at.getFullYear()}`,
  date_long: (at) => `${weekday(at)}, ${TOKENS.date(at)}`,
  date_long_full: (at) => TOKENS.date(at),
  date_pretty: (at, now) => near(at, now) ?? TOKENS.date(at),
  date_short_pretty: (at, now) => near(at, now) ?? TOKENS.date_short(at),
  date_long_pretty: (at, now) => near(at, now) ?? TOKENS.date_long(at),
  day_divider_pretty: (at, now) =>
    near(at, now) ??
    (at.getFullYear() === now.getFullYear()
      ? `${weekday(at)}, ${month(at)} ${ordinal(at.getDate())}`
      : TOKENS.date_long(at)),
  time: (at) => timeOfDay(at),
  time_secs: (at) => clock(at, { minute: "2-digit", second: "2-digit" }),
  ago: (at, now) => ago((now - at) / 1000),
};

function near(at, now) {
  const days = Math.round((startOfDay(at) - startOfDay(now)) / DAY);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days] ?? null;
}

function startOfDay(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}

function ago(seconds) {
  const [size, unit] = [
    [86_400, "day"],
    [3_600, "hour"],
    [60, "minute"],
    [1, "second"],
  ].find(([each]) => Math.abs(seconds) >= each) ?? [1, "second"];
  const count = Math.floor(Math.abs(seconds) / size);
  const text = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

/** Returns "2:02 PM" in 12-hour format, "02:02" in 24-hour format. */
function clock(at, fields) {
  const { hour12 } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
  return at
    .toLocaleTimeString(undefined, { hour: hour12 ? "numeric" : "2-digit", ...fields })
    .replaceAll("\u202f", " ");
}

function month(at, width = "long") {
  return at.toLocaleDateString("en-US", { month: width });
}

function weekday(at) {
  return at.toLocaleDateString("en-US", { weekday: "long" });
}

function ordinal(day) {
  const teens = day % 100 >= 11 && day % 100 <= 13;
  return `${day}${teens ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[day % 10] ?? "th")}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}
