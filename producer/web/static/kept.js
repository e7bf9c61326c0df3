// Keeps a form on the server while it is filled in: a moment after the last key, and when the page is left. So Back, a
// session that ends and a second visit find it as it was. Without this script each button of the form keeps it.
(() => {
  "use strict";
  const form = document.querySelector("form[data-keep]");
  if (!form) return;
  const base = form.dataset.keep;
  let waiting = 0, out = false, sent = false;
  const body = () => {
    const data = new FormData(form);
    // A file is sent with a button: it may be large.
    for (const [name, value] of [...data]) if (value instanceof File) data.delete(name);
    return data;
  };
  const told = (answer) => {
    const door = answer.headers.has("HX-Redirect") || (answer.redirected && new URL(answer.url).pathname === "/sign-in");
    const away = answer.status === 401 || door;
    // A fault says nothing about who asks; so does a server that is not there.
    if (!away && answer.status >= 500) return;
    out = away;
    if (!out) {
      document.getElementById("out")?.remove();
      if (answer.ok && location.pathname !== base) history.replaceState(history.state, "", base + location.hash);
    } else if (!document.getElementById("out")) {
      const words = document.getElementById("out-words");
      words.after(words.content.cloneNode(true));
    }
  };
  const keep = (leaving) => {
    clearTimeout(waiting);
    waiting = 0;
    // As a script's request it is answered, and not led to the door.
    const asked = { method: "POST", body: body(), keepalive: leaving, headers: { "HX-Request": "true" } };
    return fetch(`${base}/keep`, asked).then(leaving ? () => {} : told, () => {});
  };
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 500, false);
  };
  // A part that is filled in anew takes no keys meanwhile, or they would be lost; then its reader is where it was.
  let changed = "";
  form.addEventListener("change", (event) => (changed = event.target.name));
  document.addEventListener("htmx:finally:request", () => setTimeout(() => {
    soon();
    const field = form.elements[changed];
    if (document.activeElement === document.body && field instanceof HTMLElement) field.focus();
  }));
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  form.addEventListener("submit", (event) => {
    clearTimeout(waiting);
    if (!out) return void (sent = true);
    event.preventDefault(); // what was typed would be lost at the door
    keep(false).then(() => (out ? document.getElementById("out").focus() : form.requestSubmit(event.submitter)));
  });
  addEventListener("pagehide", () => {
    if (waiting && !sent) keep(true);
  });
  addEventListener("focus", () => {
    if (out) keep(false);
  });
})();
