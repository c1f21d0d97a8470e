// The page of many pictures: shares, circumplex, key moments, and the faces to look through.

const AT_ONCE = 120;
const ORDERS = [
  ["emotion", "Emotion, surest first", (one, other) => one.emotion - other.emotion || other.confidence - one.confidence],
  ["uncertain", "Most uncertain first", (one, other) => other.uncertainty - one.uncertainty],
  ["certain", "Least uncertain first", (one, other) => one.uncertainty - other.uncertainty],
  ["order", "Order of the pictures", (one, other) => one.number - other.number],
];

function picturesPage(root) {
  root.append(tiles([
    ["Pictures", whole(DATA.pictures), `${percent(DATA.pictures ? DATA.with_face / DATA.pictures : 0)} with a face`],
    ["Faces", whole(DATA.faces)],
    ["Uncertainty", DATA.faces ? DATA.uncertainty.toFixed(2) : "–", "mean, 0 to 1"],
    ["Branches agreeing", DATA.faces ? percent(DATA.agreement) : "–", "mean"],
    unsureTile(DATA.unsure, DATA.faces),
  ]));
  if (!DATA.faces) {
    root.append(card("No face", "In none of the pictures a face was found."));
    return () => {};
  }
  const plot = new Circumplex("Valence and arousal of the faces.");
  const shares = new Shares("Shares of the emotions with their 95% intervals; a table follows.");
  plot.setPoints(DATA.points);
  shares.set(DATA.shares);
  const drawn = DATA.points.length < DATA.faces ? ` ${whole(DATA.points.length)} of the faces, drawn by lot.` : "";
  const groups = DATA.resampled < DATA.pictures ? `pictures in ${DATA.resampled} groups` : "pictures";
  const interval = DATA.shares.low
    ? `Of all ${counted(DATA.faces, "face")}. The lines are 95% intervals from drawing ${groups} anew, 1,000 times. They say how far the shares would vary over other pictures like these, not how often the network errs.`
    : `Of all ${counted(DATA.faces, "face")}. Too few pictures with a face for an interval: it takes eight.`;
  root.append(make("div", { class: "pair" },
    card("Circumplex", "A point a face, in the colour of its emotion.", plot.element, make("p", { class: "note" }, affectNote() + drawn)),
    card("Shares", "", shares.element, make("p", { class: "note" }, interval), sharesTable(DATA.shares))),
    faces(), keyMoments("Worth a look", DATA.moments, null));
  for (const drawing of [plot, shares]) drawing.show();
  return () => {};
}

function faces() {
  const chosen = new Set(NAMES.keys());
  const grid = make("div", { class: "faces-grid" });
  const more = make("button", { type: "button", class: "more", onclick: () => { shown += AT_ONCE; fill(); } });
  let shown = AT_ONCE;
  const list = make("select", { id: "order", onchange: () => { shown = AT_ONCE; fill(); } },
    ORDERS.map(([value, words]) => make("option", { value }, words)));
  const fill = () => {
    const [, , compare] = ORDERS.find(([value]) => value === list.value);
    const all = DATA.shown.filter((one) => chosen.has(one.emotion)).sort(compare);
    grid.replaceChildren(...all.slice(0, shown).map(face));
    more.hidden = shown >= all.length;
    more.textContent = `Show more (${whole(Math.max(0, all.length - shown))} left)`;
  };
  const chips = NAMES.map((name, index) => {
    const count = DATA.shown.filter((one) => one.emotion === index).length;
    const button = make("button", { type: "button", "aria-pressed": "true", onclick: () => {
      if (!chosen.delete(index)) chosen.add(index);
      button.setAttribute("aria-pressed", String(chosen.has(index)));
      shown = AT_ONCE;
      fill();
    } }, dot(EMOTION_COLOR[index]), `${name} ${whole(count)}`);
    return count ? button : "";
  });
  fill();
  const note = DATA.shown.length < DATA.faces ? `${whole(DATA.shown.length)} of ${counted(DATA.faces, "face")}, drawn by lot.` : "";
  const made = card("Faces", note,
    make("div", { class: "bar" }, make("div", { class: "chips actions", role: "group", "aria-label": "Emotions to show" }, chips),
      make("div", { class: "chips actions" }, make("label", { for: "order" }, "Order"), list)),
    grid, more);
  made.classList.add("flows");
  return made;
}

function face(one) {
  return make("figure", { class: "face" },
    make("img", { src: one.face, alt: `A face read as ${NAMES[one.emotion].toLowerCase()}`, loading: "lazy", title: one.source }),
    make("figcaption", null,
      make("strong", null, dot(EMOTION_COLOR[one.emotion]), `${NAMES[one.emotion]} ${sure(one.confidence)}`),
      make("p", null, `uncertainty ${one.uncertainty.toFixed(2)}`),
      make("p", { class: "name", title: one.source }, one.name)));
}
