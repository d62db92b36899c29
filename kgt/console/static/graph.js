// Draws the list of triples around a concept, in the colours of the style sheet.
// The list is the data, and what users wrote is only ever text: drawn, or set as textContent.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const WIDTHS = { yours: 5, removed: 2, shared: 1 };
  let drawn = null;

  const shown = (name) => (name === "I" ? "you" : name);

  // What fits a circle: a few words, none of them long.
  function shortened(text) {
    const words = text.split(" ").map((word) => (word.length > 11 ? `${word.slice(0, 10)}…` : word));
    return words.length > 4 ? `${words.slice(0, 4).join(" ")}…` : words.join(" ");
  }

  function elements(about, items) {
    const nodes = new Map([[about, { own: false }]]);
    const edges = items.map(({ dataset }, number) => {
      const shared = "shared" in dataset || dataset.origin !== "yours";
      for (const name of [dataset.head, dataset.tail]) {
        if (!nodes.has(name)) nodes.set(name, { own: true });
        if (shared) nodes.get(name).own = false;
      }
      return {
        data: {
          id: `e${number}`, source: dataset.head, target: dataset.tail,
          label: dataset.relation, origin: dataset.origin,
        },
      };
    });
    // A concept's own name is its id, with a letter before it that no edge has.
    const id = (name) => `n${name}`;
    for (const { data } of edges) [data.source, data.target] = [id(data.source), id(data.target)];
    const circles = [...nodes].map(([name, { own }]) => ({
      data: { id: id(name), name, label: shown(name), short: shortened(shown(name)) },
      classes: name === "I" ? "user" : own ? "own" : "",
    }));
    return [...circles, ...edges];
  }

  // The concept in the middle, the others around it.
  function places(about, items) {
    const names = [...new Set(items.flatMap(({ dataset }) => [dataset.head, dataset.tail]))];
    const others = names.filter((name) => name !== about);
    const radius = Math.max(150, others.length * 13);
    const found = { [`n${about}`]: { x: 0, y: 0 } };
    others.forEach((name, number) => {
      const angle = (number / others.length - 0.25) * 2 * Math.PI;
      found[`n${name}`] = { x: 1.3 * radius * Math.cos(angle), y: radius * Math.sin(angle) };
    });
    return found;
  }

  function style() {
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(`--${name}`).trim();
    const circle = (fill, line, width) => ({
      "background-color": colour(fill), "border-color": colour(line), "border-width": width,
    });
    const line = (name, more) => ({
      selector: `edge[origin = "${name}"]`,
      style: {
        width: WIDTHS[name], "line-color": colour(name), "target-arrow-color": colour(name),
        color: colour(name === "shared" ? "quiet" : `${name}-text`), ...more,
      },
    });
    return [
      {
        selector: "node",
        style: {
          ...circle("node", "shared", 1), label: "data(short)", color: colour("node-text"),
          width: 64, height: 64, "font-size": 11, "font-family": "system-ui, sans-serif",
          "text-valign": "center", "text-wrap": "wrap", "text-max-width": 64,
        },
      },
      { selector: "node.own", style: circle("own", "own-line", 4) },
      { selector: "node.user", style: circle("user", "user-line", 2) },
      {
        selector: "edge",
        style: {
          label: "data(label)", "font-size": 10, "font-family": "system-ui, sans-serif",
          "curve-style": "bezier", "target-arrow-shape": "triangle", "arrow-scale": 0.9,
          "text-background-color": colour("card"), "text-background-opacity": 0.9,
          "text-background-padding": 2, "text-rotation": "autorotate",
        },
      },
      line("shared", {}),
      line("yours", { "font-size": 12, "z-index": 2 }),
      line("removed", { "line-style": "dashed", "font-size": 12 }),
    ];
  }

  function explain(tip, target, at) {
    const data = target.data();
    tip.textContent = target.isNode()
      ? data.label
      : `${target.source().data("label")} ${data.label} ${target.target().data("label")}, ${data.origin}`;
    tip.hidden = false;
    tip.style.left = `${Math.min(at.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${at.clientY + 16}px`;
  }

  function draw() {
    const box = document.querySelector(".graph:not(.drawn)");
    if (!box) return;
    drawn?.destroy();
    const section = box.parentElement;
    const all = [...section.querySelectorAll(".triples li[data-head]")];
    const items = all.slice(0, Number(box.dataset.most));
    if (!items.length) return;
    box.hidden = false;
    box.classList.add("drawn");
    drawn = cytoscape({
      container: box, elements: elements(box.dataset.about, items), style: style(),
      layout: { name: "preset", padding: 14, positions: places(box.dataset.about, items) },
      minZoom: 0.3, maxZoom: 2, userZoomingEnabled: false,
    });
    const tip = section.querySelector(".tip");
    drawn.on("mouseover", "node, edge", (event) => explain(tip, event.target, event.originalEvent));
    drawn.on("mouseout", () => { tip.hidden = true; });
    drawn.on("tap", "node", (event) => {
      location.assign(`/?about=${encodeURIComponent(event.target.data("name"))}#around`);
    });
  }

  dark.addEventListener("change", () => drawn?.style(style()));
  document.addEventListener("htmx:after:swap", () => {
    draw();
    // On a phone the graph is below the facts.
    document.querySelector("#around")?.scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("DOMContentLoaded", draw);
})();
