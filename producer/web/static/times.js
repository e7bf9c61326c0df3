// Times in the reader's zone: each <time datetime> as soon as it is in the page and before it is painted, also after a swap.
// Its title keeps UTC. Without this script UTC is what stands there.
(() => {
  "use strict";
  const language = document.documentElement.lang;
  const ways = {
    moment: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }),
    hour: new Intl.DateTimeFormat(language, { timeStyle: "medium" }),
  };
  if (ways.hour.resolvedOptions().timeZone === "UTC") return;
  const show = (time) => {
    const text = ways[time.dataset.shown].format(new Date(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  };
  const all = () => document.querySelectorAll("time[data-shown]").forEach(show);
  // Called between a change and its painting (DOM, "notify mutation observers").
  new MutationObserver(all).observe(document.documentElement, { childList: true, characterData: true, subtree: true });
})();
