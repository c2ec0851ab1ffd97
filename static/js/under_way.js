// A page whose figures are still being reckoned asks for itself until they are there.

import { pause, tell } from "./connection.js";
import { getPage } from "./net.js";

const PAUSE = 1_000;

for (;;) {
  // The server answers when the figures are there, or after a moment without them.
  const { kind, page } = await getPage(location.href);
  tell("figures", kind === "offline" ? kind : null);
  if (kind === "offline") {
    await pause();
  } else if (page?.querySelector("[data-under-way]")) {
    await pause(PAUSE);
  } else {
    // The figures, or what is to do before one sees them: the log-in page, say.
    location.reload();
    break;
  }
}
