/** Assembles the page: the store, the stream and the views. */

import { announceMessages } from "./announcer.js";
import { changeChannel, click, deleteMessage, Refused, sendMessage } from "./api.js";
import { showCallLog } from "./call_log.js";
import { showChannelMenu } from "./channel_menu.js";
import { channelSign } from "./channel_names.js";
import { showChannel } from "./channel_view.js";
import { Composer } from "./composer.js";
import { showConditions } from "./conditions_panel.js";
import { confirmDialog } from "./confirm_dialog.js";
import { showConnection } from "./connection_banner.js";
import { byId } from "./dom.js";
import { draftKey } from "./drafts.js";
import { layOut } from "./layout.js";
import { showMeetings } from "./meetings_panel.js";
import { notice } from "./notices.js";
import { Place } from "./place.js";
import { showClock } from "./sandbox_clock.js";
import { showSidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { restWhileHidden, Stream } from "./stream.js";
import { showThread } from "./thread_view.js";
import { showWebhooks } from "./webhooks_panel.js";

const NOT_OK = {
  operation_timeout: "did not answer within 3 seconds, so Slack gave up on that click.",
  dispatch_failed: "could not be reached, so Slack gave up on that click.",
};
const DELETE = {
  title: { text: "Delete this message?" },
  text: { type: "plain_text", text: "It disappears for everyone. Replies in its thread stay." },
  confirm: { text: "Delete" },
  style: "danger",
};

const store = new Store();
const place = new Place();
const { showChat } = layOut();

const reading = {
  get users() {
    return store.users;
  },
  get channels() {
    return store.channels;
  },
  get me() {
    return store.me;
  },
  now: () => store.now(),
};
const contextOf = (message) =>
  Object.assign(Object.create(reading), {
    act: (action) => act(message, action),
    confirm: (dialog) => confirmDialog(dialog, reading),
  });
const desk = {
  store,
  place,
  contextOf,
  showChat,
  onNewDay: showClock(store),
  openThread: (ts) => place.go({ thread: ts }),
  async deleteMessage(message) {
    if (await confirmDialog(DELETE, reading)) await done(deleteMessage(place.user, message));
  },
  changeChannel: (step) => done(changeChannel(place.user, place.channel, step)),
  tryCommand(meetingId) {
    showChat();
    composer.put(`${store.command.name} ${meetingId}`);
  },
};

const composer = new Composer(byId("composer"), { send: sendHere, commands: offeredCommands });
const threadComposer = new Composer(byId("thread-composer"), {
  send: (text) => send(text, place.thread),
  commands: () => [],
});

showConnection(store);
showSidebar(desk);
const { followLatest } = showChannel(desk);
showChannelMenu(desk);
showThread(desk, threadComposer);
showMeetings(desk);
showWebhooks(desk);
showConditions(desk);
showCallLog(store);
announceMessages(store, place, reading);

const stream = new Stream(store);
store.subscribe(["people"], settle);
store.subscribe(["people", "channels"], goToDrafts);
place.subscribe((changed) => {
  if (changed.includes("user") && place.user !== store.me) stream.follow(place.user);
  goToDrafts();
});
stream.follow(place.user);
restWhileHidden(stream);

/** Chooses the current person and channel once the server has sent the state. */
function settle() {
  const channel = store.channels.has(place.channel) ? place.channel : [...store.channels.keys()][0];
  place.go({ user: store.me, channel: channel ?? null });
}

function goToDrafts() {
  const channel = store.channels.get(place.channel);
  const name = channel ? channelSign(channel, store) : "";
  composer.goTo(draftKey({ ...place, thread: null }), `Message ${name}`);
  threadComposer.goTo(draftKey(place), "Reply…");
}

function offeredCommands() {
  const bot = store.users.get(store.botUser)?.real_name ?? "";
  const invite = { name: "/invite", usage_hint: `@${bot}`, description: "Add the bot to this channel", by: "Slack" };
  return store.command ? [{ ...store.command, by: bot }, invite] : [];
}

/** Sends a text and scrolls to the end, where the answer will appear. */
function sendHere(text) {
  followLatest();
  return send(text);
}

/** Sends a text; resolves to whether the server accepted it. */
function send(text, threadTs) {
  return done(sendMessage(place.user, place.channel, text, threadTs));
}

async function act(message, action) {
  const name = store.users.get(message.author)?.real_name ?? "The app";
  return done(click(place.user, message, action), (outcome) => NOT_OK[outcome] && `${name} ${NOT_OK[outcome]}`);
}

/** Waits for the server and shows any problem; resolves to whether there was none. */
async function done(answer, problemOf = () => null) {
  try {
    const problem = problemOf((await answer).outcome);
    if (problem) notice(problem);
    return !problem;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
    return false;
  }
}
