/** The clock's speed, the active faults, and the bot's state. */

import { changeConditions, Refused } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { notice } from "./notices.js";
import { soon } from "./soon.js";

const SERVICES = [
  { name: "Cloudflare", fault: "cloudflare_fault", faults: "cloudflare_faults" },
  { name: "Slack", fault: "slack_fault", faults: "slack_faults" },
];
const WORKS = "none";

/** Shows the controls at the top of the panel, and a banner for every fault that is on. */
export function showConditions(desk) {
  const { store } = desk;
  const selects = SERVICES.map((service) => ({ ...service, select: byId(service.fault) }));
  for (const { fault, select } of selects)
    select.addEventListener("change", () => change({ [fault]: select.value }, later));

  const draw = () => {
    const { conditions } = store;
    if (!conditions) return;
    for (const each of selects) drawSelect(each, conditions);
    drawSpeeds(conditions, later);
    drawBanners(conditions, later);
    drawBot(store.bot);
  };
  const later = soon(draw);
  store.subscribe(["conditions", "bot"], later);
}

/** Sends a change; if the server refuses it, redraws the unchanged controls. */
async function change(changes, redraw) {
  try {
    await changeConditions(changes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
    redraw();
  }
}

function drawSelect({ select, fault, faults }, conditions) {
  const options = conditions[faults];
  if (select.dataset.options !== JSON.stringify(options)) {
    select.dataset.options = JSON.stringify(options);
    fill(
      select,
      options.map(({ value, label }) => h("option", { value }, label)),
    );
  }
  select.value = conditions[fault];
  select.classList.toggle("is-on", conditions[fault] !== WORKS);
}

function drawSpeeds(conditions, redraw) {
  const holder = byId("speeds");
  if (holder.dataset.speeds !== String(conditions.speeds)) {
    holder.dataset.speeds = String(conditions.speeds);
    fill(
      holder,
      conditions.speeds.map((speed) => speedOption(speed, redraw)),
    );
  }
  for (const input of holder.querySelectorAll("input")) input.checked = Number(input.value) === conditions.speed;
}

function speedOption(speed, redraw) {
  const input = h("input", {
    type: "radio",
    name: "speed",
    value: speed,
    on: { change: () => change({ speed }, redraw) },
  });
  return h("label", { class: "speed" }, input, h("span", {}, `${speed}×`));
}

function drawBanners(conditions, redraw) {
  const on = SERVICES.filter(({ fault }) => conditions[fault] !== WORKS);
  const banners = byId("fault-banners");
  const key = JSON.stringify(on.map(({ fault }) => conditions[fault]));
  if (banners.dataset.shown === key) return;
  banners.dataset.shown = key;
  fill(
    banners,
    on.map((service) => banner(service, conditions, redraw)),
  );
}

function banner({ name, fault, faults }, conditions, redraw) {
  const label = conditions[faults].find(({ value }) => value === conditions[fault])?.label ?? conditions[fault];
  const off = () => {
    byId(fault).focus();
    change({ [fault]: WORKS }, redraw);
  };
  return h(
    "div",
    { class: "banner banner-fault" },
    icon("warning"),
    h("span", { class: "banner-words" }, h("b", {}, `${name}: `), label),
    h(
      "button",
      { class: "banner-button", type: "button", "aria-label": `Let ${name} work again`, on: { click: off } },
      "Switch off",
    ),
  );
}

function drawBot(bot) {
  if (!bot) return;
  const how = bot.mode === "socket" ? "Socket Mode" : "HTTP";
  byId("bot-state").classList.toggle("is-down", !bot.running);
  const address = bot.running && bot.url ? String(bot.url).replace(/^https?:\/\//, "") : "";
  fill(
    byId("bot-state"),
    h("span", { class: "bot-dot", "aria-hidden": "true" }),
    h("span", {}, bot.running ? `Bot is running · ${how}` : "Bot is not running"),
    address && h("code", {}, address),
  );
}
