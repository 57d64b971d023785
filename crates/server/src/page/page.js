// Asks for the page again and changes what has changed, so that nothing flickers, and what is selected, scrolled or
// unfolded stays so. Everything that is shown was made by the server.
"use strict";

const EVERY = 5000;
const stale = document.getElementById("stale");
let answered = new Date();

/** Makes `old` what `fresh` is. Elements with an id are found by it, wherever they moved to. */
function become(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) return;
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // Whether something is unfolded is up to who looks at it.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  const wanted = [...fresh.childNodes];
  const ids = new Set(wanted.map((child) => child.id).filter(Boolean));
  for (const child of [...old.childNodes]) {
    if (child.id && !ids.has(child.id)) child.remove();
  }
  wanted.forEach((child, index) => {
    let here = old.childNodes[index];
    if (child.id && here?.id !== child.id) {
      const moved = [...old.children].find((other) => other.id === child.id);
      here = old.insertBefore(moved ?? document.importNode(child, true), here ?? null);
    }
    if (here) become(here, child);
    else old.append(document.importNode(child, true));
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    become(document.querySelector("main"), page.querySelector("main"));
    document.title = page.title;
    answered = new Date();
    stale.hidden = true;
  } catch (error) {
    stale.textContent = `No answer since ${answered.toLocaleTimeString()}: what stands here is old. Trying again.`;
    stale.hidden = false;
    document.title = "No answer · tabletopic";
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".command button");
  if (!button) return;
  await navigator.clipboard.writeText(button.previousElementSibling.textContent);
  button.textContent = "Copied";
});

// Browsers offer the clipboard to this host and over HTTPS only; elsewhere the command can be selected.
document.documentElement.classList.toggle("clipboard", Boolean(navigator.clipboard));
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, EVERY);
