/** The page's server under /api. A refusal becomes a Refused with the server's sentence. */

const UNREACHABLE = "The sandbox cannot be reached. Is `make demo` still running?";

/** The server refused or did not answer; the message is a sentence for people. */
export class Refused extends Error {}

/** Fetches everything that `user` sees; without a user the server picks the first person. */
export function fetchState(user) {
  return call("GET", `/api/state${query(user)}`);
}

/** Returns the URL of the stream of changes; see stream.js. */
export function streamUrl(user) {
  return `/api/stream${query(user)}`;
}

/** Sends a message, or a slash command if the text begins with one. */
export function sendMessage(user, channel, text, threadTs) {
  return call("POST", "/api/messages", { user, channel, text, ...(threadTs && { thread_ts: threadTs }) });
}

/** Clicks an element of a message. */
export function click(user, message, action) {
  return call("POST", "/api/clicks", { user, channel: message.channel, ts: message.ts, ...action });
}

/** Deletes a message, as an admin can. */
export function deleteMessage(user, message) {
  return call("POST", "/api/deletions", { user, channel: message.channel, ts: message.ts });
}

/** Takes a step in a channel: invite or remove the bot, archive, unarchive. */
export function changeChannel(user, channel, step) {
  return call("POST", `/api/channels/${encodeURIComponent(channel)}/${step}`, { user });
}

/** Takes a step in a meeting: start, go_live, drop, fail or end. */
export function moveMeeting(id, step) {
  return call("POST", `/api/meetings/${encodeURIComponent(id)}/${step}`, {});
}

/** Holds webhooks back, or releases them. */
export function holdWebhooks(held) {
  return call("PUT", "/api/webhooks", { held });
}

/** Repeats the last webhook ("repeat") or rotates the key ("rotate"). */
export function pressWebhooks(name) {
  return call("POST", `/api/webhooks/${name}`, {});
}

/** Changes the given faults and the speed; the rest stays the same. */
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
