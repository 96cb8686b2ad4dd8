/**
 * Keeps the store up to date by server-sent events.
 *
 * The stream is opened first and the state fetched then, so that nothing falls between; what arrives meanwhile waits
 * and is applied on top, which is harmless where the state had it already. After every reconnect all is fetched anew.
 */

import { fetchState, streamUrl } from "./api.js";

const SHORTEST_WAIT = 1_000;
const LONGEST_WAIT = 10_000;
const HIDDEN_LONG = 60_000;

export class Stream {
  constructor(store) {
    this.store = store;
    this.source = null;
    this.wait = SHORTEST_WAIT;
  }

  /** Follows the sandbox through the eyes of `user` from now on. */
  follow(user) {
    this.rest();
    this.user = user;
    const source = new EventSource(streamUrl(user));
    let waiting = [];
    this.source = source;
    source.addEventListener("open", async () => {
      waiting = [];
      if (!(await this.load(source, user))) return;
      for (const change of waiting) this.store.apply(change);
      waiting = null;
    });
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      if (waiting) waiting.push(change);
      else this.store.apply(change);
    });
    source.addEventListener("error", () => {
      waiting = [];
      if (this.source !== source) return;
      this.store.setConnection("reconnecting");
      if (source.readyState === EventSource.CLOSED) this.again(user);
    });
  }

  /** Fetches the state; false if that failed or somebody else is followed by now. */
  async load(source, user) {
    try {
      const state = await fetchState(user);
      if (this.source !== source) return false;
      this.store.replace(state);
      this.store.setConnection("open");
      this.wait = SHORTEST_WAIT;
      return true;
    } catch {
      // The banner tells it, and it is tried again.
      if (this.source === source) this.again(user);
      return false;
    }
  }

  /** Follows nobody. */
  rest() {
    this.source?.close();
    this.source = null;
    clearTimeout(this.retry);
  }

  /** Opens the stream anew after a while, a longer one each time. */
  again(user) {
    this.rest();
    this.store.setConnection("reconnecting");
    this.retry = setTimeout(() => this.follow(user), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }
}

/** A browser keeps six connections to one server: a tab that nobody looks at gives its one back. */
export function restWhileHidden(stream) {
  let timer = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => stream.rest(), HIDDEN_LONG);
    else if (!stream.source) stream.follow(stream.user);
  });
}
