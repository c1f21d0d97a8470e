// The timeline of a clip: lanes of its tracks, emotions, affect, and doubt, with one zoom for all.

/** So many points a line are drawn at once; where more are in sight, neighbours are joined. */
const POINTS = 600;
/** The same while it moves, and for how many milliseconds it must have stood still to be drawn finely again. */
const MOVING_POINTS = 240;
const STILL = 120;
const LANE_POINTS = 360;
const SPLIT_POINTS = 240;
const LANES = 8;
const LANE_HEIGHT = 25;
/** Less than this share of the branches agreeing counts as disagreement. */
const AGREED = 2 / 3;
const VALUES = ["valence", "arousal", "uncertainty", "agreement"];

/** A clip's steps: where they are in time, and which of them lie in a window. */
class Scale {
  constructor(clip) {
    this.times = clip.time_s;
    this.frames = clip.frame;
    const count = this.times.length;
    const usual = count > 1 ? (this.times[count - 1] - this.times[0]) / (count - 1) : 1 / 25;
    this.begin = count ? this.times[0] : 0;
    // A frame stands for the time until the next one.
    this.end = Math.max(clip.last_s, this.times[count - 1] || 0) + (clip.frames_per_step > 1 ? 0 : usual);
    if (this.end <= this.begin) this.end = this.begin + 1;
  }

  endOf(step) {
    return step + 1 < this.times.length ? this.times[step + 1] : this.end;
  }

  /** The step at a time. */
  at(time) {
    let low = 0;
    let high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Steps ``from`` to ``to`` of a series, joined in groups of ``factor``; null where nobody is. */
function joined(series, from, to, factor) {
  const groups = [];
  for (let begin = from; begin < to; begin += factor) {
    const end = Math.min(begin + factor, to);
    groups.push({ step: begin, end, values: meanOf(series, begin, end) });
  }
  return groups;
}

function meanOf(series, begin, end) {
  const columns = series.columns;
  let count = 0;
  const p = new Array(NAMES.length).fill(0);
  const mean = {};
  const low = {};
  const high = {};
  for (const name of VALUES) [mean[name], low[name], high[name]] = [0, Infinity, -Infinity];
  for (let step = begin - series.first; step < end - series.first; step++) {
    if (step < 0 || columns.p0[step] === undefined || columns.p0[step] === null) continue;
    count += 1;
    for (let index = 0; index < p.length; index++) p[index] += columns[`p${index}`][step];
    for (const name of VALUES) {
      const value = columns[name][step];
      mean[name] += value;
      low[name] = Math.min(low[name], (columns[`${name}_low`] || columns[name])[step]);
      high[name] = Math.max(high[name], (columns[`${name}_high`] || columns[name])[step]);
    }
  }
  if (!count) return null;
  for (const name of VALUES) [mean[name], low[name], high[name]] = [mean[name] / count / 1000, low[name] / 1000, high[name] / 1000];
  return { p: p.map((sum) => sum / count / 1000), mean, low, high };
}

/** For each step of a series the likeliest emotion; -1 where nobody is. */
function topsOf(series) {
  const tops = new Int8Array(series.columns.p0.length).fill(-1);
  for (let step = 0; step < tops.length; step++) {
    if (series.columns.p0[step] === null) continue;
    let most = -1;
    for (let index = 0; index < NAMES.length; index++) {
      const p = series.columns[`p${index}`][step];
      if (p > most) [most, tops[step]] = [p, index];
    }
  }
  return tops;
}

function topOf(values) {
  return values.p.indexOf(Math.max(...values.p));
}

/** Points of a line: ``pick(values)`` at each group's time; a run of groups ends where its last group ends. */
function line(scale, groups, pick) {
  const points = [];
  let before = null;
  for (const group of groups) {
    if (group.values) {
      points.push([scale.times[group.step], pick(group.values)]);
    } else if (before && before.values) {
      points.push([scale.endOf(before.end - 1), pick(before.values)], [scale.times[group.step], null]);
    }
    before = group;
  }
  if (before && before.values) points.push([scale.endOf(before.end - 1), pick(before.values)]);
  return points;
}

class Timeline extends Drawing {
  /** ``onWindow(begin, end)`` is called when another part of the clip is in sight. */
  constructor(clip, onWindow) {
    super(
      `Timeline of ${clip.source}: probabilities of the emotions, valence and arousal, and doubt, from 0:00 to `
        + `${clock(clip.last_s)}. The shares and key moments on this page say the same in words.`,
      600,
    );
    this.clip = clip;
    this.lanes = clip.series.length > 2 ? packed(clip.series.slice(1)) : [];
    this.tops = new Map(this.lanes.flat().map((series) => [series, topsOf(series)]));
    this.scale = new Scale(clip);
    this.series = clip.series[0];
    this.onWindow = onWindow;
    this.window = [this.scale.begin, this.scale.end];
    this.pending = false;
    this.points = POINTS;
  }

  choose(series) {
    this.series = series;
    this.update();
  }

  show(sharp = false) {
    super.show(sharp);
    this.chart.on("datazoom", () => this.moved());
  }

  moved() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const zoom = this.chart.getOption().dataZoom[0];
      this.window = [zoom.startValue, zoom.endValue];
      this.points = MOVING_POINTS;
      this.update();
      clearTimeout(this.still);
      this.still = setTimeout(() => {
        this.points = POINTS;
        this.update();
      }, STILL);
    });
  }

  /** Bring a part of the clip into sight. */
  zoom(begin, end) {
    const length = Math.min(Math.max(end - begin, this.least), this.scale.end - this.scale.begin);
    const from = Math.min(Math.max(begin, this.scale.begin), this.scale.end - length);
    this.chart.dispatchAction({ type: "dataZoom", startValue: from, endValue: from + length });
  }

  zoomBy(factor) {
    const [begin, end] = this.window;
    const middle = (begin + end) / 2;
    this.zoom(middle - ((end - begin) * factor) / 2, middle + ((end - begin) * factor) / 2);
  }

  pan(share) {
    const [begin, end] = this.window;
    this.zoom(begin + (end - begin) * share, end + (end - begin) * share);
  }

  get least() {
    const all = this.scale.end - this.scale.begin;
    return Math.min(all, Math.max((all / Math.max(1, this.scale.times.length)) * 4, 0.05));
  }

  /** The steps in sight, and how many of them are one group. */
  span(points) {
    const from = Math.max(0, this.scale.at(this.window[0]) - 1);
    const to = Math.min(this.scale.times.length, this.scale.at(this.window[1]) + 2);
    const factor = Math.max(1, Math.ceil((to - from) / points));
    // Groups begin at the same steps wherever the window is, or lines would tremble as it moves.
    return [from - (from % factor), to, factor];
  }

  groups(series, points) {
    return joined(series, ...this.span(points));
  }

  /** Only what depends on the window and the track. */
  update() {
    if (!this.chart || this.chart.isDisposed()) return;
    this.chart.setOption({ series: this.lines() });
    this.onWindow(...this.window);
  }

  draw() {
    const narrow = this.narrow;
    const left = narrow ? 44 : 52;
    const right = narrow ? 10 : 18;
    const paper = document.documentElement.classList.contains("printing");
    const heights = [...(this.lanes.length ? [this.lanes.length * LANE_HEIGHT] : []), ...(paper ? [140, 96, 64] : [200, 150, 92])];
    let top = 26;
    const grids = heights.map((height) => {
      const grid = { left, right, top, height, outerBoundsMode: "none" };
      top += height + 34;
      return grid;
    });
    this.fit(top - 34 + (paper ? 24 : 74));
    const last = grids.length - 1;
    const label = (value) => clock(value, this.window[1] - this.window[0] < 8 ? 1 : 0);
    const titled = (name) => ({
      name, nameLocation: "end", nameGap: 9,
      nameTextStyle: { align: "left", color: color("quiet"), fontSize: 12, padding: [0, 0, 0, -left + 6] },
    });
    const scales = [
      { ...titled("Emotions, probability"), min: 0, max: 1.06, interval: 0.5, axisLabel: { formatter: (v) => (v > 1 ? "" : percent(v)) } },
      { ...titled("Valence and arousal"), ...this.reach(), axisLabel: { formatter: (v) => (v > 0 ? `+${v}` : `${v}`.replace("-", "−")) } },
      { ...titled("Doubt"), min: 0, max: 1, interval: 0.5, axisLabel: { formatter: (v) => v.toFixed(1) } },
    ];
    const yAxes = scales.map((more) => {
      const made = axis(more);
      return { ...made, axisLabel: { color: color("quiet"), fontSize: 11.5, ...more.axisLabel } };
    });
    if (this.lanes.length) {
      yAxes.unshift(axis({
        type: "category", inverse: true, data: this.lanes.map((_, row) => row), ...titled("Who was seen"),
        nameLocation: "start", splitLine: { show: false }, axisLabel: { show: false }, axisPointer: { show: false },
      }));
    }
    const everywhere = grids.map((_, index) => index);
    this.chart.setOption({
      ...base(),
      tooltip: { ...base().tooltip, trigger: "axis", formatter: (parts) => this.tip(parts), axisPointer: { type: "line", axis: "x" } },
      axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: color("quiet") }, label: { show: false } },
      grid: grids,
      xAxis: everywhere.map((gridIndex) => axis({
        gridIndex, min: this.scale.begin, max: this.scale.end, splitLine: { show: false },
        axisLabel: { show: gridIndex === last, color: color("quiet"), fontSize: 11.5, formatter: label, hideOverlap: true,
          showMinLabel: true, showMaxLabel: false },
      })),
      yAxis: yAxes.map((one, gridIndex) => ({ ...one, gridIndex })),
      dataZoom: [
        { type: "inside", xAxisIndex: everywhere, filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false,
          preventDefaultMouseMove: false, minValueSpan: this.least, startValue: this.window[0], endValue: this.window[1] },
        { type: "slider", show: !paper, xAxisIndex: everywhere, filterMode: "none", bottom: 10, height: 26, left, right,
          minValueSpan: this.least, startValue: this.window[0], endValue: this.window[1], showDataShadow: false,
          brushSelect: false, showDetail: false, borderColor: color("line"), backgroundColor: "transparent",
          fillerColor: color("split").replace(/^rgba.*/, "rgba(120,150,220,.22)"),
          handleStyle: { color: color("accent"), borderColor: color("accent") }, moveHandleSize: 5,
          moveHandleStyle: { color: color("quiet"), opacity: 0.5 }, emphasis: { moveHandleStyle: { opacity: 0.8 } } },
      ],
      series: this.lines(),
    }, { notMerge: true });
    this.onWindow(...this.window);
  }

  /** Ends of the scale of valence and arousal: -1 to 1, or more where a network said more. */
  reach() {
    let far = 1000;
    for (const name of ["valence", "arousal"]) {
      for (const column of [`${name}_low`, `${name}_high`]) {
        for (const value of this.clip.series[0].columns[column] || []) far = Math.max(far, Math.abs(value || 0));
      }
    }
    const most = Math.ceil(far / 500) / 2;
    return { min: -most, max: most, interval: most };
  }

  lines() {
    const first = this.lanes.length ? 1 : 0;
    const groups = this.groups(this.series, this.points);
    const place = (index) => ({ xAxisIndex: first + index, yAxisIndex: first + index });
    const plain = { type: "line", symbol: "none", silent: true, connectNulls: false, emphasis: { disabled: true } };
    const drawn = NAMES.map((name, index) => ({
      ...plain, ...place(0), id: name, stack: "p", lineStyle: { width: 1 }, color: EMOTION_COLOR[index],
      areaStyle: { opacity: 1, color: EMOTION_COLOR[index] }, data: line(this.scale, groups, (one) => one.p[index]),
    }));
    for (const name of ["valence", "arousal"]) drawn.push(...this.banded(name, place(1), groups, plain));
    drawn.push(...this.banded("uncertainty", place(2), groups, plain, "doubt"));
    drawn.push({
      ...plain, ...place(2), id: "disagreement", color: color("split-edge"), lineStyle: { width: 1.4, type: [4, 3] },
      data: line(this.scale, groups, (one) => 1 - one.mean.agreement),
    });
    const steps = groups.map((group) => [this.scale.times[group.step], 0]);
    const calmer = this.groups(this.series, SPLIT_POINTS);
    for (let index = 0; index < 3; index++) {
      drawn.push({ ...plain, ...place(index), id: `all-${index}`, lineStyle: { opacity: 0 }, data: steps,
        markArea: this.split(calmer, index) });
    }
    if (this.lanes.length) drawn.push(...this.laneSeries(), { ...plain, id: "all-lanes", lineStyle: { opacity: 0 }, data: steps.map(([time]) => [time, 0]) });
    return drawn;
  }

  banded(name, place, groups, plain, tint = name) {
    const shade = { ...plain, ...place, stack: `band-${name}`, stackStrategy: "all", lineStyle: { width: 0 } };
    return [
      { ...shade, id: `${name}-low`, data: line(this.scale, groups, (one) => one.low[name]) },
      { ...shade, id: `${name}-high`, areaStyle: { color: color(tint), opacity: 0.2 },
        data: line(this.scale, groups, (one) => one.high[name] - one.low[name]) },
      { ...plain, ...place, id: name, color: color(tint), lineStyle: { width: 2 },
        data: line(this.scale, groups, (one) => one.mean[name]) },
    ];
  }

  /** Where the branches disagree: over the whole height, but only along the upper edge of the emotions. */
  split(groups, index) {
    const areas = [];
    let open = null;
    for (const group of groups) {
      if (group.values && group.values.mean.agreement < AGREED) {
        if (!open) areas.push((open = { from: this.scale.times[group.step] }));
        open.to = this.scale.endOf(group.end - 1);
      } else {
        open = null;
      }
    }
    const tint = index ? color("split") : color("split-edge");
    return {
      silent: true, itemStyle: { color: tint },
      data: areas.map(({ from, to }) => (index
        ? [{ xAxis: from }, { xAxis: to }]
        : [{ xAxis: from, yAxis: 1.015 }, { xAxis: to, yAxis: 1.06 }])),
    };
  }

  /** Bars in the colours of the emotions, and above each track's first one its number. */
  laneSeries() {
    const bars = [];
    const names = [];
    const [from, to, factor] = this.span(LANE_POINTS);
    this.lanes.forEach((tracks, row) => {
      for (const series of tracks) {
        const pale = this.series.track && this.series !== series ? 1 : 0;
        const begin = bars.length;
        let open = null;
        const tops = this.tops.get(series);
        for (let step = Math.max(from, series.first - (series.first % factor)); step < Math.min(to, series.first + tops.length); step += factor) {
          const own = tops.subarray(Math.max(0, step - series.first), Math.max(0, step + factor - series.first));
          const top = own.find((emotion) => emotion >= 0);
          if (top === undefined) {
            open = null;
          } else {
            if (!open || open[3] !== top) bars.push((open = [row, this.scale.times[step], 0, top, pale]));
            open[2] = this.scale.endOf(Math.min(step + factor, to) - 1);
          }
        }
        if (bars.length > begin) names.push([row, bars[begin][1], bars[bars.length - 1][2], series.track]);
      }
    });
    const shared = { type: "custom", xAxisIndex: 0, yAxisIndex: 0, silent: true, clip: true, encode: { x: [1, 2], y: 0 } };
    const bar = (_, api) => {
      const [x0, y] = api.coord([api.value(1), api.value(0)]);
      const [x1] = api.coord([api.value(2), api.value(0)]);
      return {
        type: "rect", shape: { x: x0, y: y + 1, width: Math.max(1, x1 - x0), height: 9 },
        style: { fill: EMOTION_COLOR[api.value(3)], opacity: api.value(4) ? 0.35 : 1 },
      };
    };
    const name = (part, api) => {
      const [x0, y] = api.coord([api.value(1), api.value(0)]);
      const [x1] = api.coord([api.value(2), api.value(0)]);
      const from = Math.max(x0, part.coordSys.x);
      const text = `#${api.value(3)}`;
      if (x1 - from < 8 + 7 * text.length) return null;
      return { type: "text", style: { text, x: from + 1, y: y - 11, fill: color("quiet"), fontSize: 11 } };
    };
    return [{ ...shared, id: "lanes", data: bars, renderItem: bar }, { ...shared, id: "lane-names", data: names, renderItem: name }];
  }

  tip(parts) {
    const step = this.scale.at(parts.find((part) => part.axisDim === "x").axisValue);
    const factor = this.span(this.points)[2];
    const values = meanOf(this.series, step, Math.min(step + factor, this.scale.times.length));
    const picture = nearest(this.clip.pictures, step);
    const many = this.clip.frames_per_step * factor;
    const where = `${clock(this.scale.times[step], 1)} · ${many > 1 ? `${whole(many)} frames from ` : "frame "}${whole(this.scale.frames[step])}`;
    const shown = [make("strong", null, where)];
    if (picture) {
      shown.unshift(make("img", { src: picture.url, alt: "" }));
      if (clock(this.scale.times[picture.step], 1) !== clock(this.scale.times[step], 1)) shown.push(make("small", null, `picture at ${clock(this.scale.times[picture.step], 1)}`));
    }
    if (!values) return make("div", { class: "tip" }, shown, make("span", null, this.series.track ? `track ${this.series.track} is not in sight` : "no face"));
    const order = values.p.map((p, index) => [p, index]).sort((one, other) => other[0] - one[0]).slice(0, 3);
    const row = (name, value, tint) => make("tr", null, make("td", null, tint ? dot(tint) : "", name), make("td", null, value));
    shown.push(make("table", null,
      order.map(([p, index]) => row(NAMES[index], sure(p), EMOTION_COLOR[index])),
      row("Valence", signed(values.mean.valence), color("valence")),
      row("Arousal", signed(values.mean.arousal), color("arousal")),
      row("Uncertainty", values.mean.uncertainty.toFixed(2), color("doubt")),
      row("Branches agreeing", percent(values.mean.agreement), color("split-edge"))));
    return make("div", { class: "tip" }, shown);
  }
}

function nearest(pictures, step) {
  let best = null;
  for (const picture of pictures) {
    if (!best || Math.abs(picture.step - step) < Math.abs(best.step - step)) best = picture;
  }
  return best;
}

/** Tracks in as few rows as they fit into without touching; those that find none of ``LANES`` rows are left out. */
function packed(series) {
  const rows = [];
  const free = [];
  for (const one of [...series].sort((a, b) => a.first - b.first)) {
    let row = free.findIndex((step) => step <= one.first);
    if (row < 0) row = rows.length < LANES ? rows.push([]) - 1 : -1;
    if (row < 0) continue;
    rows[row].push(one);
    free[row] = one.first + one.columns.p0.length;
  }
  return rows;
}
