// Times in the reader's zone: each <time datetime> as soon as it is in the page and before it is painted, also after a swap.
// A time that is said as "4 minutes ago" has the exact one in its title, and is kept up to date; the title of the others
// keeps UTC. Without this script UTC is what stands there.
(() => {
  "use strict";
  const language = document.documentElement.lang;
  const ways = {
    moment: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }),
    hour: new Intl.DateTimeFormat(language, { timeStyle: "medium" }),
  };
  const here = ways.hour.resolvedOptions().timeZone !== "UTC";
  const long = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  const units = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const ago = (seconds, now) => {
    for (const [unit, size] of units) {
      const many = Math.abs(seconds) / size;
      if (many >= 0.85) return long.format(Math.sign(seconds) * Math.max(1, Math.round(many)), unit);
    }
    return now; // "just now", in the words of the server
  };
  const put = (time, name, text) => {
    if (time[name] !== text) time[name] = text;
  };
  const show = (time) => {
    const when = new Date(time.dateTime);
    const relative = time.dataset.shown === "ago";
    if (relative) put(time, "textContent", ago((when - Date.now()) / 1000, time.textContent));
    if (here) put(time, relative ? "title" : "textContent", ways[relative ? "moment" : time.dataset.shown].format(when));
  };
  const all = () => document.querySelectorAll("time[data-shown]").forEach(show);
  // Called between a change and its painting (DOM, "notify mutation observers").
  new MutationObserver(all).observe(document.documentElement, { childList: true, characterData: true, subtree: true });
  setInterval(all, 20000);
})();
