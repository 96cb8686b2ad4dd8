/** The page's server, as /api. A refusal becomes a Refused with the server's sentence. */

const UNREACHABLE = "The sandbox cannot be reached. Is `livestream-bot demo` still running?";

/** The server said no, or nothing; the message is a sentence for people. */
export class Refused extends Error {}

/** Everything that `user` sees; without a user the server picks the first person. */
export function fetchState(user) {
  return call("GET", `/api/state${query(user)}`);
}

/** Where changes are told; see stream.js. */
export function streamUrl(user) {
  return `/api/stream${query(user)}`;
}

/** A message, or a slash command if it begins with one. */
export function sendMessage(user, channel, text, threadTs) {
  return call("POST", "/api/messages", { user, channel, text, ...(threadTs && { thread_ts: threadTs }) });
}

/** A click on an element of a message. */
export function click(user, message, action) {
  return call("POST", "/api/clicks", { user, channel: message.channel, ts: message.ts, ...action });
}

/** Deletes a message, as an admin may. */
export function deleteMessage(user, message) {
  return call("POST", "/api/deletions", { user, channel: message.channel, ts: message.ts });
}

/** A step of a channel: invite or remove the bot, archive, unarchive. */
export function changeChannel(user, channel, step) {
  return call("POST", `/api/channels/${encodeURIComponent(channel)}/${step}`, { user });
}

/** A step of a meeting: start, go_live, drop, fail or end. */
export function moveMeeting(id, step) {
  return call("POST", `/api/meetings/${encodeURIComponent(id)}/${step}`, {});
}

/** Holds webhooks back, or lets them go. */
export function holdWebhooks(held) {
  return call("PUT", "/api/webhooks", { held });
}

/** Sends the last webhook again, or rotates the key: repeat or rotate. */
export function pressWebhooks(name) {
  return call("POST", `/api/webhooks/${name}`, {});
}

/** Faults and speed: only what is given changes. */
export function changeConditions(changes) {
  return call("PUT", "/api/conditions", changes);
}

function query(user) {
  return user ? `?user=${encodeURIComponent(user)}` : "";
}

async function call(method, path, body) {
  const response = await request(method, path, body);
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Refused(typeof answer.error === "string" ? answer.error : `The sandbox answered ${response.status}.`);
}

async function request(method, path, body) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  try {
    return await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Refused(UNREACHABLE);
  }
}
