// The page of videos and cameras: a clip at a time.

class ClipView {
  constructor(clip, root) {
    this.clip = clip;
    this.drawings = [];
    root.replaceChildren();
    root.append(tiles(this.figures()));
    if (!clip.faces) {
      root.append(card("No face", `In none of the ${counted(clip.frames, "frame")} that were looked at a face was found.`));
      return;
    }
    this.circumplex = this.keep(new Circumplex("The path through valence and arousal."));
    this.shares = this.keep(new Shares("Shares of the emotions with their 95% intervals; a table follows."));
    this.timeline = this.keep(new Timeline(clip, (begin, end) => this.follow(begin, end)));
    this.table = make("div");
    this.sharesNote = make("p", { class: "note" });
    root.append(this.timelineCard(), make("div", { class: "pair" },
      card("Circumplex", "The path of what is in sight in the timeline, in the colours of the emotions.", this.circumplex.element, make("p", { class: "note" }, affectNote())),
      card("Shares", "", this.shares.element, this.sharesNote, this.table)),
      keyMoments("Key moments", clip.moments, (one) => this.go(one)));
    this.choose(clip.series[0]);
    for (const drawing of this.drawings) drawing.show();
  }

  keep(drawing) {
    this.drawings.push(drawing);
    return drawing;
  }

  close() {
    this.closed = true;
    for (const drawing of this.drawings) drawing.close();
  }

  figures() {
    const clip = this.clip;
    const length = clip.last_s >= 60 ? clock(clip.last_s) : `${clip.last_s.toFixed(1)} s`;
    return [
      ["Length", length, clip.whole ? `${clip.size_wh[0]} × ${clip.size_wh[1]}` : clip.live ? "until it was stopped" : "it did not come to its end"],
      ["Frames looked at", whole(clip.frames), `${percent(clip.frames ? clip.with_face / clip.frames : 0)} with a face`],
      ["Faces", whole(clip.faces), counted(clip.tracks, "track")],
      ["Uncertainty", clip.faces ? clip.uncertainty.toFixed(2) : "–", "mean, 0 to 1"],
      ["Branches agreeing", clip.faces ? percent(clip.agreement) : "–", "mean"],
      unsureTile(clip.unsure, clip.faces),
    ];
  }

  timelineCard() {
    const button = (words, label, act) => make("button", { type: "button", title: label, onclick: act }, words === "All" ? words
      : [make("span", { "aria-hidden": "true" }, words), make("span", { class: "hidden" }, label)]);
    const step = this.clip.frames_per_step;
    const notes = [
      step > 1
        ? `Interruptions are gaps: no face was found there. A step holds ${whole(step)} frames: the line is their mean, the band reaches from their lowest to their highest value, and a gap shorter than a step is not seen.`
        : "Interruptions are gaps: no face was found there. Each step is a frame; where more of them are in sight than there is room for, lines are means and bands reach from the lowest to the highest value.",
    ];
    return card("Timeline", "",
      make("div", { class: "bar" }, this.chooser(), make("div", { class: "chips actions" },
        button("←", "Move to earlier", () => this.timeline.pan(-0.5)), button("→", "Move to later", () => this.timeline.pan(0.5)),
        button("+", "Zoom in", () => this.timeline.zoomBy(0.5)), button("−", "Zoom out", () => this.timeline.zoomBy(2)),
        button("All", "Show the whole clip", () => this.timeline.zoom(-Infinity, Infinity)))),
      emotionLegend(), (this.keys = make("div")), this.timeline.element,
      make("p", { class: "note screen" }, "Drag the handles of the strip to zoom, or hold Ctrl and turn the wheel; drag the chart to move."),
      notes.map((words) => make("p", { class: "note" }, words)));
  }

  /** Colours that differ between light and dark. */
  recolor() {
    if (!this.keys) return;
    this.keys.replaceChildren(legend([
      [color("valence"), "Valence", true], [color("arousal"), "Arousal", true], [color("doubt"), "Uncertainty", true],
      [color("split-edge"), "Share of branches that disagree; shaded where over a third do"],
    ]));
  }

  chooser() {
    const lines = this.clip.series;
    const left = this.clip.tracks - (lines.length - 1);
    const name = (series) => (series.track ? `Track ${series.track}` : "Everyone");
    const more = left > 0 ? make("span", { class: "note" }, `and ${counted(left, "shorter track")}, in Everyone only`) : "";
    if (lines.length > 9) {
      const list = make("select", { id: "track", onchange: () => this.choose(lines[Number(list.value)]) },
        lines.map((series, index) => make("option", { value: index }, name(series))));
      this.chosen = (series) => { list.value = String(lines.indexOf(series)); };
      return make("div", { class: "chips" }, make("label", { for: "track" }, "Show"), list, more);
    }
    const buttons = lines.map((series) => make("button", { type: "button", onclick: () => this.choose(series) },
      series.track ? dot(rgb(DATA.track_colors[series.track])) : "", name(series)));
    this.chosen = (series) => buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(lines[index] === series)));
    return make("div", { class: "chips", role: "group", "aria-label": "Whose timeline" }, buttons, more);
  }

  choose(series) {
    this.series = series;
    this.chosen(series);
    this.recolor();
    const shares = series.shares;
    this.shares.set(shares);
    this.table.replaceChildren(sharesTable(shares));
    const whose = series.track ? `the ${counted(shares.faces, "face")} of track ${series.track}` : `all ${counted(shares.faces, "face")} of all frames`;
    const block = this.clip.block_s;
    const length = `${Number(block.toFixed(1))} s`;
    this.sharesNote.textContent = shares.low
      ? `Of ${whose}. The lines are 95% intervals from drawing blocks of ${length} anew (${whole(shares.blocks)} blocks, 1,000 draws): frames next to each other are alike, so blocks count, not frames. They say how far the shares would vary over other moments like these, not how often the network errs.`
      : `Of ${whose}. Too short for an interval: it would take eight blocks of ${length} with a face.`;
    this.timeline.choose(series);
  }

  /** The path follows when the timeline stands still: both at once would make it stutter. */
  follow(begin, end) {
    clearTimeout(this.following);
    this.following = setTimeout(() => this.drawPath(begin, end), 80);
  }

  drawPath(begin, end) {
    const { scale } = this.timeline;
    const from = scale.at(begin);
    const to = Math.min(scale.times.length, scale.at(end) + 1);
    const factor = Math.max(1, Math.ceil((to - from) / PATH_POINTS));
    if (this.closed) return;
    this.circumplex.setPath(joined(this.series, from, to, factor).map(({ step, values }) =>
      values && [values.mean.valence, values.mean.arousal, topOf(values), clock(scale.times[step], 1)]));
  }

  go(one) {
    const found = this.clip.series.find((series) => series.track && series.track === one.track);
    this.choose(found || this.clip.series[0]);
    this.timeline.zoom(one.time_s - 5, one.time_s + 5);
    this.timeline.element.scrollIntoView({ block: "center", behavior: reduced() ? "auto" : "smooth" });
  }
}

function videoPage(root) {
  const clips = DATA.clips;
  const place = make("div");
  let view = null;
  const show = (index) => {
    if (view) view.close();
    view = new ClipView(clips[index], place);
  };
  if (clips.length > 1) {
    const list = make("select", { id: "clip", onchange: () => show(Number(list.value)) },
      clips.map((clip, index) => make("option", { value: index }, clip.source)));
    root.append(make("p", { class: "chips" }, make("label", { for: "clip" }, "Video"), list));
    if (DATA.left_out) root.append(make("p", { class: "note" }, `The first ${clips.length} videos are shown; ${counted(DATA.left_out, "more video")} went into the other outputs only.`));
  }
  root.append(place);
  show(0);
  return () => view.recolor();
}
