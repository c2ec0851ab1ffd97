// A part of the page that the server sends anew whenever it has changed, as server-sent events named `part`.

import { listen } from "./connection.js";

for (const host of document.querySelectorAll("[data-live-events]")) follow(host);

function follow(host) {
  let waiting;
  /** What stands there. */
  let drawn;
  listen(host.dataset.liveEvents, { part: (event) => show(event.data) });
  // Whoever is reading or pressing something in there is not disturbed; the newest comes when they leave.
  host.addEventListener("focusout", (event) => host.contains(event.relatedTarget) || setTimeout(() => waiting && show(waiting)));

  function show(html) {
    waiting = html;
    if (host.contains(document.activeElement)) return;
    // Every connection begins with the whole, which may be what is there.
    if (html === drawn) {
      waiting = undefined;
      return;
    }
    drawn = html;
    const open = [...host.querySelectorAll("details")].map((details) => details.open);
    const scrolled = [...host.querySelectorAll(".table-scroll, .chart")].map((box) => box.scrollLeft);
    host.innerHTML = html;
    host.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? false));
    host.querySelectorAll(".table-scroll, .chart").forEach((box, index) => (box.scrollLeft = scrolled[index] ?? 0));
    waiting = undefined;
  }
}
