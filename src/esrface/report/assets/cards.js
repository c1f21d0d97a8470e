// The parts of the page that are no charts: figures, key moments, faces.

const KINDS = [
  ["strongest", "Strongest", "The most confident answer of each emotion other than neutral."],
  ["changed", "Most changed", "Where the mean over a quarter of a second departs most from that over the seconds before."],
  ["uncertain", "Most uncertain", "Where the model's uncertainty is highest: look at these yourself."],
];

/** Figures: [name, value, what to add in small]. */
function tiles(figures) {
  return make("dl", { class: "tiles" }, figures.filter(Boolean).map(([name, value, more]) =>
    make("div", null, make("dt", null, name), make("dd", null, value, more ? make("small", null, more) : ""))));
}

/** The key moments; ``go(moment)`` shows one in the timeline, where there is one. */
function keyMoments(title, moments, go) {
  const parts = KINDS.filter(([kind]) => moments[kind]).flatMap(([kind, name, words]) => [
    make("h3", null, name),
    make("p", { class: "note" }, words),
    moments[kind].length
      ? make("div", { class: "moments" }, moments[kind].map((one) => moment(one, go)))
      : make("p", { class: "note" }, "There is none here."),
  ]);
  const seen = Object.values(moments).some((list) => list.some((one) => one.heat));
  const note = seen
    ? "Left the face, right where the network saw evidence for its answer (Grad-CAM, the mean over the branches; brighter is more)."
    : "This model does not tell where it looked, so only the faces are shown.";
  const made = card(title, note, parts);
  made.classList.add("flows");
  return made;
}

function moment(one, go) {
  const name = NAMES[one.emotion];
  const place = one.time_s === null ? one.where : `${clock(one.time_s, 1)} · frame ${whole(one.frame)}${one.track ? ` · track ${one.track}` : ""}`;
  return make("figure", { class: "moment" },
    make("div", { class: "faces" },
      make("img", { src: one.face, alt: `A face read as ${name.toLowerCase()}` }),
      one.heat ? make("img", { src: one.heat, alt: `Where the network saw evidence for ${name.toLowerCase()}` }) : ""),
    make("figcaption", null,
      make("strong", null, dot(EMOTION_COLOR[one.emotion]), `${name} ${sure(one.confidence)}`),
      one.note ? make("p", null, one.note) : "",
      make("p", null, place),
      make("p", null, `${percent(one.agreement)} of the branches agree`)),
    go ? make("button", { type: "button", onclick: () => go(one) }, "Show in timeline", make("span", { class: "hidden" }, ` at ${clock(one.time_s, 1)}`)) : "");
}

/** Colours and what they mean: [colour, words, whether it is a line]. */
function legend(keys) {
  return make("ul", { class: "legend" }, keys.map(([tint, words, stroke]) => {
    const key = make("span", { class: `key${stroke ? " stroke" : ""}`, "aria-hidden": "true" });
    key.style.background = tint;
    return make("li", null, key, words);
  }));
}

function emotionLegend() {
  return legend(NAMES.map((name, index) => [EMOTION_COLOR[index], name]));
}

function unsureTile(unsure, faces) {
  if (unsure === null) return null;
  return ["Below the limit", percent(faces ? unsure / faces : 0), `confidence under ${DATA.options.abstain_below}`];
}

function affectNote() {
  if (DATA.affect_source !== "circumplex") return "Valence and arousal come from a trained layer of the network.";
  const unplaced = NAMES.slice(DATA.circumplex.length).join(", ");
  return "Valence and arousal are read out of the emotions' probabilities (circumplex), not measured by themselves."
    + (unplaced ? ` No place in it is known of ${unplaced}: such answers count as its middle.` : "");
}
