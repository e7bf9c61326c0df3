// The tab's title and icon say where the import on the page stands: as soon as the part that changes is redrawn.
(() => {
  "use strict";
  const show = () => {
    const now = document.getElementById("tab");
    if (!now) return;
    if (document.title !== now.value) document.title = now.value;
    const icon = document.getElementById("icon");
    const to = `/static/icon-${now.dataset.icon}.svg`;
    if (icon && icon.getAttribute("href") !== to) icon.setAttribute("href", to);
  };
  document.addEventListener("DOMContentLoaded", () => {
    show();
    const live = document.getElementById("live");
    if (live) new MutationObserver(show).observe(live, { attributes: true, childList: true, subtree: true });
  });
})();
