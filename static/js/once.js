// A form goes once: of two clicks, the second would ask people twice, make the same thing twice, or tell whoever has just changed their
// password that the one they gave is wrong. What a page's own script sends is that script's to look after.

/** Milliseconds in which a form is not sent again: longer than two clicks take, and soon over for whoever has stopped it. */
const ON_ITS_WAY = 3_000;
/** When each form was sent last. */
let sent = new WeakMap();

window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  const now = performance.now();
  if (now - (sent.get(form) ?? -ON_ITS_WAY) < ON_ITS_WAY) event.preventDefault();
  else sent.set(form, now);
});

// Whoever comes back to the page may send it again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) sent = new WeakMap();
});
