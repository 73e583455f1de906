"use strict";

// Set before the first paint: the theme that was chosen here, or else the system's.
const root = document.documentElement;
root.dataset.theme = localStorage.getItem("theme") || "";

document.addEventListener("DOMContentLoaded", () => {
  const find = (id) => document.getElementById(id);
  const view = { search: "", shown: "", persons: false };
  let source = null;
  let arranged = "";

  // --- updates ---------------------------------------------------------------------------------------

  function listen() {
    if (source) source.close();
    const query = new URLSearchParams({ search: view.search, shown: view.shown });
    if (view.persons) query.set("persons", "1");
    source = new EventSource("/page/news?" + query);
    let first = true;
    source.onopen = () => connection("live");
    source.onerror = () => connection("reconnecting");
    source.onmessage = (message) => {
      const news = JSON.parse(message.data);
      for (const [name, list] of Object.entries(news.lists)) show(name, list, first);
      for (const [name, html] of Object.entries(news.parts)) replace(find(name), html);
      if ("detail" in news.parts) arrange();
      if ("requests" in news.lists && !first) announce();
      first = false;
    };
  }

  function connection(state) {
    find("live").textContent = state;
    find("live").dataset.state = state;
  }

  // For screen readers: the latest request, and not each of a burst.
  let announcing = 0;
  function announce() {
    clearTimeout(announcing);
    announcing = setTimeout(() => {
      const latest = find("requests").firstElementChild;
      if (latest) find("announce").textContent = "Latest request: " + latest.innerText.replace(/\s+/g, " ");
    }, 1500);
  }

  // Identifies the focused element, to focus it again after its part is replaced.
  const FOCUSABLE = "a, button, select, input";
  const sign = ({ id, href, dataset }) => id || href || dataset.post + dataset.body;

  function element(html) {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    return template.content.firstElementChild;
  }

  function show(name, { keys, rows }, first) {
    const list = find(name);
    const known = new Map([...list.children].map((row) => [row.dataset.key, row]));
    const top = list.scrollTop;
    let place = list.firstElementChild;
    let held = null;
    for (const key of keys) {
      let row = known.get(key);
      if (rows[key] !== undefined) {
        const made = element(rows[key]);
        if (!first) made.classList.add(row ? "changed" : "new");
        if (row === place) place = place && place.nextElementSibling;
        if (row && row.contains(document.activeElement)) held = made;
        if (row) row.remove();
        row = made;
      }
      known.delete(key);
      if (row === place) place = place.nextElementSibling;
      else list.insertBefore(row, place);
    }
    for (const row of known.values()) row.remove();
    list.scrollTop = top;
    if (held) held.querySelector(FOCUSABLE)?.focus({ preventScroll: true });
    document.querySelector(`[data-count="${name}"]`).textContent = keys.length < 100 ? keys.length || "" : "latest 100";
    document.querySelector(`[data-empty="${name}"]`).hidden = keys.length > 0;
    mark();
  }

  function replace(part, html) {
    const focused = part.contains(document.activeElement) ? sign(document.activeElement) : "";
    const body = part.querySelector(".body");
    const top = body ? body.scrollTop : 0;
    const typed = part.querySelector("input") && part.querySelector("input").value;
    part.innerHTML = html;
    if (body && part.querySelector(".body")) part.querySelector(".body").scrollTop = top;
    if (typed && part.querySelector("input")) part.querySelector("input").value = typed;
    if (focused) [...part.querySelectorAll(FOCUSABLE)].find((it) => sign(it) === focused)?.focus();
    const now = part.querySelector("[data-now]");
    if (now) now.dataset.since = Date.now();
  }

  // --- what is opened -----------------------------------------------------------------------------

  function open() {
    const [kind, ...name] = location.hash.slice(1).split("/");
    view.shown = name.length ? kind + "/" + decodeURIComponent(name.join("/")) : "";
    view.persons = false;
    listen();
  }

  function arrange() {
    const opened = find("detail").innerHTML.trim() ? view.shown : "";
    find("main").dataset.shown = opened.split("/")[0];
    mark();
    if (opened === arranged) return;
    arranged = opened;
    if (!opened) return;
    find("detail").focus({ preventScroll: true });
    find("detail").scrollIntoView({ block: "nearest" });
  }

  function shut() {
    document.querySelector(".rows a.opened")?.focus({ preventScroll: true });
    location.hash = "";
  }

  function mark() {
    for (const link of document.querySelectorAll(".rows a")) {
      link.classList.toggle("opened", Boolean(location.hash) && link.hash === location.hash);
    }
  }

  function tab(name) {
    for (const button of document.querySelectorAll("[data-tab]")) {
      const chosen = button.dataset.tab === name;
      button.setAttribute("aria-selected", chosen);
      button.tabIndex = chosen ? 0 : -1;
      find("tab-" + button.dataset.tab).hidden = !chosen;
    }
  }

  // --- actions -----------------------------------------------------------------------------

  async function post(path, body) {
    try {
      const response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body || {}),
      });
      if (!response.ok) toast((await response.json()).error);
      return response.ok;
    } catch {
      toast("the sandbox does not respond");
      return false;
    }
  }

  function toast(message) {
    const box = find("toast");
    box.textContent = message;
    box.hidden = false;
    clearTimeout(box.timer);
    box.timer = setTimeout(() => (box.hidden = true), 4000);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { post: path, body, sure, copy, tab: name, tabAfter } = button.dataset;
    if (name) tab(name);
    if (copy) navigator.clipboard.writeText(copy).then(() => toast("copied " + copy));
    if (path && (!sure || confirm(sure))) {
      const done = await post(path, body ? JSON.parse(body) : {});
      if (done && tabAfter) tab(tabAfter);
    }
    if (button.id === "reveal") {
      view.persons = !view.persons;
      listen();
    }
    if (button.id === "theme") {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const now = root.dataset.theme || (dark ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    }
  });

  document.addEventListener("change", ({ target }) => {
    const { post: path, name } = target.dataset;
    if (path && name) post(path, { [name]: Number(target.value) });
  });

  document.addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await post(form.dataset.post, Object.fromEntries(new FormData(form)))) form.reset();
  });

  let typing = 0;
  find("search").addEventListener("input", ({ target }) => {
    clearTimeout(typing);
    typing = setTimeout(() => { view.search = target.value; listen(); }, 150);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && location.hash) shut();
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && event.target.matches("[role=tab]")) {
      const tabs = [...document.querySelectorAll("[role=tab]")];
      const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
      tab(next.dataset.tab);
      next.focus();
    }
    if (event.key === "/" && !event.target.closest("input, select")) {
      event.preventDefault();
      find("search").focus();
    }
  });

  setInterval(() => {
    for (const now of document.querySelectorAll("[data-now]")) {
      const moment = Number(now.dataset.now) * 1000 + Date.now() - Number(now.dataset.since);
      now.textContent = new Date(moment + 19800000).toUTCString().replace(/^.{5}(.+) \d{4} (.+) GMT$/, "$1 $2");
    }
  }, 500);

  addEventListener("hashchange", open);
  tab("orders");
  open();
});
