// A page whose figures are still being reckoned asks for itself until they are there.

const PAUSE = 1_000;

async function look() {
  try {
    // The server answers when the figures are there, or after a moment without them.
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    if (!page?.querySelector("[data-under-way]")) {
      location.reload();
      return;
    }
  } catch { /* The server can't be reached now: later. */ }
  setTimeout(look, PAUSE);
}

setTimeout(look, PAUSE);
