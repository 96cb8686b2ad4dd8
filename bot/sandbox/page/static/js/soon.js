/** Draws once for many changes. */

/** A function that calls `draw` once, a moment after it was last needed. */
export function soon(draw) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      draw();
    }, 0);
  };
}
