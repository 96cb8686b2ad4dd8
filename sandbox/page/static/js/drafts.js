/** Unsent texts by person, channel and thread, kept while the tab is open. */

const PREFIX = "livestream-sandbox-draft ";

/** Returns the name of a draft. */
export function draftKey(place) {
  return [place.user, place.channel, place.thread].filter(Boolean).join("/");
}

export function readDraft(key) {
  return sessionStorage.getItem(PREFIX + key) ?? "";
}

export function keepDraft(key, text) {
  if (text) sessionStorage.setItem(PREFIX + key, text);
  else sessionStorage.removeItem(PREFIX + key);
}
