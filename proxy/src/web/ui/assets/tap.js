// Puts what passes above what has passed, for as long as the page is seen and not paused.

const MOST = 200;
const section = document.querySelector("[data-live]");
const list = document.querySelector("#rows");
const missed = document.querySelector("#missed");
const nothing = document.querySelector("#nothing");
const button = document.querySelector("#live");
const words = { live: "Live", paused: "Paused", away: "Not connected" };
let source;
let paused = false;
let lost = 0;

function tell(state) {
  button.hidden = false;
  button.dataset.state = state;
  button.textContent = words[state];
  button.setAttribute("aria-label", paused ? "Paused: show what passes" : `${words[state]}: pause`);
}

function follow() {
  source?.close();
  source = undefined;
  if (paused || document.hidden) return;
  source = new EventSource(section.dataset.live);
  source.addEventListener("open", () => tell("live"));
  source.addEventListener("error", () => tell("away"));
  source.addEventListener("rows", (event) => add(event.data));
}

function add(html) {
  const came = document.createElement("template");
  came.innerHTML = html;
  lost += Number(came.content.querySelector("[data-missed]").dataset.missed);
  const rows = [...came.content.querySelectorAll("li")];
  list.prepend(...rows);
  while (list.children.length > MOST) list.lastElementChild.remove();
  nothing.hidden = list.children.length > 0;
  missed.hidden = lost === 0;
  missed.textContent = `${lost} passed faster than they could be shown.`;
}

function pause() {
  paused = !paused;
  if (paused) tell("paused");
  follow();
}

if (section) {
  button.addEventListener("click", pause);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, button, a")) return;
    if (event.key === "p") pause();
    if (event.key === "/") {
      event.preventDefault();
      document.querySelector("input[name=labels]").focus();
    }
  });
  document.addEventListener("visibilitychange", follow);
  follow();
}
