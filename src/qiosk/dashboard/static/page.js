// What every page needs: a live stream while the page is visible, confirmations, selections, menus that close.
"use strict";

// An EventSource that is open only while the page is visible. Browsers allow some six connections to a host over
// HTTP/1.1, so many tabs with a stream each would block one another. Whatever was missed meanwhile is one "changed".
//
// Where the server does not answer, the browser tries again by itself. Where it answers with no stream, because too many
// are open or it is about to end, the page is fetched again every POLL_MS instead, and then the stream is tried again.
const POLL_MS = 10000;
const PATIENCE_MS = 1500; // shorter interruptions are not worth a message

class VisibleEventSource extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.onopen = null;
    this.onerror = null;
    this.readyState = EventSource.CONNECTING;
    this.wasOpen = false;
    this.toggle = () => (document.hidden ? this.pause() : this.open());
    document.addEventListener("visibilitychange", this.toggle);
    this.toggle();
  }

  open() {
    if (this.source) return;
    this.source = new EventSource(this.url);
    this.source.addEventListener("changed", () => this.dispatchEvent(new Event("changed")));
    this.source.onopen = (event) => {
      this.readyState = EventSource.OPEN;
      this.tell("", 0);
      this.onopen?.(event);
      if (this.wasOpen) this.dispatchEvent(new Event("changed"));
      this.wasOpen = true;
    };
    this.source.onerror = () => {
      this.wasOpen = true;
      this.readyState = EventSource.CONNECTING;
      if (this.source?.readyState === EventSource.CLOSED) this.poll();
      else this.tell("The server does not answer. This page goes on by itself when it does.", PATIENCE_MS);
    };
  }

  poll() {
    this.pause();
    this.tell(`Live updates are not possible now. This page is fetched again every ${POLL_MS / 1000} seconds.`, 0);
    this.polling = setTimeout(() => {
      this.dispatchEvent(new Event("changed"));
      this.open();
    }, POLL_MS);
  }

  tell(text, after) {
    clearTimeout(this.telling);
    const place = document.getElementById("connection");
    this.telling = setTimeout(() => (place.textContent = text), after);
  }

  pause() {
    clearTimeout(this.polling);
    clearTimeout(this.telling);
    this.source?.close();
    this.source = null;
  }

  close() {
    document.removeEventListener("visibilitychange", this.toggle);
    this.pause();
    this.tell("", 0);
    this.readyState = EventSource.CLOSED;
  }
}

// Live updates leave alone what a script has filled (data-kept), and what a person has opened.
Idiomorph.defaults.callbacks.beforeNodeMorphed = (node) => !node.matches?.("[data-kept]");
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details"));

// What is not there any more, or may not be seen any more, is not shown any longer.
document.addEventListener("htmx:responseError", (event) => {
  if ([403, 404].includes(event.detail.xhr.status)) window.location.reload();
});

htmx.createEventSource = (url) => new VisibleEventSource(url);

// A press of a button with data-confirm asks first.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-confirm]");
  if (button && !window.confirm(button.dataset.confirm)) event.preventDefault();
});

// A press of a button with data-copy selects the text above it, and copies it where browsers permit that: over TLS, or
// on this machine.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.parentElement.previousElementSibling;
  window.getSelection().selectAllChildren(text);
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
});

// Menus close by Escape and by a click elsewhere.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest?.("details.menu[open]") ?? document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// The URL keeps which jobs are selected, so that it can be sent, and so that live updates keep them.
function keepSelection(form) {
  const url = new URL(window.location);
  url.searchParams.delete("selected");
  const chosen = [...form.querySelectorAll("input[name=selected]:checked")];
  chosen.forEach((box) => url.searchParams.append("selected", box.value));
  history.replaceState(history.state, "", url);
  const told = form.querySelector("[data-chosen]");
  if (told) told.textContent = chosen.length ? `${chosen.length} selected` : "";
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-selection]");
  if (!form) return;
  if (event.target.matches("[data-select-all]")) {
    form.querySelectorAll("input[name=selected]").forEach((box) => (box.checked = event.target.checked));
  }
  if (event.target.matches("[data-select-all], input[name=selected]")) keepSelection(form);
});

// Tell screen readers once what has happened: the server marks the element that says it.
document.addEventListener("htmx:afterSwap", () => {
  const said = document.querySelector("[data-announce]");
  const announcer = document.getElementById("announcer");
  if (said && announcer && announcer.textContent !== said.dataset.announce) announcer.textContent = said.dataset.announce;
});
