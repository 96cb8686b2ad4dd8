/**
 * Keeps the store up to date by server-sent events.
 *
 * It opens the stream before it fetches the state, so that no change is missed. Changes that arrive in between wait
 * and are applied on top, which is harmless if the state already includes them. After every reconnect the whole state
 * is fetched again.
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

  /** Follows the sandbox as `user` from now on. */
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

  /** Fetches the state; returns false if that failed or another stream has replaced this one. */
  async load(source, user) {
    try {
      const state = await fetchState(user);
      if (this.source !== source) return false;
      this.store.replace(state);
      this.store.setConnection("open");
      this.wait = SHORTEST_WAIT;
      return true;
    } catch {
      // The banner shows the failure, and the page retries.
      if (this.source === source) this.again(user);
      return false;
    }
  }

  /** Closes the stream. */
  rest() {
    this.source?.close();
    this.source = null;
    clearTimeout(this.retry);
  }

  /** Reopens the stream after a wait that doubles each time. */
  again(user) {
    this.rest();
    this.store.setConnection("reconnecting");
    this.retry = setTimeout(() => this.follow(user), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }
}

/** Closes the stream of a hidden tab after a while, since a browser allows only six connections to a server. */
export function restWhileHidden(stream) {
  let timer = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => stream.rest(), HIDDEN_LONG);
    else if (!stream.source) stream.follow(stream.user);
  });
}
