// Says since when mailhaul does not answer: what stands on the page is from then. Hidden again with the next answer.
(() => {
  "use strict";
  const line = () => document.getElementById("lost");
  const gone = () => {
    if (!line()?.hidden) return;
    const now = new Date();
    const time = line().querySelector("time");
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleTimeString(document.documentElement.lang);
    line().hidden = false;
  };
  const back = () => line() && (line().hidden = true);
  for (const name of ["htmx:sse:error", "htmx:error"]) document.addEventListener(name, gone);
  for (const name of ["htmx:sse:after:connection", "htmx:after:request"]) document.addEventListener(name, back);
})();
