// A form that drops down from its button: it closes on Escape and on a press elsewhere. An Escape that an input method or a sheet over
// the page takes is not for it.

import { isComposing, sheetIsOpen } from "./page.js";

document.addEventListener("keydown", (event) => {
  const drop = document.querySelector(".drop");
  if (event.key === "Escape" && drop?.open && !isComposing(event) && !sheetIsOpen()) {
    drop.open = false;
    drop.querySelector("summary").focus();
  }
});
document.addEventListener("pointerdown", (event) => {
  const drop = document.querySelector(".drop");
  if (drop?.open && !drop.contains(event.target)) drop.open = false;
});
