/**
 * Keeps a list of messages in the page up to date.
 *
 * Unchanged messages are not touched. Changed ones are redrawn in place, and a button that had the focus keeps it. The
 * list stays scrolled to its end if it was there.
 */

import { arrange } from "./dom.js";
import { closeLostMenu, moveMenu } from "./menu.js";

const NEAR = 60;

export class MessageList {
  /** `scroller` is the scrolling element; `list` contains the items. */
  constructor(scroller, list) {
    this.scroller = scroller;
    this.list = list;
    this.drawn = new Map();
    this.kept = new WeakMap();
    this.following = true;
    scroller.addEventListener("scroll", () => {
      this.following = this.isAtEnd();
    });
    // A composer that grows, or a drawer that opens, must not hide the latest message.
    new ResizeObserver(() => this.following && this.scrollToEnd()).observe(scroller);
  }

  /** Shows `items` of the form {key, signature, draw()}, redrawing those whose signature has changed. */
  show(items, { jump = false } = {}) {
    this.following = jump || this.following;
    const drawn = new Map(items.map((item) => [item.key, this.nodeFor(item)]));
    this.drawn = drawn;
    arrange(
      this.list,
      [...drawn.values()].map((each) => each.node),
    );
    closeLostMenu();
    if (this.following) this.scrollToEnd();
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  scrollToEnd() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  nodeFor(item) {
    const before = this.drawn.get(item.key);
    if (before?.signature === item.signature) return before;
    const node = item.draw();
    if (before) replaceKeepingFocus(before.node, node);
    return { signature: item.signature, node };
  }

  /** Returns a message as text, computed once per version. */
  signatureOf(message) {
    if (!this.kept.has(message)) this.kept.set(message, JSON.stringify(message));
    return this.kept.get(message);
  }
}

function replaceKeepingFocus(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(after);
  moveMenu(before, (opener) => counterpart(opener, after));
  if (focused) (counterpart(focused, after) ?? buttonsOf(after)[0])?.focus({ preventScroll: true });
}

/** Returns the corresponding button in the redrawn message. */
function counterpart(button, after) {
  const { actionId, focus } = button.dataset;
  return buttonsOf(after).find((each) =>
    actionId ? each.dataset.actionId === actionId : focus && each.dataset.focus === focus,
  );
}

function buttonsOf(message) {
  return [...message.querySelectorAll("[data-action-id], [data-focus]")];
}
