// Says since when mailhaul does not answer: what stands on the page is from then. Removed with the next answer.
(() => {
  "use strict";
  const gone = () => {
    const words = document.getElementById("lost-words");
    if (!words || document.getElementById("lost")) return;
    words.after(words.content.cloneNode(true));
    const now = new Date();
    const time = document.getElementById("lost").querySelector("time");
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleTimeString(document.documentElement.lang);
  };
  const back = () => document.getElementById("lost")?.remove();
  for (const name of ["htmx:sse:error", "htmx:error"]) document.addEventListener(name, gone);
  for (const name of ["htmx:sse:after:connection", "htmx:after:request"]) document.addEventListener(name, back);
})();
