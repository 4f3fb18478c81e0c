// Conveniences. Every page works without JavaScript.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const said = button.firstChild.nodeValue;
    button.firstChild.nodeValue = "Copied";
    setTimeout(() => { button.firstChild.nodeValue = said; }, 1500);
  });
}

// A calendar is shown in its owner's time zone. Say so where the device is in another one.
for (const told of document.querySelectorAll("[data-zone]")) {
  const clock = (timeZone) => new Date().toLocaleString("en-GB", { timeZone });
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (clock(here) !== clock(told.dataset.zone)) told.textContent = `, though this device is in ${here}`;
}

// The visitor's menu closes with Escape, or by a click elsewhere.
const menu = document.querySelector("details.who");
if (menu) {
  addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// Reload and Back lead to this page, rather than to sending its form or to saying what was done once more.
const here = new URL(location.href);
here.searchParams.delete("done");
history.replaceState(null, "", here);

// A double click sends a form once. The page may stay, where the answer is a file.
for (const form of document.querySelectorAll("form")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
    setTimeout(() => { sent = false; }, 2000);
  });
}

// A form that takes seconds says so, and can't be sent again meanwhile.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.textContent = form.dataset.busy;
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });
  });
}

// Back from what a choice will do, the form still has that choice.
for (const form of document.querySelectorAll("form[data-choice]")) {
  form.addEventListener("submit", () => {
    const choice = new URLSearchParams(new FormData(form));
    choice.set("preview", "no");
    history.replaceState(null, "", `?${choice}`);
  });
}

// Back from the browser's memory, a sent form is as it was before.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
