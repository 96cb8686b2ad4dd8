/**
 * The tab's place: its person, channel and thread.
 *
 * Person and channel are in the URL's hash, so that a link opens them, and in sessionStorage, so that a tab keeps its
 * person; two tabs can be two people.
 */

const KEPT = "livestream-sandbox-place";

export class Place {
  constructor() {
    const { user, channel } = { ...fromStorage(), ...fromHash() };
    this.user = user ?? null;
    this.channel = channel ?? null;
    this.thread = null;
    this.listeners = new Set();
    window.addEventListener("hashchange", () => this.go(fromHash()));
  }

  subscribe(listener) {
    this.listeners.add(listener);
  }

  /** Changes the place; `changes` may have user, channel and thread. A new channel or person closes the thread. */
  go(changes) {
    const before = { user: this.user, channel: this.channel, thread: this.thread };
    const moved = ["user", "channel"].some((name) => name in changes && changes[name] !== this[name]);
    Object.assign(this, moved ? { thread: null } : {}, changes);
    this.remember();
    const changed = Object.keys(before).filter((name) => before[name] !== this[name]);
    if (changed.length > 0) for (const listener of this.listeners) listener(changed);
  }

  remember() {
    const kept = { ...(this.user && { user: this.user }), ...(this.channel && { channel: this.channel }) };
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
    const hash = `#${new URLSearchParams(kept)}`;
    if (window.location.hash !== hash) window.history.replaceState(null, "", hash);
  }
}

function fromHash() {
  return chosen(Object.fromEntries(new URLSearchParams(window.location.hash.slice(1))));
}

function fromStorage() {
  try {
    return chosen(JSON.parse(sessionStorage.getItem(KEPT) ?? "{}"));
  } catch {
    return {}; // another page's data under this key
  }
}

function chosen(values) {
  const names = ["user", "channel"].filter((name) => typeof values?.[name] === "string");
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}
