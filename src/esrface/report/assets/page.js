// Light and dark, printing, and the start.

/** Of A4 between its margins, in pixels. */
const PAPER_WIDTH = 686;
const root = document.documentElement;
const themeButton = document.getElementById("theme");

function setTheme(theme) {
  root.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light" : "Dark";
}

const dark = window.matchMedia("(prefers-color-scheme: dark)");
setTheme(dark.matches ? "dark" : "light");

const content = document.getElementById("content");
const recolor = (DATA.kind === "video" ? videoPage : picturesPage)(content);

function redraw() {
  recolor();
  for (const drawing of CHARTS) drawing.resize();
}

themeButton.addEventListener("click", () => {
  setTheme(root.dataset.theme === "dark" ? "light" : "dark");
  redraw();
});
dark.addEventListener("change", () => {
  setTheme(dark.matches ? "dark" : "light");
  redraw();
});

let width = window.innerWidth;
let waiting = 0;
window.addEventListener("resize", () => {
  // On telephones the height changes as the address bar comes and goes.
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 120);
});

// Paper is white and narrower than most windows: charts are drawn for it, and back again afterwards.
let before = null;
window.addEventListener("beforeprint", () => {
  before = root.dataset.theme;
  setTheme("light");
  content.style.width = `${PAPER_WIDTH}px`;
  root.classList.add("printing");
  recolor();
  for (const drawing of CHARTS) drawing.show(true);
  content.style.width = "";
});
window.addEventListener("afterprint", () => {
  setTheme(before || "light");
  root.classList.remove("printing");
  recolor();
  for (const drawing of CHARTS) drawing.show();
});
document.getElementById("print").addEventListener("click", () => window.print());
