/**
 * Keeps a list of messages in the page in step with the messages there are.
 *
 * What did not change is not touched; what changed is drawn anew in its place, and a button that had the focus gets
 * it back. The list stays at its end if it was there.
 */

import { arrange } from "./dom.js";
import { closeLostMenu, moveMenu } from "./menu.js";

const NEAR = 60;

export class MessageList {
  /** `scroller` is what scrolls; `list` holds the items. */
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

  /** `items` are {key, signature, draw()}: drawn anew when the signature differs. */
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

  /** A message as text, made once for each version of it. */
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

/** The button that does the same in the message as it is drawn now. */
function counterpart(button, after) {
  const { actionId, focus } = button.dataset;
  return buttonsOf(after).find((each) =>
    actionId ? each.dataset.actionId === actionId : focus && each.dataset.focus === focus,
  );
}

function buttonsOf(message) {
  return [...message.querySelectorAll("[data-action-id], [data-focus]")];
}
