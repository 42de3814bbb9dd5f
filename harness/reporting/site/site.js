/* Colours, tables, sources of numbers and the image browser. Text goes into pages as text, never as markup. */
(function () {
  "use strict";

  // ---- Colours: before the page is drawn, so that it never flashes. ----
  const THEMES = ["system", "light", "dark"];
  const page = document.documentElement;
  function storedTheme() {
    try { return localStorage.getItem("theme") || "system"; } catch { return "system"; }
  }
  function setTheme(name) {
    if (name === "system") page.removeAttribute("data-theme"); else page.dataset.theme = name;
    try { localStorage.setItem("theme", name); } catch { /* a page from disk may have no storage */ }
    const button = document.querySelector("#theme span");
    if (button) button.textContent = name;
  }
  let theme = THEMES.includes(storedTheme()) ? storedTheme() : "system";
  setTheme(theme);

  // ---- Data: scripts that are loaded when they are first needed. ----
  const data = new Map();
  const waiting = new Map();
  window.site = { receive(name, content) { data.set(name, content); } };
  function load(name) {
    if (data.has(name)) return Promise.resolve(data.get(name));
    if (!waiting.has(name)) {
      waiting.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        script.onload = () => resolve(data.get(name));
        script.onerror = () => reject(new Error(`data/${name}.js cannot be read`));
        document.head.append(script);
      }));
    }
    return waiting.get(name);
  }
  function make(tag, text, attributes) {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    return element;
  }
  const byId = (id) => document.getElementById(id);

  // ---- Sources: any number opens them. ----
  function openSources(button) {
    load("sources").then((sections) => {
      byId("sources-title").textContent = button.dataset.what;
      const parts = [];
      if (button.dataset.note) parts.push(make("p", button.dataset.note, { class: "warning" }));
      for (const number of button.dataset.sources.split(" ").filter(Boolean)) {
        parts.push(...sectionParts(sections[Number(number)]));
      }
      byId("sources-body").replaceChildren(...parts);
      byId("sources-body").scrollTop = 0;
      byId("sources").showModal();
    });
  }
  function sectionParts(section) {
    const list = make("dl");
    for (const [name, value] of section.facts) {
      const place = make("dd");
      if (/^https:\/\//.test(value)) place.append(make("a", value, { href: value, rel: "noreferrer" }));
      else place.textContent = value;
      list.append(make("dt", name), place);
    }
    const parts = [make("h3", section.title), list];
    if (section.json) {
      const details = make("details");
      details.append(make("summary", section.about), make("pre", section.json, { tabindex: "0" }));
      parts.push(details);
    }
    return parts;
  }

  // ---- Tables: sorted by any column, filtered by text. ----
  function setUpTable(section) {
    const table = section.querySelector("table.scores");
    const heads = [...table.tHead.querySelectorAll("th[data-place]")];
    for (const head of heads) {
      head.querySelector("button").addEventListener("click", () => sortBy(table, heads, head));
    }
    const tools = section.querySelector(".tools");
    if (!tools) return;
    tools.hidden = false;
    const apply = () => filterTable(section, table, heads);
    for (const control of tools.querySelectorAll("input, select")) control.addEventListener("input", apply);
  }
  function sortBy(table, heads, head) {
    const down = head.dataset.better === "higher";
    const now = head.getAttribute("aria-sort");
    let order = down ? "descending" : "ascending";
    if (now === order) order = down ? "ascending" : "descending";
    for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
    const sign = order === "ascending" ? 1 : -1;
    const place = Number(head.dataset.place);
    const key = head.dataset.kind === "number" ? numberKey : textKey;
    for (const body of table.tBodies) {
      const rows = [...body.querySelectorAll("tr.row")];
      rows.sort((one, other) => compare(key(one.cells[place]), key(other.cells[place]), sign));
      body.append(...rows);
    }
  }
  function numberKey(cell) { return cell.dataset.value === "" ? null : Number(cell.dataset.value); }
  function textKey(cell) {
    const text = cell.textContent.trim();
    if (text === "" || text === "–") return null;
    return /^[\d.,]+$/.test(text) ? Number(text.replaceAll(",", "")) : text.toLowerCase();
  }
  function compare(one, other, sign) {
    // What is missing stays last in both orders.
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    return sign * (typeof one === "number" ? one - other : one.localeCompare(other));
  }
  function holds(text, words) {
    const lower = text.toLowerCase();
    return words.toLowerCase().split(/\s+/).filter(Boolean).every((word) => lower.includes(word));
  }
  function filterTable(section, table, heads) {
    const rowWords = section.querySelector(".filter-rows").value;
    const columnWords = section.querySelector(".filter-columns").value;
    const metric = section.querySelector(".filter-metric").value;
    const shown = new Map();
    for (const head of heads) {
      const isNumber = head.dataset.kind === "number";
      const fits = !isNumber || (holds(head.dataset.text, columnWords) && (!metric || head.dataset.metric === metric));
      shown.set(Number(head.dataset.place), fits);
      head.hidden = !fits;
    }
    for (const group of table.tHead.querySelectorAll("th[data-first]")) {
      const first = Number(group.dataset.first);
      let count = 0;
      for (let place = first; place < first + Number(group.dataset.count); place++) count += shown.get(place);
      group.hidden = count === 0;
      if (count) group.colSpan = count;
    }
    let rows = 0;
    const all = [...table.querySelectorAll("tr.row")];
    for (const row of all) {
      row.hidden = !holds(row.cells[0].textContent, rowWords);
      rows += !row.hidden;
      for (const [place, fits] of shown) row.cells[place].hidden = !fits;
    }
    const columns = [...shown.values()].filter(Boolean).length - 1;
    section.querySelector(".status").textContent = `${rows} of ${all.length} rows, ${columns} of ${shown.size - 1} columns`;
  }

  // ---- Leaderboard: rows and tables of all settings at once. ----
  function setUpLeaderboard(board) {
    const controls = board.querySelector(".filters");
    controls.hidden = false;
    const value = (name) => controls.querySelector(`[name="${name}"]`).value.trim();
    const within = (text, low, high) => {
      if (low === "" && high === "") return true;
      if (text === undefined || text === "") return false;
      return (low === "" || Number(text) >= Number(low)) && (high === "" || Number(text) <= Number(high));
    };
    function apply() {
      let shown = 0, all = 0;
      for (const protocol of board.querySelectorAll(".protocol")) {
        const fits = (!value("setting") || protocol.dataset.setting === value("setting"))
          && (!value("protocol") || protocol.dataset.protocol === value("protocol"));
        let rows = 0;
        for (const row of protocol.querySelectorAll("tr.row")) {
          row.hidden = !(fits && holds(row.cells[0].textContent, value("method"))
            && (!value("origin") || row.dataset.origin === value("origin"))
            && within(row.dataset.year, value("from"), value("to"))
            && within(row.dataset.parameters, "", value("parameters")));
          rows += !row.hidden;
          all += 1;
        }
        protocol.hidden = rows === 0;
        shown += rows;
      }
      for (const setting of board.querySelectorAll(".setting")) {
        setting.hidden = !setting.querySelector(".protocol:not([hidden])");
      }
      controls.querySelector(".status").textContent = `${shown} of ${all} rows`;
    }
    controls.addEventListener("input", apply);
    apply();
  }

  // ---- Images. ----
  const CHUNK = 60;
  function setUpBrowser(root, content) {
    const { columns, metrics, sources, cases } = content;
    const state = { list: [], made: 0, current: null, left: 0, right: 1, zoom: 1, x: 0, y: 0, split: 50 };
    const ranked = sources.filter((source) => source.ranked);
    root.hidden = false;
    byId("seed").textContent = content.seed;

    function option(value, label) { return make("option", label, { value }); }
    byId("column").append(option("", "all"), ...columns.map((column, place) => option(place, column.label)));
    byId("of").append(option("", "all methods"));
    sources.forEach((source, place) => { if (source.values !== null) byId("of").append(option(place, source.label)); });
    for (const id of ["left", "right"]) byId(id).append(...sources.map((source, place) => option(place, source.label)));

    const valueOf = (item, source, metric) => source.values === null ? null : item[4][source.values][metric];
    function measure(item) {
      const of = byId("of").value;
      const compared = of === "" ? (ranked.length ? ranked : sources) : [sources[Number(of)]];
      const values = compared.map((source) => valueOf(item, source, 0)).filter((value) => Number.isFinite(value));
      if (!values.length) return { mean: null, range: null };
      return { mean: values.reduce((sum, value) => sum + value, 0) / values.length, range: rangeOf(item) };
    }
    function rangeOf(item) {
      const values = ranked.map((source) => valueOf(item, source, 0)).filter((value) => Number.isFinite(value));
      return values.length ? Math.max(...values) - Math.min(...values) : null;
    }
    function text(value, metric) {
      if (value === null || value === undefined) return "–";
      if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
      return value.toFixed(metrics[metric].decimals).replace("-", "−");
    }
    const unit = (metric) => metrics[metric].unit ? ` ${metrics[metric].unit}` : "";

    // The list: cases in order, made in chunks; small images are loaded when they are seen.
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        if (entry.target.dataset.more) addChunk();
        else entry.target.src = entry.target.dataset.src;
      }
    }, { rootMargin: "200px" });
    function makeList() {
      const column = byId("column").value, order = byId("order").value, words = byId("name").value;
      const better = metrics[0].higher ? 1 : -1;
      const list = [];
      cases.forEach((item, place) => {
        if (column !== "" && item[0] !== Number(column)) return;
        if (words && !holds(item[1], words)) return;
        list.push({ item, place, ...measure(item) });
      });
      const keys = {
        worst: (one) => one.mean === null ? null : better * one.mean,
        best: (one) => one.mean === null ? null : -better * one.mean,
        range: (one) => one.range === null ? null : -one.range,
      };
      if (keys[order]) list.sort((one, other) => compare(keys[order](one), keys[order](other), 1) || one.place - other.place);
      else list.sort((one, other) => one.item[1].localeCompare(other.item[1]) || one.place - other.place);
      state.list = list;
      state.made = 0;
      byId("cases").replaceChildren();
      byId("count").textContent = `${list.length} of ${cases.length} images`;
      addChunk();
    }
    function addChunk() {
      const order = byId("order").value;
      const part = document.createDocumentFragment();
      const old = byId("cases").querySelector("[data-more]");
      if (old) old.remove();
      for (const entry of state.list.slice(state.made, state.made + CHUNK)) part.append(listItem(entry, order));
      state.made += CHUNK;
      if (state.made < state.list.length) {
        const more = make("li", "", { "data-more": "1" });
        part.append(more);
        seen.observe(more);
      }
      byId("cases").append(part);
    }
    function listItem(entry, order) {
      const { item } = entry;
      const link = make("a", null, { href: hashOf(item, state.left, state.right) });
      link.dataset.place = entry.place;
      const thumb = make("span", null, { class: "thumb" });
      if (item[3].length) {
        const image = make("img", null, { alt: "" });
        image.dataset.src = `images/small/${columns[item[0]].folder}/${item[2]}.webp`;
        thumb.append(image);
        seen.observe(image);
      }
      const shown = order === "range" ? `range ${text(entry.range, 0)}${unit(0)}` : `${text(entry.mean, 0)}${unit(0)}`;
      link.append(thumb, make("span", item[1], { class: "title", title: item[1] }), make("span", `${columns[item[0]].short} · ${shown}`, { class: "value" }));
      if (state.current === item) link.setAttribute("aria-current", "true");
      const row = make("li");
      row.append(link);
      return row;
    }

    // The address: column, image, left and right, so that a link shows the same.
    function hashOf(item, left, right) {
      const parts = [columns[item[0]].name, item[1], sources[left].key, sources[right].key];
      return "#" + parts.map(encodeURIComponent).join("/");
    }
    function fromHash() {
      let parts;
      try { parts = location.hash.slice(1).split("/").map(decodeURIComponent); } catch { return; }
      const item = cases.find((one) => columns[one[0]].name === parts[0] && one[1] === parts[1]);
      if (!item) return;
      for (const [side, key] of [["left", parts[2]], ["right", parts[3]]]) {
        const place = sources.findIndex((source) => source.key === key);
        if (place >= 0) state[side] = place;
      }
      show(item);
    }
    function go(item) {
      const hash = hashOf(item, state.left, state.right);
      if (location.hash === hash) show(item); else location.hash = hash;
    }
    function update() {
      if (!state.current) return;
      location.replace(hashOf(state.current, state.left, state.right));
      show(state.current);
    }

    // The viewer.
    const stage = byId("stage");
    const fullSeen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        fullSeen.unobserve(entry.target);
        entry.target.src = entry.target.dataset.src;
      }
    }, { rootMargin: "300px" });
    function fullImage(item, place) {
      const source = sources[place];
      if (!item[3].includes(place)) {
        return make("p", `${source.label}: this image is not kept; python -m harness report --images all keeps all`, { class: "missing" });
      }
      const image = make("img", null, { alt: `${source.label} of ${item[1]}, ${columns[item[0]].label}`, draggable: "false" });
      image.dataset.src = `${source.folder}/${columns[item[0]].folder}/${item[2]}.png`;
      fullSeen.observe(image);
      return image;
    }
    function fitPanes(item, isGrid) {
      // Sizes are known before images are loaded, so that nothing on the page jumps.
      const [width, height] = item[5] || [3, 2];
      state.natural = width;
      for (const pane of stage.querySelectorAll(".pane")) {
        pane.style.aspectRatio = `${width} / ${height}`;
        pane.style.width = isGrid ? "100%" : `min(100%, ${(72 * width / height).toFixed(2)}vh)`;
      }
    }
    function layer(name, item, place) {
      const element = make("div", null, { class: `layer ${name}` });
      element.append(fullImage(item, place));
      return element;
    }
    function show(item) {
      if (state.current !== item) { state.zoom = 1; state.x = 0; state.y = 0; }
      state.current = item;
      for (const link of byId("cases").querySelectorAll("a")) {
        if (cases[Number(link.dataset.place)] === item) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
      byId("left").value = state.left;
      byId("right").value = state.right;
      byId("case-title").textContent = `${item[1]}, ${columns[item[0]].short}`;
      const place = state.list.findIndex((entry) => entry.item === item);
      byId("previous").disabled = place <= 0;
      byId("next").disabled = place < 0 || place >= state.list.length - 1;
      const isGrid = byId("view").value === "grid";
      stage.className = `stage ${isGrid ? "grid" : "slider"}`;
      byId("divider-line").hidden = isGrid;
      for (const part of document.querySelectorAll(".of-slider")) part.hidden = isGrid;
      stage.replaceChildren(...(isGrid ? gridParts(item) : sliderParts(item)));
      fitPanes(item, isGrid);
      showValues(item);
      applyZoom();
    }
    function sideText(item, place) {
      const value = valueOf(item, sources[place], 0);
      return value === null ? sources[place].label : `${sources[place].label} ${text(value, 0)}${unit(0)}`;
    }
    function sliderParts(item) {
      const pane = make("div", null, { class: "pane" });
      pane.append(
        layer("before", item, state.left), layer("after", item, state.right),
        make("span", sideText(item, state.left), { class: "side left" }),
        make("span", sideText(item, state.right), { class: "side right" }),
        make("div", null, { class: "handle" }),
      );
      return [pane];
    }
    function gridParts(item) {
      return sources.map((source, place) => {
        const figure = make("figure"), pane = make("div", null, { class: "pane" });
        pane.append(layer("whole", item, place));
        const caption = make("figcaption");
        const value = source.values === null ? "" : `${text(valueOf(item, source, 0), 0)}${unit(0)}`;
        caption.append(make("span", source.label), make("span", value));
        figure.append(pane, caption);
        return figure;
      });
    }
    function showValues(item) {
      const head = make("tr");
      head.append(make("th", "Method", { scope: "col" }));
      for (const metric of metrics) head.append(make("th", metric.label + (metric.unit ? ` ${metric.unit}` : ""), { scope: "col", class: "first" }));
      const thead = make("thead"), body = make("tbody", null, { class: "methods" });
      thead.append(head);
      for (const source of sources) {
        if (source.values === null) continue;
        const row = make("tr", null, { class: "row" });
        const name = make("th", null, { scope: "row" });
        name.append(make("span", source.label, { class: "label" }));
        row.append(name);
        metrics.forEach((metric, place) => {
          const cell = make("td"), shown = text(valueOf(item, source, place), place);
          cell.append(make("button", shown, {
            type: "button", class: "n",
            "data-sources": [source.source, columns[item[0]].source, content.scoring].filter((one) => one !== null).join(" "),
            "data-what": `${metric.label} of ${source.label} on ${item[1]}, ${columns[item[0]].label}: ${shown}${unit(place)}`,
          }));
          row.append(cell);
        });
        body.append(row);
      }
      byId("values").replaceChildren(make("caption", "Values of this image", { class: "vh" }), thead, body);
    }
    function step(by) {
      const place = state.list.findIndex((entry) => entry.item === state.current) + by;
      if (place < 0 || place >= state.list.length) return;
      while (state.made <= place) addChunk();
      go(state.list[place].item);
    }

    // Zoom: one state for all panes, in parts of a pane, so that they keep in step.
    function applyZoom() {
      state.zoom = Math.min(32, Math.max(1, state.zoom));
      state.x = Math.min(0, Math.max(1 - state.zoom, state.x));
      state.y = Math.min(0, Math.max(1 - state.zoom, state.y));
      for (const [name, value] of [["--zoom", state.zoom], ["--x", state.x], ["--y", state.y], ["--split", state.split]]) {
        stage.style.setProperty(name, String(value));
      }
      byId("zoom").textContent = `${Math.round(100 * state.zoom)}%`;
      byId("divider").value = state.split;
      stage.classList.toggle("zoomed", state.zoom > 1);
      const pane = stage.querySelector(".pane");
      const isLarge = pane && state.natural && pane.clientWidth * state.zoom >= 2 * state.natural;
      stage.classList.toggle("pixels", Boolean(isLarge));
      for (const one of stage.querySelectorAll(".pane")) one.style.touchAction = state.zoom > 1 ? "none" : "pan-y";
    }
    function zoomAt(factor, u, v) {
      const before = state.zoom;
      state.zoom = Math.min(32, Math.max(1, before * factor));
      const real = state.zoom / before;
      state.x = u - (u - state.x) * real;
      state.y = v - (v - state.y) * real;
      applyZoom();
    }
    function partOf(pane, event) {
      const box = pane.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    }
    stage.addEventListener("wheel", (event) => {
      const pane = event.target.closest(".pane");
      if (!pane) return;
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), ...partOf(pane, event));
    }, { passive: false });

    const fingers = new Map();
    let moves = null;
    stage.addEventListener("pointerdown", (event) => {
      const pane = event.target.closest(".pane");
      if (!pane || event.button > 0) return;
      fingers.set(event.pointerId, partOf(pane, event));
      const isHandle = event.target.classList.contains("handle");
      const isSlider = stage.classList.contains("slider");
      moves = { pane, divider: isSlider && (isHandle || state.zoom === 1) };
      pane.setPointerCapture(event.pointerId);
      if (moves.divider && fingers.size === 1) moveDivider(fingers.get(event.pointerId)[0]);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId) || !moves) return;
      const [u, v] = partOf(moves.pane, event), [oldU, oldV] = fingers.get(event.pointerId);
      if (fingers.size === 2) pinch(event.pointerId, u, v);
      else if (moves.divider) moveDivider(u);
      else { state.x += u - oldU; state.y += v - oldV; applyZoom(); }
      fingers.set(event.pointerId, [u, v]);
    });
    function pinch(id, u, v) {
      const other = [...fingers.entries()].find(([one]) => one !== id)[1];
      const [oldU, oldV] = fingers.get(id);
      const before = Math.hypot(oldU - other[0], oldV - other[1]), after = Math.hypot(u - other[0], v - other[1]);
      if (before > 0) zoomAt(after / before, (u + other[0]) / 2, (v + other[1]) / 2);
    }
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => { fingers.delete(event.pointerId); if (!fingers.size) moves = null; });
    }
    function moveDivider(part) {
      state.split = Math.round(1000 * Math.min(1, Math.max(0, part))) / 10;
      applyZoom();
    }
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      if (event.key === "+" || event.key === "=") zoomAt(1.25, 0.5, 0.5);
      else if (event.key === "-") zoomAt(0.8, 0.5, 0.5);
      else if (event.key === "0") fit();
      else if (event.key in arrows && state.zoom > 1) {
        state.x += 0.1 * arrows[event.key][0];
        state.y += 0.1 * arrows[event.key][1];
        applyZoom();
      } else if (arrows[event.key] && arrows[event.key][0] && stage.classList.contains("slider")) {
        moveDivider(state.split / 100 - 0.02 * arrows[event.key][0]);
      } else return;
      event.preventDefault();
    });
    function fit() { state.zoom = 1; state.x = 0; state.y = 0; applyZoom(); }

    byId("divider").addEventListener("input", () => moveDivider(Number(byId("divider").value) / 100));
    byId("zoom-in").addEventListener("click", () => zoomAt(1.5, 0.5, 0.5));
    byId("zoom-out").addEventListener("click", () => zoomAt(1 / 1.5, 0.5, 0.5));
    byId("zoom-fit").addEventListener("click", fit);
    byId("previous").addEventListener("click", () => step(-1));
    byId("next").addEventListener("click", () => step(1));
    byId("view").addEventListener("input", () => { if (state.current) show(state.current); });
    byId("swap").addEventListener("click", () => { [state.left, state.right] = [state.right, state.left]; update(); });
    for (const side of ["left", "right"]) {
      byId(side).addEventListener("input", () => { state[side] = Number(byId(side).value); update(); });
    }
    for (const id of ["column", "order", "of", "name"]) byId(id).addEventListener("input", makeList);
    window.addEventListener("hashchange", fromHash);

    // To begin with: the input against the first method.
    state.right = Math.max(sources.findIndex((source) => source.ranked), 1);
    makeList();
    fromHash();
    if (!state.current && state.list.length) show(state.list[0].item);
    page.dataset.ready = "true";
  }

  document.addEventListener("DOMContentLoaded", () => {
    const button = byId("theme");
    button.hidden = false;
    setTheme(theme);
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      setTheme(theme);
    });
    byId("sources-close").addEventListener("click", () => byId("sources").close());
    byId("sources").addEventListener("click", (event) => { if (event.target === byId("sources")) byId("sources").close(); });
    document.addEventListener("click", (event) => {
      const number = event.target.closest("button.n");
      if (number) openSources(number);
    });
    for (const section of document.querySelectorAll("section.table, .protocol")) setUpTable(section);
    const board = document.querySelector(".board");
    if (board) setUpLeaderboard(board);
    const browser = byId("browser");
    if (browser) load("images").then((content) => setUpBrowser(browser, content));
    else page.dataset.ready = "true";
  });
})();
