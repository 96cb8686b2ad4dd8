/** The drawer with every call between the bot, Slack and Cloudflare. */

import { arrange, byId, classes, fill, h } from "./dom.js";
import { soon } from "./soon.js";

const NAMES = new Map([
  ["bot", "Bot"],
  ["slack", "Slack"],
  ["cloudflare", "Cloudflare"],
]);
const FILTERS = {
  all: () => true,
  slack: (call) => call.from === "slack" || call.to === "slack",
  cloudflare: (call) => call.from === "cloudflare" || call.to === "cloudflare",
  failed: (call) => failed(call),
};
const NEAR = 40;

/** Shows the log. The store and the page both keep the latest 200 calls. */
export function showCallLog(store) {
  const rows = new Map();
  const scroller = byId("call-scroller");
  const [filter, search] = [byId("call-filter"), byId("call-search")];

  const draw = () => {
    const calls = [...store.calls.values()];
    for (const id of rows.keys()) if (!store.calls.has(id)) rows.delete(id);
    const shown = calls.filter((call) => FILTERS[filter.value](call) && matches(call, search.value));
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
    arrange(
      byId("call-rows"),
      shown.map((call) => rowOf(call, rows)),
    );
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
    byId("call-empty").hidden = shown.length > 0;
    fill(
      byId("call-empty"),
      calls.length > 0 ? "No call fits the filter." : "No calls yet: type a slash command, or press a button.",
    );
    fill(byId("call-count"), `${calls.length}`);
    drawLatest(calls.at(-1));
  };
  const later = soon(draw);
  store.subscribe(["calls"], later);
  filter.addEventListener("change", later);
  search.addEventListener("input", later);
  byId("log-toggle").addEventListener("click", () => {
    const open = document.body.dataset.log !== "open";
    document.body.dataset.log = open ? "open" : "closed";
    byId("log-toggle").setAttribute("aria-expanded", String(open));
    if (open) scroller.scrollTop = scroller.scrollHeight;
  });
}

function failed(call) {
  return call.status === null || call.status === 0 || call.status >= 400 || Boolean(call.error);
}

function matches(call, words) {
  const line = `${call.from} ${call.to} ${call.method} ${call.status ?? ""} ${call.error ?? ""}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => line.includes(word));
}

function rowOf(call, rows) {
  const known = rows.get(call.id);
  if (known?.call === call) return known.row;
  const row = drawRow(call);
  rows.set(call.id, { call, row });
  return row;
}

function drawRow(call) {
  const at = new Date(call.at * 1000);
  return h(
    "tr",
    { class: classes(failed(call) && "is-failed"), dataset: { call: call.id } },
    h("td", { class: "call-time" }, at.toLocaleTimeString([], { hour12: false })),
    h("td", { class: "call-way" }, side(call.from), h("span", { class: "arrow" }, " → "), side(call.to)),
    h("td", { class: "call-method" }, h("code", {}, call.method)),
    h("td", { class: "call-status" }, status(call)),
    h(
      "td",
      { class: "call-ms" },
      typeof call.ms === "number" ? `${call.ms < 10 ? call.ms.toFixed(1) : Math.round(call.ms)} ms` : "",
    ),
  );
}

function side(name) {
  return h("span", { class: `side side-${NAMES.has(name) ? name : "other"}` }, NAMES.get(name) ?? name);
}

function status(call) {
  const words = [call.status || (call.error ? "" : "no answer"), call.error].filter(Boolean).join(" ");
  return h("span", { class: `status ${failed(call) ? "status-bad" : "status-good"}` }, words);
}

function drawLatest(call) {
  fill(
    byId("call-latest"),
    call && [side(call.from), " → ", side(call.to), " ", h("code", {}, call.method), " ", status(call)],
  );
}
