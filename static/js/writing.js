// Writing a prompt: the first empty field waits for the keys, and a draft that has more examples shows them.

import { form, onTask } from "./task.js";

function openFilled() {
  const more = form.querySelector(".more-examples");
  if (more && [...more.querySelectorAll("textarea")].some((field) => field.value)) more.open = true;
}

onTask("prompt", () => {
  form.addEventListener("laurel:restored", openFilled);
  openFilled();
  const fields = [...form.querySelectorAll("textarea")];
  if (fields.every((field) => !field.value)) fields[0].focus({ preventScroll: true });
});
