/** The meetings of the local RealtimeKit, with buttons that start, drop, fail and end their livestreams. */

import { moveMeeting, Refused } from "./api.js";
import { arrange, byId, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { notice } from "./notices.js";
import { soon } from "./soon.js";

const STEPS = [
  { step: "start", label: "Start", possible: (meeting) => !meeting.running },
  { step: "go_live", label: "Go live", possible: (meeting) => meeting.status !== "LIVE" },
  { step: "drop", label: "Drop 5 s", possible: (meeting) => meeting.running && meeting.status === "LIVE" },
  {
    step: "fail",
    label: "Error",
    possible: (meeting) => meeting.running,
    hint: "No webhook reports an error: the bot finds it with its next check, or with Refresh in a card's menu",
  },
  { step: "end", label: "End", possible: (meeting) => meeting.running || meeting.status === "ERRORED" },
];
const PILLS = new Map([
  ["LIVE", "live"],
  ["INVOKED", "starting"],
  ["ERRORED", "error"],
  ["OFFLINE", "off"],
  ["IDLE", "off"],
  [null, "off"],
]);

/** Shows the meetings. A card remains the same element, so that a focused button keeps the focus. */
export function showMeetings(desk) {
  const cards = new Map();
  const draw = () => {
    const meetings = [...desk.store.meetings.values()];
    for (const id of cards.keys()) if (!desk.store.meetings.has(id)) cards.delete(id);
    for (const meeting of meetings) {
      if (!cards.has(meeting.id)) cards.set(meeting.id, new MeetingCard(meeting.id, desk));
      cards.get(meeting.id).show(meeting);
    }
    arrange(
      byId("meetings"),
      meetings.map((meeting) => cards.get(meeting.id).element),
    );
  };
  desk.store.subscribe(["meetings"], soon(draw));
}

class MeetingCard {
  constructor(id, desk) {
    this.id = id;
    this.title = h("h3", { class: "meeting-title" });
    this.pill = h("span", { class: "pill" });
    this.about = h("p", { class: "meeting-about" });
    this.problem = h("p", { class: "meeting-problem", role: "status" });
    this.steps = STEPS.map((each) => ({ ...each, button: this.stepButton(each) }));
    this.element = h(
      "li",
      { class: "meeting", dataset: { meeting: id } },
      h("div", { class: "meeting-head" }, this.title, this.pill),
      this.about,
      h("div", { class: "meeting-id" }, h("code", { title: id }, id), copyButton(id), tryButton(id, desk)),
      h(
        "div",
        { class: "meeting-steps", role: "group", "aria-label": "Livestream" },
        this.steps.map((each) => each.button),
      ),
      this.problem,
    );
  }

  show(meeting) {
    if (this.meeting === meeting) return;
    if (this.meeting && this.meeting.status !== meeting.status) this.problem.textContent = "";
    this.meeting = meeting;
    fill(this.title, meeting.title);
    fill(this.about, meeting.as_seeded ? meeting.about : h("s", {}, meeting.about));
    fill(this.pill, meeting.status ?? "NEVER LIVE");
    this.pill.className = `pill pill-${PILLS.get(meeting.status) ?? "odd"}`;
    for (const { button, possible } of this.steps) this.allow(button, possible(meeting));
  }

  /** Enables or disables a button. A disabled one would lose the focus, so it passes to the first enabled one. */
  allow(button, possible) {
    const had = document.activeElement === button;
    button.disabled = !possible;
    if (had && !possible) this.steps.find((each) => !each.button.disabled)?.button.focus();
  }

  stepButton({ step, label, hint }) {
    const press = async () => {
      this.problem.textContent = "";
      try {
        await moveMeeting(this.id, step);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.problem.textContent = error.message;
      }
    };
    return h("button", { class: `step step-${step}`, type: "button", title: hint, on: { click: press } }, label);
  }
}

function copyButton(id) {
  const copy = async () => {
    const copied = await navigator.clipboard.writeText(id).then(
      () => true,
      () => false,
    );
    notice(
      copied ? "Meeting ID copied." : `The browser does not let this page copy. The ID is ${id}.`,
      copied ? "done" : "problem",
    );
  };
  return h(
    "button",
    {
      class: "icon-button",
      type: "button",
      "aria-label": "Copy meeting ID",
      title: "Copy meeting ID",
      on: { click: copy },
    },
    icon("copy"),
  );
}

function tryButton(id, desk) {
  return h("button", { class: "link try", type: "button", on: { click: () => desk.tryCommand(id) } }, "Try it");
}
