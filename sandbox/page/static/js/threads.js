/** Grouping of messages into threads. Pure: messages in, values out. */

import { MESSAGES_PER_CHANNEL } from "./store.js";

/**
 * Returns what a channel shows: its own messages, oldest first, each with its replies.
 * A deleted first message that has replies stays as {gone: true, ts}.
 */
export function conversation(messages) {
  const replies = repliesByThread(messages);
  const shown = messages
    .filter((message) => !message.deleted && (!message.thread_ts || message.is_broadcast))
    .map((message) => ({ ts: message.ts, message, replies: message.thread_ts ? [] : (replies.get(message.ts) ?? []) }));
  const known = new Set(shown.map((item) => item.ts));
  // A first message older than all kept messages was dropped, not deleted.
  const oldest = messages.length < MESSAGES_PER_CHANNEL ? "" : messages[0].ts;
  const gone = [...replies]
    .filter(([ts]) => !known.has(ts) && ts >= oldest)
    .map(([ts, those]) => ({ ts, gone: true, replies: those }));
  return [...shown, ...gone].sort((a, b) => (a.ts < b.ts ? -1 : 1));
}

/** Returns a thread: its first message, or null if that is gone, and the replies. */
export function threadOf(messages, ts) {
  const first = messages.find((message) => message.ts === ts && !message.deleted) ?? null;
  return { first, replies: repliesByThread(messages).get(ts) ?? [] };
}

function repliesByThread(messages) {
  const threads = new Map();
  for (const message of messages) {
    if (!message.thread_ts || message.thread_ts === message.ts || message.deleted) continue;
    if (!threads.has(message.thread_ts)) threads.set(message.thread_ts, []);
    threads.get(message.thread_ts).push(message);
  }
  return threads;
}
