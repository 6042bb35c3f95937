// Zoom, search and sort without a new page: the part of the page that changes is asked for, and put in place.

let asked = 0;

function graph() {
  return document.querySelector("#graph");
}

// The address of a page shows the same as that of its graph alone.
async function show(url, { push = true } = {}) {
  const mine = ++asked;
  const page = new URL(url, location.href);
  graph().setAttribute("aria-busy", "true");
  let html;
  try {
    const answer = await fetch(`/profiles/graph${page.search}`);
    html = await answer.text();
  } catch {
    location.assign(page);
    return;
  }
  // Somebody was faster.
  if (mine !== asked) return;
  const search = document.querySelector("#search input[type=search]");
  const typing = document.activeElement === search && search ? [search.selectionStart, search.selectionEnd] : undefined;
  const typed = search?.value;
  const onFrame = document.activeElement?.closest?.("#flame a") !== null && document.activeElement?.closest?.("#flame a") !== undefined;
  const next = document.createElement("template");
  next.innerHTML = html;
  graph().replaceWith(next.content);
  if (push) history.pushState(null, "", page);
  ready();
  if (typing) {
    const again = document.querySelector("#search input[type=search]");
    if (!again) return;
    again.value = typed;
    again.focus({ preventScroll: true });
    again.setSelectionRange(...typing);
  } else if (onFrame) {
    const frames = document.querySelectorAll("#flame a");
    (frames[document.querySelectorAll("#flame .above").length + 1] ?? frames[0])?.focus({ preventScroll: true });
  }
}

// One frame is reached by Tab, the others from it by arrows.
function ready() {
  if (document.querySelector("[data-again]")) setTimeout(() => location.reload(), 3000);
  // The outermost functions are seen first.
  const canvas = document.querySelector(".canvas.up");
  if (canvas) canvas.scrollTop = canvas.scrollHeight;
  document.querySelectorAll("#flame a").forEach((frame, place) => {
    frame.tabIndex = place === 0 ? 0 : -1;
  });
}

function tell(frame) {
  const details = document.querySelector("#details");
  const title = frame?.querySelector("title");
  if (details && title) details.textContent = title.textContent.replace("\n", " — ");
}

function box(frame) {
  const { x, y, width } = frame.querySelector("svg");
  const percent = (length) => length.baseVal.valueInSpecifiedUnits;
  return { start: percent(x), end: percent(x) + percent(width), row: percent(y) };
}

// The next frame to a side, or the one above or below.
function neighbour(frame, key) {
  const here = box(frame);
  const rowHeight = 18;
  const row = { ArrowUp: here.row - rowHeight, ArrowDown: here.row + rowHeight }[key] ?? here.row;
  const others = [...document.querySelectorAll("#flame a")].filter((other) => other !== frame && box(other).row === row);
  const sorted = others.map((other) => ({ other, ...box(other) })).sort((a, b) => a.start - b.start);
  switch (key) {
    case "ArrowLeft":
      return sorted.filter((one) => one.start < here.start).at(-1)?.other;
    case "ArrowRight":
      return sorted.find((one) => one.start > here.start)?.other;
    default:
      return sorted.find((one) => one.end > here.start && one.start < here.end)?.other;
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const href = link.getAttribute("href");
  if (link.id === "share") {
    event.preventDefault();
    const url = new URL(href, location.href);
    history.replaceState(null, "", url);
    navigator.clipboard?.writeText(url.href).then(
      () => (link.textContent = "Copied"),
      () => (link.textContent = "In the address bar"),
    );
  } else if (link.hasAttribute("data-graph")) {
    event.preventDefault();
    show(href);
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "search") return;
  event.preventDefault();
  show(`/profiles?${new URLSearchParams(new FormData(event.target))}`);
});

let typing;
document.addEventListener("input", (event) => {
  const form = event.target.closest("#search");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => show(`/profiles?${new URLSearchParams(new FormData(form))}`, { push: false }), 250);
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form#choice");
  if (!form) return;
  // Another service may have neither the kind of values nor the labels of this one.
  if (event.target.name === "series") for (const name of ["type", "labels", "with"]) form.elements[name] && (form.elements[name].value = "");
  if (event.target.matches("select")) form.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, select");
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    document.querySelector("#search input[type=search]")?.focus();
  } else if (event.key === "Escape" && !isTyping) {
    const whole = document.querySelector("#whole");
    if (whole) show(whole.getAttribute("href"));
  } else if (event.key.startsWith("Arrow")) {
    const frame = event.target.closest("#flame a");
    const next = frame && neighbour(frame, event.key);
    if (!frame) return;
    event.preventDefault();
    next?.focus({ preventScroll: false });
  }
});

for (const name of ["mouseover", "focusin"]) {
  document.addEventListener(name, (event) => tell(event.target.closest?.("#flame a")));
}
addEventListener("popstate", () => show(location.href, { push: false }));
ready();
