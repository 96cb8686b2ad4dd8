/** This person's view of the sandbox, as last reported by the server. Views subscribe; only the stream writes. */

export const MESSAGES_PER_CHANNEL = 500;
export const CALLS = 200;

/** Topics that a view can subscribe to. */
export const TOPICS = [
  "people",
  "channels",
  "messages",
  "meetings",
  "webhooks",
  "conditions",
  "calls",
  "bot",
  "connection",
  "arrival",
];

export class Store {
  constructor() {
    this.me = null;
    this.team = { name: "" };
    this.botUser = null;
    this.command = null;
    this.users = new Map();
    this.channels = new Map();
    this.messages = new Map();
    this.meetings = new Map();
    this.calls = new Map();
    this.webhooks = null;
    this.conditions = null;
    this.bot = null;
    this.connection = "connecting";
    this.listeners = new Map(TOPICS.map((topic) => [topic, new Set()]));
  }

  /** Calls `listener` after every change of one of the topics; of "arrival" with each new message. */
  subscribe(topics, listener) {
    for (const topic of topics) this.listeners.get(topic).add(listener);
  }

  /** Replaces the whole state, at the start or after a reconnect. */
  replace(state) {
    this.me = state.me;
    this.team = state.team;
    this.botUser = state.bot_user;
    this.command = state.command;
    this.users = keyed(state.users, "id");
    this.channels = keyed(state.channels, "id");
    this.messages = new Map(Object.entries(state.messages).map(([id, messages]) => [id, keyed(messages, "ts")]));
    this.meetings = keyed(state.meetings, "id");
    this.calls = keyed(state.calls, "id");
    this.webhooks = state.webhooks;
    this.bot = state.bot;
    this.setConditions(state.conditions);
    for (const topic of TOPICS) if (topic !== "arrival" && topic !== "connection") this.tell(topic);
  }

  /** Applies a change. Repeated changes have no effect; unknown kinds are ignored. */
  apply({ kind, subject }) {
    if (Object.hasOwn(CHANGES, kind)) CHANGES[kind](this, subject);
  }

  setConnection(connection) {
    if (this.connection === connection) return;
    this.connection = connection;
    this.tell("connection");
  }

  setConditions(conditions) {
    this.conditions = conditions;
    this.conditionsSince = performance.now();
  }

  /** Epoch seconds on the sandbox's clock. */
  now() {
    if (!this.conditions) return Date.now() / 1000;
    return this.conditions.now + ((performance.now() - this.conditionsSince) / 1000) * this.conditions.speed;
  }

  messagesOf(channel) {
    return [...(this.messages.get(channel)?.values() ?? [])].sort((a, b) => (a.ts < b.ts ? -1 : 1));
  }

  tell(topic, detail) {
    for (const listener of this.listeners.get(topic)) listener(detail);
  }
}

const CHANGES = {
  message_posted: (store, message) => putMessage(store, message),
  message_changed: (store, message) => putMessage(store, message),
  message_deleted: (store, message) => putMessage(store, { ...message, deleted: true }),
  channel_changed: putChannel,
  meeting_changed: (store, meeting) => put(store, "meetings", meeting),
  call_logged: (store, call) => {
    put(store, "calls", call);
    forget(store.calls, CALLS);
  },
  conditions_changed: (store, conditions) => {
    store.setConditions(conditions);
    store.tell("conditions");
  },
  webhooks_changed: (store, webhooks) => {
    store.webhooks = webhooks;
    store.tell("webhooks");
  },
  bot_changed: (store, bot) => {
    store.bot = bot;
    store.tell("bot");
  },
};

function put(store, topic, thing) {
  store[topic].set(thing.id, thing);
  store.tell(topic);
}

function putChannel(store, channel) {
  const seen = !channel.is_deleted && (!channel.is_private || channel.members.includes(store.me));
  if (seen) store.channels.set(channel.id, channel);
  else store.channels.delete(channel.id);
  store.tell("channels");
}

function putMessage(store, message) {
  if (message.ephemeral_to && message.ephemeral_to !== store.me) return;
  const messages = store.messages.get(message.channel) ?? new Map();
  const isNew = !messages.has(message.ts) && !message.deleted;
  if (!messages.has(message.ts) && message.deleted) return; // deleted before the page saw it
  store.messages.set(message.channel, messages);
  messages.set(message.ts, message);
  forget(messages, MESSAGES_PER_CHANNEL);
  store.tell("messages");
  if (isNew) store.tell("arrival", message);
}

function forget(map, limit) {
  for (const key of map.keys()) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}

function keyed(things, key) {
  return new Map(things.map((thing) => [thing[key], thing]));
}
