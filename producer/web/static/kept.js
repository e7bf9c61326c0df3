// Keeps what is typed into forms on the server: a moment after the last key, and when another language is clicked. So
// Back, a reload, another language and a session that ends lose nothing. A form with an address of its own (data-keep) is
// kept there, with the page's leaving too; every other form of the page is kept under an id that the page's address then names.
// Without this script a button keeps its form.
(() => {
  "use strict";
  const own = document.querySelector("form[data-keep]");
  const base = own?.dataset.keep;
  const touched = new Set();
  let waiting = 0, out = false, sent = false, id = "", asking = new AbortController();
  // What was filled in again is the reader's: a page that changes by itself leaves it.
  for (const mark of document.querySelectorAll("input[name=filled]")) touched.add(mark.form);
  for (const form of touched) for (const field of form.elements) if ("checked" in field) field.checked = field.checked;
  // A small file is sent once, to a form that has an address of its own; of any other file its name, so that the page can
  // say which it was: no page can choose it again.
  const SMALL = 262144, SMALL_AT_THE_END = 32768;
  const read = new Map();
  const texts = (form, prefix, leaving) => [...new FormData(form)].flatMap(([name, value]) => {
    if (!(value instanceof File)) return [[prefix + name, value]];
    if (!value.name) return [];
    const known = `${value.name} ${value.size} ${value.lastModified}`;
    if (read.get(name) === known) return [[`${name}_kept`, "1"]];
    if (!own || value.size > (leaving ? SMALL_AT_THE_END : SMALL)) return [[prefix + name, value.name]];
    read.set(name, known);
    return [[name, value]];
  });
  const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((one) => one.toString(16).padStart(2, "0")).join("");
  const noted = () => {
    if (own) {
      if (location.pathname !== base) history.replaceState(history.state, "", base + location.hash);
      return;
    }
    const here = new URL(location);
    here.searchParams.set("filled", id);
    history.replaceState(history.state, "", here);
  };
  // A form that is sent says what was kept of it, so that it is dropped then.
  const marked = () => {
    for (const form of touched) {
      if (own || form.method !== "post") continue;
      const value = `${id}.${form.id}`;
      const mark = [...form.elements].find((one) => one.name === "filled" && one.value === value);
      if (!mark) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "filled", value }));
    }
  };
  const says = (name) => {
    const words = document.getElementById(`${name}-words`);
    if (!document.getElementById(name)) words.after(words.content.cloneNode(true));
    return document.getElementById(name);
  };
  // Returns whether what was typed is kept now.
  const told = (answer) => {
    const door = answer.headers.has("HX-Redirect") || (answer.redirected && new URL(answer.url).pathname === "/sign-in");
    const away = answer.status === 401 || door;
    if (!answer.ok) read.clear();
    // A fault says nothing about who asks; so does a server that is not there.
    if (!away && answer.status >= 500) return false;
    out = away;
    if (out) return void says("out");
    document.getElementById("out")?.remove();
    if (answer.ok) noted();
    return answer.ok;
  };
  const keep = (leaving) => {
    clearTimeout(waiting);
    waiting = 0;
    id ||= random();
    marked();
    const forms = own ? texts(own, "", leaving) : [...touched].flatMap((form) => texts(form, `${form.id}:`, leaving));
    const body = new FormData();
    for (const [name, value] of forms) body.append(name, value);
    // As a script's request it is answered, and not led to the door.
    const asked = { method: "POST", body, keepalive: leaving, headers: { "HX-Request": "true" }, signal: asking.signal };
    return fetch(own ? `${base}/keep` : `/filled/${id}/keep`, asked).then(leaving ? () => {} : told, () => read.clear());
  };
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 500, false);
  };
  const typed = (event) => {
    const form = event.target.form;
    if (!form || (own ? form !== own : !form.id)) return;
    touched.add(form);
    id ||= random();
    noted(); // at once: whoever leaves now comes back to what is kept on leaving
    soon();
  };
  // A part that is filled in anew takes no keys meanwhile, or they would be lost; then its reader is where it was.
  let changed = "";
  own?.addEventListener("change", (event) => (changed = event.target.name));
  if (own) document.addEventListener("htmx:finally:request", () => setTimeout(() => {
    soon();
    const field = own.elements[changed];
    if (document.activeElement === document.body && field instanceof HTMLElement) field.focus();
  }));
  document.addEventListener("input", typed);
  document.addEventListener("change", typed);
  document.addEventListener("submit", (event) => {
    if (own ? event.target !== own : !touched.has(event.target)) return;
    clearTimeout(waiting);
    waiting = 0;
    if (!own) {
      // What is under way might come after the form, and keep what was sent.
      asking.abort();
      asking = new AbortController();
    }
    if (!out || !own) return void (sent = true);
    event.preventDefault(); // what was typed would be lost at the door
    keep(false).then(() => (out ? document.getElementById("out").focus() : own.requestSubmit(event.submitter)));
  });
  document.querySelector(".languages").addEventListener("click", (event) => {
    const language = event.target.closest("[lang]")?.lang;
    if (!language || own) return;
    event.preventDefault();
    (touched.size ? keep(false) : Promise.resolve(true)).then((kept) => {
      const there = new URL(location);
      there.searchParams.set("lang", language);
      if (kept) location = there;
      else says(out ? "out" : "unkept").focus();
    });
  });
  addEventListener("pagehide", () => {
    if (waiting && !sent) keep(true);
  });
  addEventListener("focus", () => {
    if (out) keep(false);
  });
})();
