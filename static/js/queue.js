// The queue, and what was submitted: N takes the next task.

import { isForPage, keyName } from "./page.js";

document.addEventListener("keydown", (event) => {
  const form = document.getElementById("next");
  if (form && isForPage(event) && keyName(event) === "n") {
    event.preventDefault();
    form.requestSubmit();
  }
});
