// Keeps the parts of a page as the server has them, for as long as the page is seen.

const parts = document.querySelector("[data-live]");
const button = document.querySelector("#live");
const words = { live: "Live", paused: "Paused", away: "Not connected" };
let source;
let paused = false;

function tell(state) {
  button.hidden = false;
  button.dataset.state = state;
  button.textContent = words[state];
  button.setAttribute("aria-label", paused ? "Paused: keep this page up to date" : `${words[state]}: pause`);
}

function follow() {
  source?.close();
  source = undefined;
  if (paused || document.hidden) return;
  source = new EventSource(parts.dataset.live);
  source.addEventListener("open", () => tell("live"));
  source.addEventListener("error", () => tell("away"));
  source.addEventListener("parts", (event) => replace(event.data));
}

function replace(html) {
  const changed = document.createElement("template");
  changed.innerHTML = html;
  for (const part of [...changed.content.children]) {
    const before = document.getElementById(part.id);
    // Whoever marks a text wants to copy it.
    const marked = getSelection();
    if (!before || (!marked.isCollapsed && before.contains(marked.anchorNode))) continue;
    const scrolled = [...before.querySelectorAll(".scroll")].map((scroll) => scroll.scrollLeft);
    const focused = focusable(before).indexOf(document.activeElement);
    before.replaceWith(part);
    part.querySelectorAll(".scroll").forEach((scroll, place) => (scroll.scrollLeft = scrolled[place] ?? 0));
    if (focused >= 0) focusable(part)[focused]?.focus({ preventScroll: true });
  }
}

function focusable(part) {
  return [...part.querySelectorAll("a[href], [tabindex]")];
}

button.addEventListener("click", () => {
  paused = !paused;
  tell(paused ? "paused" : "live");
  follow();
});
document.addEventListener("visibilitychange", follow);
follow();
