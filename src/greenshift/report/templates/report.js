"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
// A list of our own: the default has a button that sends the figure to a server.
const BUTTONS = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"];
const element = (figure) => document.getElementById("plot-" + figure.id);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function theme() {
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--soft"), automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--ink") },
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--soft"), font: { color: colour("--ink") }, align: "left" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    margin: { l: 70, r: 30, t: 40, b: 60 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--accent"), orientation: "v" },
    axis,
  };
}

function layout(figure, view) {
  const { axis, ...rest } = theme();
  const own = figure.layout;
  const xaxis = view === undefined ? own.xaxis : figure.views[view].axis;
  const annotations = (own.annotations ?? []).map((label) => ({ ...label, bgcolor: colour("--panel") }));
  return { ...rest, ...own, annotations, xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...own.yaxis } };
}

function draw(figure, view) {
  const data = view === undefined ? figure.data : figure.data.map((trace, i) => ({ ...trace, x: figure.views[view].x[i] }));
  const options = { responsive: true, displaylogo: false, modeBarButtons: [BUTTONS], plotlyServerURL: "" };
  return Plotly.react(element(figure), data, layout(figure, view), options);
}

const shown = new Map(figures.map((figure) => [figure, figure.views.length ? 0 : undefined]));
const drawAll = () => Promise.all(figures.map((figure) => draw(figure, shown.get(figure))));
drawAll().then(() => document.body.setAttribute("data-drawn", figures.length));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

for (const select of document.querySelectorAll("select[data-figure]")) {
  const figure = figures.find((each) => each.id === select.dataset.figure);
  select.addEventListener("change", () => {
    shown.set(figure, Number(select.value));
    draw(figure, shown.get(figure));
  });
}

function sortBy(head) {
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const rising = head.getAttribute("aria-sort") !== "ascending";
  const key = (row) => {
    const cell = row.children[column];
    const value = cell.dataset.sort ?? cell.textContent.trim();
    const number = value === "inf" ? Infinity : Number(value);
    return value === "" || Number.isNaN(number) ? value : number;
  };
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    const order = typeof x === "number" ? (x > y) - (x < y) : x.localeCompare(y);
    return rising ? order : -order;
  };
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

for (const head of document.querySelectorAll(".sortable th")) {
  head.tabIndex = 0;
  head.addEventListener("click", () => sortBy(head));
  head.addEventListener("keydown", (event) => event.key === "Enter" && sortBy(head));
}
