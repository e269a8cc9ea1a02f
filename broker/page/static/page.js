// What needs a script: copy buttons, a shown value that hides itself, a word before the session ends. All else works without.
"use strict";
(() => {
  const said = document.getElementById("said");
  const say = (text) => {
    said.textContent = "";
    setTimeout(() => { said.textContent = text; }, 50); // a reader notices a change, not a text that was there
  };

  // --- copy buttons: shown only here, since without a script they can do nothing
  const textOf = (button) => button.dataset.copy ?? document.getElementById(button.dataset.copyFrom)?.textContent;
  const copied = (button, worked) => {
    const word = button.querySelector("span");
    const before = button.dataset.word ?? (button.dataset.word = word.textContent);
    word.textContent = worked ? "Copied" : "Not copied";
    button.classList.toggle("done", worked);
    say(worked ? "Copied" : "The browser did not let it be copied: select and copy it yourself");
    setTimeout(() => { word.textContent = before; button.classList.remove("done"); }, 2000);
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = textOf(button);
      if (text === undefined) return copied(button, false);
      try {
        await navigator.clipboard.writeText(text);
        copied(button, true);
      } catch {
        copied(button, false);
      }
    });
  }

  // --- a value that was shown leaves the page after a while, and as soon as one looks elsewhere
  const shown = document.querySelector("[data-hide-after]");
  if (shown) {
    let left = Number(shown.dataset.hideAfter);
    const hide = () => {
      if (!shown.isConnected) return;
      const focused = shown.contains(document.activeElement);
      const value = shown.querySelector("#value");
      value.textContent = "";
      document.querySelector("[data-copy-from='value']")?.remove();
      shown.remove();
      const again = document.querySelector("[data-hidden-again]");
      again.hidden = false;
      if (focused) document.getElementById("main").focus();
      clearInterval(ticking);
      say("The value is hidden again");
    };
    const countdown = shown.querySelector("[data-countdown]");
    const ticking = setInterval(() => {
      left -= 1;
      if (left <= 0) return hide();
      countdown.textContent = `Hides itself in ${left} second${left === 1 ? "" : "s"}, or when you look elsewhere. That you looked is written down.`;
    }, 1000);
    window.addEventListener("blur", hide);
    window.addEventListener("pagehide", hide);
    document.addEventListener("visibilitychange", () => { if (document.hidden) hide(); });
  }

  // --- a page that the browser kept for "back" asks again: who may see it may have changed
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // --- the session's end
  const ends = Number(document.body.dataset.sessionEnds ?? 0) * 1000;
  const soon = ends - Date.now() - 120_000;
  if (ends && soon > -120_000) {
    setTimeout(() => {
      const note = document.createElement("div");
      note.className = "banner warn";
      note.setAttribute("role", "alert");
      const words = document.createElement("p");
      words.textContent = "Your session ends in two minutes. Save what you are writing; after that you log in again.";
      note.append(words);
      document.querySelector("main > .wide").prepend(note);
    }, Math.max(0, Math.min(soon, 2 ** 31 - 1)));
  }
})();
