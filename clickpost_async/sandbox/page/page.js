"use strict";

// Set before the first paint: the theme that was chosen here, or else the system's.
const root = document.documentElement;
root.style.colorScheme = localStorage.theme || "";

document.addEventListener("DOMContentLoaded", () => {
  const find = (id) => document.getElementById(id);
  const view = { search: "", shown: "", tab: "", persons: "" };
  let source = null;
  let opened = "";

  // --- updates ---------------------------------------------------------------------------------

  function look(changes) {
    Object.assign(view, changes);
    source?.close();
    source = new EventSource("/page/news?" + new URLSearchParams(view));
    let isFirst = true;
    source.onopen = () => connection("live");
    source.onerror = () => connection("reconnecting");
    source.onmessage = ({ data }) => {
      const template = document.createElement("template");
      template.innerHTML = JSON.parse(data);
      const latest = find("requests")?.firstElementChild;
      morph(find("main"), template.content.firstElementChild, isFirst ? () => {} : flash);
      if (!isFirst && find("requests")?.firstElementChild !== latest) announce();
      focusDetail(find("detail") && view.shown);
      isFirst = false;
    };
  }

  function connection(state) {
    find("live").textContent = state;
    find("live").dataset.state = state;
  }

  // Make an element like another one. What is alike in both is kept, with its focus, its scrolling
  // and the text typed into it; `changed` is called for rows that are new, or have another text.
  function morph(old, made, changed) {
    if (old.isEqualNode(made)) return;
    for (const { name } of [...old.attributes]) {
      if (!made.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of made.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (made.matches("option[selected]")) old.selected = true;
    const sign = (node) => node.id || node.dataset?.key || node.nodeName;
    const signs = new Set([...made.childNodes].map(sign));
    const known = new Map([...signs].map((name) => [name, []]));
    for (const node of [...old.childNodes]) {
      if (signs.has(sign(node))) known.get(sign(node)).push(node);
      else node.remove();
    }
    let place = old.firstChild;
    for (const node of [...made.childNodes]) {
      const same = known.get(sign(node)).shift();
      const isChanged = node.dataset?.key && same?.textContent !== node.textContent;
      if (same && same === place) place = place.nextSibling;
      else old.insertBefore(same || node, place);
      if (same instanceof Element) morph(same, node, changed);
      else if (same) same.nodeValue = node.nodeValue;
      if (isChanged) changed(same || node, same);
    }
    for (const nodes of known.values()) for (const node of nodes) node.remove();
  }

  function flash(row, isKnown) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const colour = `color-mix(in srgb, var(--${isKnown ? "green" : "accent"}) 15%, transparent)`;
    row.animate([{ backgroundColor: colour, offset: 0 }], { duration: 1000, easing: "ease-out" });
  }

  // For screen readers: the latest request, and not each of a burst.
  let announcing = 0;
  function announce() {
    clearTimeout(announcing);
    announcing = setTimeout(() => {
      const latest = find("requests")?.firstElementChild;
      const text = latest && latest.innerText.replace(/\s+/g, " ");
      if (latest) find("announce").textContent = "Latest request: " + text;
    }, 1500);
  }

  // --- what is opened --------------------------------------------------------------------------

  function open() {
    const [kind, ...name] = location.hash.slice(1).split("/");
    const shown = name.length ? kind + "/" + decodeURIComponent(name.join("/")) : "";
    look({ shown, persons: "" });
  }

  function focusDetail(shown) {
    if (shown && shown !== opened) {
      find("detail").focus({ preventScroll: true });
      find("detail").scrollIntoView({ block: "nearest" });
    }
    opened = shown;
  }

  function shut() {
    document.querySelector("[aria-current]")?.focus({ preventScroll: true });
    location.hash = "";
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
    if (name) look({ tab: name });
    if (copy) navigator.clipboard.writeText(copy).then(() => toast("copied " + copy));
    if (path && (!sure || confirm(sure))) {
      const done = await post(path, body ? JSON.parse(body) : {});
      if (done && tabAfter) look({ tab: tabAfter });
    }
    if (button.id === "reveal") look({ persons: view.persons ? "" : "1" });
    if (button.id === "theme") {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      const isDark = (root.style.colorScheme || system) === "dark";
      localStorage.theme = root.style.colorScheme = isDark ? "light" : "dark";
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
    typing = setTimeout(() => look({ search: target.value }), 150);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && location.hash) shut();
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && event.target.matches("[role=tab]")) {
      const tabs = [...document.querySelectorAll("[role=tab]")];
      const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
      look({ tab: next.dataset.tab });
      next.focus();
    }
    if (event.key === "/" && !event.target.closest("input, select")) {
      event.preventDefault();
      find("search").focus();
    }
  });

  setInterval(() => {
    for (const now of document.querySelectorAll("[data-ahead]")) {
      const moment = Number(now.dataset.ahead) * 1000 + Date.now();
      now.textContent = new Date(moment + 19800000).toUTCString().replace(/^.{5}(.+) \d{4} (.+) GMT$/, "$1 $2");
    }
  }, 500);

  addEventListener("hashchange", open);
  open();
});
