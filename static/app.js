// What HTML cannot do by itself. Every page works without this file; there is no inline script.
(() => {
  "use strict";
  const said = () => document.getElementById("said");
  const say = (text) => {
    said().textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (said().textContent = ""), 4000);
  };

  // The token that forms carry in a hidden field, requests of htmx carry in a header.
  document.addEventListener("htmx:config:request", (event) => {
    const request = event.detail.ctx.request;
    const source = event.detail.ctx.sourceElement;
    if (request.method !== "GET") {
      request.headers["X-CSRFToken"] = document.querySelector("meta[name=csrf-token]").content;
    } else if (source?.matches("[data-poll]")) {
      if (document.hidden) event.preventDefault(); // nobody looks: ask when somebody does
      request.headers["X-Poll"] = "true"; // asking by itself does not keep a session alive
    }
  });

  // After a swap, look where the answer asks to: the first error, or the result.
  // A question that was fetched into the dialog opens it; Esc or the way back closes it.
  // What a page asks by itself moves nobody's focus.
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.request.headers["X-Poll"]) return;
    const dialog = document.getElementById("dialog");
    if (dialog?.childElementCount && !dialog.open) dialog.showModal();
    focusFirst(dialog?.open ? dialog : document);
  });
  const focusFirst = (root) => root.querySelector("[data-focus]")?.focus();
  const failed = () => say("Something went wrong. Nothing was changed; try again.");
  document.addEventListener("htmx:error", failed);
  document.addEventListener("htmx:response:error", (event) => {
    if (event.detail.ctx.response.status >= 500) failed();
  });

  // A confirmation is a page of its own; here it opens above the page it belongs to.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const headers = { "HX-Request": "true", "HX-Request-Type": "partial" };
    const answer = await fetch(link.href, { headers }).catch(() => null);
    if (!answer?.ok) return location.assign(link.href);
    const dialog = document.getElementById("dialog");
    dialog.innerHTML = await answer.text();
    dialog.showModal();
  });

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = copy.dataset.copy || document.getElementById(copy.dataset.copyFrom).textContent;
      await navigator.clipboard.writeText(text.trim());
      say("Copied");
    }
    const close = event.target.closest("dialog[open] [data-close]");
    if (close) {
      event.preventDefault();
      close.closest("dialog").close();
    }
    const suggest = event.target.closest("[data-suggest]");
    if (suggest) {
      const input = document.getElementById(suggest.dataset.suggest);
      input.value = suggestion();
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    const all = event.target.closest("[data-pick-all]");
    if (all) {
      for (const box of all.form.querySelectorAll("input[name=email]")) box.checked = all.checked;
    }
  });

  // 20 characters that are hard to confuse; values past the last whole alphabet are drawn again.
  const suggestion = () => {
    const alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    const limit = 256 - (256 % alphabet.length);
    let text = "";
    while (text.length < 20) {
      const [value] = crypto.getRandomValues(new Uint8Array(1));
      if (value < limit) text += alphabet[value % alphabet.length];
    }
    return text;
  };

  // bcrypt reads 72 bytes: near that, say how many are used.
  document.addEventListener("input", (event) => {
    const counter = document.getElementById(event.target.dataset?.bytes ?? "");
    if (!counter) return;
    const used = new TextEncoder().encode(event.target.value).length;
    counter.textContent = used > 60 ? `${used} of 72 bytes used` : "";
  });

  // A passkey: the device is asked for one, and the form carries its answer.
  const keys = window.PublicKeyCredential;
  if (keys?.parseRequestOptionsFromJSON && keys.prototype.toJSON) {
    document.documentElement.classList.add("knows-passkeys");
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-passkey]");
    if (!button) return;
    event.preventDefault();
    const form = button.form;
    try {
      form.elements.passkey.value = JSON.stringify(await passkey(button.dataset, form));
    } catch {
      return say(button.dataset.failed); // there is none, or somebody thought better of it
    }
    form.requestSubmit(button);
  });
  const passkey = async ({ options, passkey: address }, form) => {
    if (options) {
      const publicKey = keys.parseCreationOptionsFromJSON(JSON.parse(options));
      return navigator.credentials.create({ publicKey });
    }
    const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value });
    const answer = await fetch(address, { method: "POST", body });
    const publicKey = keys.parseRequestOptionsFromJSON(await answer.json());
    return navigator.credentials.get({ publicKey });
  };

  // What takes some seconds says so; the answer is another page, or this one anew.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.busy) return;
    button.ariaBusy = "true";
    say(button.dataset.busy);
  });
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("[aria-busy]")) button.ariaBusy = null;
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  // On a narrow screen the navigation scrolls sideways: show where one is.
  const showPlace = () => {
    const nav = document.getElementById("nav");
    const here = nav?.querySelector("[aria-current]");
    if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.clientWidth) / 2;
  };
  document.addEventListener("DOMContentLoaded", () => {
    showPlace();
    focusFirst(document);
  });
})();
