// The own page: days begin where the person is.

import "./page.js";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const shown = document.querySelector("[data-zone]").dataset.zone;
if (zone && zone !== shown && !document.cookie.includes(`laurel_zone=${zone}`)) {
  document.cookie = `laurel_zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  if (document.cookie.includes(`laurel_zone=${zone}`)) location.reload();
}
