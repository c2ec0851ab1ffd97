// Dragging by mouse, pen and touch: a handle is held, moved over the order, and let go.

const START = 5;

/**
 * `handleOf(target)` → position or null; `labelOf(position)` → the ghost's letter;
 * `board()` → the element in which things are dragged; `over(x, y)` → what lies there, marked (null clears the mark); `drop(position, place)`.
 */
export function makeDraggable({ handleOf, labelOf, over, drop, board }) {
  let held = null;

  /** Whether it is the pointer that holds: a second finger on the screen neither moves nor drops what the first one drags. */
  const holds = (event) => held?.pointer === event.pointerId;

  const end = () => {
    held?.ghost?.remove();
    over(null);
    board().removeAttribute("data-dragging");
    held = null;
  };

  document.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    const position = handleOf(event.target);
    if (position === null) return;
    // What held before was never let go where the page could hear it.
    if (held) end();
    held = { position, pointer: event.pointerId, x: event.clientX, y: event.clientY, ghost: null };
  });

  document.addEventListener("pointermove", (event) => {
    if (!holds(event)) return;
    const { clientX: x, clientY: y } = event;
    if (!held.ghost) {
      if (Math.hypot(x - held.x, y - held.y) < START) return;
      held.ghost = document.createElement("div");
      held.ghost.className = "drag-ghost";
      held.ghost.textContent = labelOf(held.position);
      document.body.append(held.ghost);
      board().setAttribute("data-dragging", "");
      getSelection()?.removeAllRanges();
    }
    event.preventDefault();
    held.ghost.style.transform = `translate(${x - 22}px, ${y - 22}px)`;
    over({ x, y });
  }, { passive: false });

  document.addEventListener("pointerup", (event) => {
    if (!holds(event)) return;
    const { position, ghost } = held;
    if (ghost) {
      const place = over({ x: event.clientX, y: event.clientY });
      // The press that ends a drag is no click on what lies below.
      const swallow = (click) => { click.stopPropagation(); click.preventDefault(); };
      window.addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => window.removeEventListener("click", swallow, { capture: true }), 0);
      end();
      if (place) drop(position, place);
    } else {
      end();
    }
  });

  document.addEventListener("pointercancel", (event) => holds(event) && end());
  document.addEventListener("keydown", (event) => event.key === "Escape" && held?.ghost && end());
}
