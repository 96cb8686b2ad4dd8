/** Combines several changes into one drawing. */

/** Returns a function that schedules `draw`; several calls in a row draw once. */
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
