"use strict";
// What all parts of the page use: the data, elements, numbers, colours and charts.

const DATA = JSON.parse(document.getElementById("data").textContent);
const NAMES = DATA.emotions;
const rgb = (parts) => `rgb(${parts.join(",")})`;
const EMOTION_COLOR = DATA.colors.map(rgb);
const CHARTS = [];

/** An element; text goes in as text, never as HTML. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function card(title, note, ...children) {
  return make("section", { class: "card" }, make("h2", null, title), note ? make("p", { class: "sub" }, note) : "",
    ...children);
}

function dot(color) {
  const mark = make("span", { class: "dot", "aria-hidden": "true" });
  mark.style.background = color;
  return mark;
}

function percent(share) {
  return `${Math.round(share * 100)}%`;
}

/** A probability, never more certain than it is. */
function sure(p) {
  return p >= 0.995 ? ">99%" : percent(p);
}

function signed(value) {
  const text = (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
  return text === "−0.00" ? "+0.00" : text;
}

function whole(number) {
  return number.toLocaleString("en-US");
}

function counted(number, thing) {
  return `${whole(number)} ${thing}${number === 1 ? "" : "s"}`;
}

/** Seconds as 1:02 or 1:02:03, with so many decimals. */
function clock(seconds, decimals = 0) {
  const unit = 10 ** decimals;
  const parts = Math.round(Math.max(0, seconds) * unit);
  const rest = parts % (60 * unit);
  const minutes = Math.floor(parts / (60 * unit));
  const second = (rest / unit).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  const minute = minutes % 60;
  return minutes >= 60
    ? `${Math.floor(minutes / 60)}:${String(minute).padStart(2, "0")}:${second}`
    : `${minute}:${second}`;
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function reduced() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** A chart that knows how to draw itself anew, when the theme or the width changes. */
class Drawing {
  constructor(label, height, kind) {
    this.element = make("div", { class: `chart ${kind || ""}`, role: "img", "aria-label": label });
    this.element.style.height = `${height}px`;
    this.chart = null;
    CHARTS.push(this);
  }

  /** To be called once the element is in the page; ``sharp``: with more pixels than a screen has, for paper. */
  show(sharp = false) {
    if (this.chart) this.chart.dispose();
    const ratio = window.devicePixelRatio || 1;
    this.chart = charts.init(this.element, null, { devicePixelRatio: sharp ? Math.max(3, ratio) : ratio });
    this.draw();
  }

  resize() {
    if (!this.chart) return;
    this.chart.resize();
    this.draw();
  }

  /** Give it another height, if it has not got it. */
  fit(height) {
    if (Math.abs(this.element.clientHeight - height) < 1) return;
    this.element.style.height = `${height}px`;
    this.chart.resize();
  }

  close() {
    if (this.chart) this.chart.dispose();
    CHARTS.splice(CHARTS.indexOf(this), 1);
  }

  get narrow() {
    return this.element.clientWidth < 520;
  }
}

/** What all charts share; read from the style, so that light and dark are written in one place. */
function base() {
  return {
    animation: false,
    textStyle: { fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", color: color("ink") },
    tooltip: {
      confine: true, backgroundColor: color("card"), borderColor: color("line"), borderWidth: 1, padding: 10,
      textStyle: { color: color("ink"), fontSize: 13 }, extraCssText: "border-radius:10px;z-index:5",
      transitionDuration: 0,
    },
  };
}

function axis(more) {
  return {
    type: "value",
    axisLine: { show: true, lineStyle: { color: color("line") } },
    axisTick: { show: false },
    axisLabel: { color: color("quiet"), fontSize: 11.5 },
    splitLine: { show: true, lineStyle: { color: color("line"), width: 1, opacity: 0.7 } },
    ...more,
  };
}
