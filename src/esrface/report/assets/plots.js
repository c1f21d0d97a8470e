// The circumplex of valence and arousal, and the shares of the emotions.

/** Points of a path through the circumplex; more would be a scribble. */
const PATH_POINTS = 160;
/** On which side of its place an emotion's name stands: four of them are close together. */
const SIDES = { Fear: "left", Disgust: "left", Anger: "right", Contempt: "right", Surprise: "top", Happy: "top", Sad: "bottom", Neutral: "bottom" };

class Circumplex extends Drawing {
  constructor(label) {
    super(label, 440, "square");
    this.path = [];
    this.points = [];
  }

  /** A path: [valence, arousal, emotion, what to say] in order, null where there is a gap. */
  setPath(path) {
    this.path = path;
    this.points = path.filter((point) => point);
    if (this.chart) this.draw();
  }

  /** Points without an order. */
  setPoints(points) {
    this.path = [];
    this.points = points;
  }

  draw() {
    this.fit(Math.min(this.element.clientWidth, 460));
    const far = Math.max(1, ...this.points.map(([v, a]) => Math.max(Math.abs(v), Math.abs(a))));
    const most = Math.ceil(far * 2) / 2;
    const end = (name) => ({
      min: -most, max: most, interval: most / 2, name, nameLocation: "middle", nameGap: 42,
      nameTextStyle: { color: color("quiet"), fontSize: 12 },
      axisLabel: { color: color("quiet"), fontSize: 11.5, formatter: (v) => (v > 0 ? `+${v}` : `${v}`.replace("-", "−")) },
    });
    const first = this.path.find((point) => point);
    const last = [...this.path].reverse().find((point) => point);
    const dotted = (point, index) => ({ value: point, itemStyle: { color: EMOTION_COLOR[point[2]] }, symbolSize: this.path.length ? 8 : 6, index });
    const marks = first && first !== last ? [[first, "first"], [last, "last"]] : [];
    this.chart.setOption({
      ...base(),
      tooltip: { ...base().tooltip, trigger: "item", formatter: (part) => this.tip(part) },
      grid: { left: 64, right: 20, top: 16, bottom: 48, outerBoundsMode: "none" },
      xAxis: axis({ ...end("unpleasant  ←  valence  →  pleasant"), nameGap: 28 }),
      yAxis: axis(end("calm  ←  arousal  →  excited")),
      series: [
        { id: "centre", type: "line", symbol: "none", silent: true, lineStyle: { color: color("quiet"), width: 1, opacity: 0.6 },
          data: [[-most, 0], [most, 0], [0, null], [0, -most], [0, most]] },
        { id: "path", type: "line", symbol: "none", silent: true, z: 3, lineStyle: { color: color("ink"), width: 1.2, opacity: 0.4 },
          data: this.path.map((point) => (point ? [point[0], point[1]] : [null, null])) },
        { id: "points", type: "scatter", z: 4, itemStyle: { opacity: this.points.length > 400 ? 0.55 : 0.9, borderColor: color("card"), borderWidth: 0.7 },
          data: this.points.map(dotted) },
        { id: "ends", type: "scatter", z: 5, silent: true, symbolSize: 13,
          itemStyle: { color: "transparent", borderColor: color("ink"), borderWidth: 2 },
          label: { show: true, position: "bottom", color: color("ink"), fontWeight: 600, fontSize: 12, formatter: (part) => part.value[2],
            textBorderColor: color("card"), textBorderWidth: 3 },
          data: marks.map(([point, name]) => [point[0], point[1], name]) },
        { id: "names", type: "scatter", z: 2, silent: true, symbol: "diamond", symbolSize: 13, itemStyle: { color: "transparent", borderColor: color("quiet"), borderWidth: 1.2 },
          label: { show: true, fontSize: 11.5, color: color("ink"), textBorderColor: color("card"), textBorderWidth: 3, formatter: (part) => part.value[2] },
          data: DATA.circumplex.map(([v, a], index) => ({ value: [v, a, NAMES[index]], label: { position: SIDES[NAMES[index]] } })) },
      ],
    }, { notMerge: true });
  }

  tip(part) {
    if (part.seriesId !== "points") return "";
    const [valence, arousal, emotion, words] = part.value;
    return make("div", { class: "tip" }, words ? make("strong", null, words) : "",
      make("span", null, dot(EMOTION_COLOR[emotion]), NAMES[emotion]),
      make("span", null, `valence ${signed(valence)}, arousal ${signed(arousal)}`));
  }
}

class Shares extends Drawing {
  constructor(label) {
    super(label, 44 + 34 * NAMES.length);
    this.shares = null;
  }

  set(shares) {
    this.shares = shares;
    if (this.chart) this.draw();
  }

  draw() {
    const { share, low, high } = this.shares;
    const far = Math.max(...(high || share), 0.05);
    const most = Math.min(1, Math.ceil(far * 10 + 0.2) / 10);
    const words = share.map((part, index) => (low ? `${percent(part)}  (${ends(low[index], high[index])})` : percent(part)));
    const names = { type: "category", inverse: true, data: NAMES, splitLine: { show: false } };
    const left = Math.min(150, Math.max(76, ...NAMES.map((name) => 16 + 7 * name.length)));
    this.chart.setOption({
      ...base(),
      tooltip: { show: false },
      grid: { left, right: low ? 104 : 50, top: 6, bottom: 30, outerBoundsMode: "none" },
      xAxis: axis({ min: 0, max: most, interval: most / 2, axisLabel: { color: color("quiet"), fontSize: 11.5, formatter: percent } }),
      yAxis: [
        axis({ ...names, axisLabel: { color: color("ink"), fontSize: 12.5, interval: 0, width: left - 12, overflow: "truncate" } }),
        axis({ ...names, data: words, position: "right", axisLine: { show: false }, axisLabel: { color: color("quiet"), fontSize: 12, interval: 0 } }),
      ],
      series: [
        { id: "share", type: "bar", silent: true, barWidth: 16, itemStyle: { borderRadius: [0, 4, 4, 0] },
          data: share.map((value, index) => ({ value, itemStyle: { color: EMOTION_COLOR[index] } })) },
        { id: "interval", type: "custom", silent: true, z: 5, data: low ? share.map((_, index) => [index, low[index], high[index]]).filter((one) => one[2] > 0) : [],
          encode: { y: 0, x: [1, 2] }, renderItem: whisker },
        { id: "right", type: "bar", yAxisIndex: 1, silent: true, data: [] },
      ],
    }, { notMerge: true });
  }
}

function whisker(_, api) {
  const [x0, y] = api.coord([api.value(1), api.value(0)]);
  const [x1] = api.coord([api.value(2), api.value(0)]);
  const stroke = (x, from, tox, to) => ({ type: "line", shape: { x1: x, y1: from, x2: tox, y2: to }, style: { stroke: color("ink"), lineWidth: 1.5 } });
  return { type: "group", children: [stroke(x0, y, x1, y), stroke(x0, y - 4, x0, y + 4), stroke(x1, y - 4, x1, y + 4)] };
}

function ends(low, high) {
  return `${Math.round(low * 100)}–${Math.round(high * 100)}`;
}

/** The shares as a table, for who cannot see the chart or wants to copy the figures. */
function sharesTable(shares) {
  const exact = (value) => `${(value * 100).toFixed(1)}%`;
  const rows = shares.share.map((share, index) => make("tr", null, make("th", { scope: "row" }, NAMES[index]),
    make("td", null, exact(share)),
    make("td", null, shares.low ? `${exact(shares.low[index])} to ${exact(shares.high[index])}` : "too short to tell")));
  const head = make("tr", null, ["Emotion", "Share", "95% interval"].map((name) => make("th", { scope: "col" }, name)));
  return make("details", null, make("summary", null, "As a table"), make("table", { class: "plain" }, make("thead", null, head), make("tbody", null, rows)));
}
