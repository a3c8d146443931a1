"use strict";
// Makes the page's pictures ones that can be clicked through. All names come from the heap: they are only ever set as text.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const APPROXIMATE = 1, WORDS = 2;
  const CHARACTER = 6.8, ROW = 22, ROWS = 40;

  const element = (name, attributes = {}, text) => {
    const svg = ["svg", "g", "rect", "text", "title"].includes(name);
    const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const number = (n) => n.toLocaleString("en-US");
  const size = (n) => {
    if (n < 1024) return `${n} B`;
    const units = ["KB", "MB", "GB", "TB", "PB", "EB"];
    let unit = -1;
    do { n /= 1024; unit += 1; } while (n >= 1023.95 && unit + 1 < units.length);
    return `${n.toFixed(1)} ${units[unit]}`;
  };
  const read = (id) => {
    const data = document.getElementById(id);
    return data && JSON.parse(data.textContent);
  };

  class Chart {
    constructor(place, data, unit, kinds) {
      Object.assign(this, { place, data, unit, kinds, kind: kinds[0], root: 0, at: 0 });
      const boxes = data.parent.length;
      this.inside = Array.from({ length: boxes }, () => []);
      for (let i = 1; i < boxes; i += 1) this.inside[data.parent[i]].push(i);
      for (const list of this.inside) list.sort((a, b) => data.value[b] - data.value[a] || a - b);
      place.replaceChildren();
      place.setAttribute("role", "group");
      this.bar = place.appendChild(element("div", { class: "bar" }));
      for (const kind of kinds.length > 1 ? kinds : []) {
        const button = element("button", { type: "button", "data-kind": kind }, kind[0].toUpperCase() + kind.slice(1));
        button.addEventListener("click", () => { this.kind = kind; this.draw(); });
        this.bar.append(button);
      }
      this.trail = place.appendChild(element("ol", { class: "trail", "aria-label": "Where you are" }));
      this.area = place.appendChild(element("div"));
      this.said = place.appendChild(element("p", { class: "said", "aria-live": "polite" }));
      this.left = place.appendChild(element("p", { class: "hint" }));
      const keys = "Click a box to go into it, and a name above to come back. Keys: arrows move, Enter goes in, Backspace or Escape comes back.";
      place.append(element("p", { class: "hint" }, keys));
      this.area.addEventListener("keydown", (event) => this.key(event));
      let width = 0;
      new ResizeObserver(() => {
        if (place.clientWidth !== width) { width = place.clientWidth; this.draw(); }
      }).observe(place);
    }

    name(i) {
      const { data } = this, name = data.names[data.name[i]], label = data.label[i];
      if (label !== undefined) return name === "java.lang.Class" ? `class ${label}` : `${name} (${label})`;
      if (this.unit === "bytes" && data.count[i] > 1) {
        return data.flags[i] & WORDS ? `${name}: ${number(data.count[i])} objects` : `${number(data.count[i])} × ${name}`;
      }
      return name;
    }
    amount(value) {
      return this.unit === "bytes" ? size(value) : `${number(value)} ${value === 1 ? "thread" : "threads"}`;
    }
    about(i) {
      const { data } = this, of = (100 * data.value[i]) / (data.value[0] || 1);
      const parts = [(data.flags[i] & APPROXIMATE ? "≈ " : "") + this.amount(data.value[i]), `${of.toFixed(1)} % of all`];
      if (data.own[i] > 0 && this.unit === "bytes" && i > 0) parts.push(`${size(data.own[i])} its own`);
      if (data.address[i]) parts.push(`at ${data.address[i]}`);
      return parts.join(", ");
    }
    colour(i) {
      const { data } = this;
      if (data.flags[i] & WORDS) return 0;
      const name = data.names[data.name[i]], dot = name.lastIndexOf(".");
      let hash = 0x811c9dc5;
      for (let k = 0; k < dot; k += 1) hash = Math.imul(hash ^ name.charCodeAt(k), 0x01000193) >>> 0;
      return (hash % 8) + 1;
    }
    fitted(text, room) {
      if (text.length <= room) return text;
      const [, before, name] = /^(.*?× |class )?(.*)$/su.exec(text);
      const parts = name.split(" (")[0].split(".");
      // Of a frame the class and the method.
      const short = (before ?? "") + parts.slice(this.unit === "threads" ? -2 : -1).join(".");
      return short.length <= room ? short : `${short.slice(0, room - 1)}…`;
    }

    // Boxes as [number, x, y, width, height, depth].
    treemap(w, h) {
      const out = [], scale = (w * h) / (this.data.value[this.root] || 1);
      const lay = (parent, x, y, w, h, scale, depth) => {
        const list = this.inside[parent].filter((i) => this.data.value[i] * scale >= 1);
        this.thin += this.inside[parent].length - list.length;
        for (let from = 0; from < list.length;) {
          const side = Math.min(w, h);
          const worst = (to) => {
            let sum = 0, least = Infinity, most = 0;
            for (let k = from; k < to; k += 1) {
              const area = this.data.value[list[k]] * scale;
              sum += area; least = Math.min(least, area); most = Math.max(most, area);
            }
            return Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least));
          };
          let to = from + 1;
          while (to < list.length && worst(to + 1) <= worst(to)) to += 1;
          const sum = list.slice(from, to).reduce((all, i) => all + this.data.value[i] * scale, 0);
          const depthOfRow = side > 0 ? sum / side : 0, upright = w >= h;
          let at = 0;
          for (; from < to; from += 1) {
            const length = depthOfRow > 0 ? (this.data.value[list[from]] * scale) / depthOfRow : 0;
            const box = upright ? [x, y + at, depthOfRow, length] : [x + at, y, length, depthOfRow];
            out.push([list[from], ...box, depth]);
            // What lies in it, below its name.
            const [bx, by, bw, bh] = box;
            if (depth === 0 && bw > 60 && bh > 60 && this.inside[list[from]].length) {
              const room = [bx + 3, by + 20, bw - 6, bh - 23];
              lay(list[from], ...room, (room[2] * room[3]) / this.data.value[list[from]], 1);
            }
            at += length;
          }
          if (upright) { x += depthOfRow; w = Math.max(0, w - depthOfRow); } else { y += depthOfRow; h = Math.max(0, h - depthOfRow); }
        }
      };
      lay(this.root, 0, 0, w, h, scale, 0);
      return out;
    }
    icicle(w) {
      const out = [], next = [[this.root, 0, w, 0]];
      while (next.length) {
        const [i, x, width, depth] = next.shift();
        out.push([i, x, depth * ROW, width, ROW, depth]);
        if (depth + 1 >= ROWS) { this.thin += this.inside[i].length; continue; }
        let at = x;
        for (const k of this.inside[i]) {
          const part = (width * this.data.value[k]) / (this.data.value[i] || 1);
          if (part >= 1) next.push([k, at, part, depth + 1]); else this.thin += 1;
          at += part;
        }
      }
      return out;
    }

    draw(focus) {
      const w = Math.max(200, this.place.clientWidth - 2);
      const isMap = this.kind === "treemap";
      let h = Math.round(Math.min(Math.max(w * 0.55, 380), 620));
      this.thin = 0;
      const boxes = isMap ? this.treemap(w, h) : this.icicle(w);
      this.left.textContent = this.thin ? `${number(this.thin)} ${this.thin === 1 ? "box is" : "boxes are"} too small to be drawn here.` : "";
      if (!isMap) h = ROW * (1 + Math.max(0, ...boxes.map((b) => b[5])));
      const svg = element("svg", { viewBox: `0 0 ${w} ${h}`, width: w, height: h, role: "group" });
      svg.setAttribute("aria-label", `${this.place.getAttribute("aria-label")}: in ${this.name(this.root)}, ${boxes.length} boxes`);
      this.boxes = new Map();
      for (const [i, x, y, bw, bh, depth] of boxes) {
        const isButton = !isMap || depth === 0;
        const opens = this.inside[i].length > 0 && i !== this.root;
        const g = element("g", { class: `b c${this.colour(i)}${opens ? " opens" : ""}`, "data-box": i });
        if (isButton) {
          g.setAttribute("tabindex", "-1");
          g.setAttribute("role", "button");
          g.setAttribute("aria-label", `${this.name(i)}, ${this.about(i)}${opens || i === this.root ? "" : ", nothing to open"}`);
          g.addEventListener("focus", () => this.show(i));
          this.boxes.set(i, { g, x, y, w: bw, h: bh });
        } else {
          g.setAttribute("aria-hidden", "true");
        }
        g.append(element("title", {}, `${this.name(i)}, ${this.about(i)}`));
        g.append(element("rect", { x, y, width: bw, height: bh }));
        const room = Math.floor((bw - 8) / CHARACTER);
        if (room >= 4 && bh >= 18) {
          g.append(element("text", { x: x + 4, y: y + 15 }, this.fitted(this.name(i), room)));
          const isOpen = isMap && depth === 0 && bw > 60 && bh > 60 && this.inside[i].length;
          if (isMap && bh >= 34 && room >= 9 && !isOpen) g.append(element("text", { x: x + 4, y: y + 30 }, this.amount(this.data.value[i])));
        }
        g.addEventListener("click", () => this.go(isButton ? i : this.data.parent[i]));
        // A picture that is drawn anew under a pointer at rest is not pointed at.
        g.addEventListener("pointermove", (event) => { if (event.movementX || event.movementY) this.show(i); });
        svg.append(g);
      }
      this.area.replaceChildren(svg);
      for (const button of this.bar.children) button.setAttribute("aria-pressed", String(button.dataset.kind === this.kind));
      const trail = [];
      for (let i = this.root; ; i = this.data.parent[i]) { trail.unshift(i); if (i === 0) break; }
      this.trail.replaceChildren(...trail.map((i) => {
        const item = element("li"), button = element("button", { type: "button" }, this.name(i));
        if (i === this.root) button.setAttribute("aria-current", "location");
        button.addEventListener("click", () => this.go(i, true));
        item.append(button);
        return item;
      }));
      this.rest(focus ?? (this.boxes.has(this.at) ? this.at : this.boxes.keys().next().value), focus !== undefined);
      if (focus === undefined) this.show(this.root);
    }
    // One box can be reached by Tab, the others by arrows from it.
    rest(i, isFocused) {
      this.boxes.get(this.at)?.g.setAttribute("tabindex", "-1");
      const box = this.boxes.get(i);
      if (!box) return;
      this.at = i;
      box.g.setAttribute("tabindex", "0");
      if (isFocused) box.g.focus({ preventScroll: true });
    }
    show(i) {
      this.said.replaceChildren(element("code", {}, this.name(i)), document.createTextNode(`: ${this.about(i)}`));
    }
    go(i, up) {
      if (i === this.root && !up) return this.rest(i, true);
      if (!this.inside[i].length) return this.rest(this.boxes.has(i) ? i : this.at, true);
      const from = this.root;
      this.root = i;
      this.draw(null);
      const back = up && this.boxes.has(from) ? from : this.kind === "treemap" ? this.inside[i][0] : i;
      this.rest(back, true);
    }
    key(event) {
      const { data, at } = this;
      const beside = (step) => {
        const list = at === this.root ? [at] : this.inside[data.parent[at]].filter((i) => this.boxes.has(i));
        return list[list.indexOf(at) + step];
      };
      // The box that begins where this one ends, the one farthest to the upper left of several.
      const nearest = (dx, dy) => {
        const from = this.boxes.get(at);
        let best, least = Infinity;
        for (const [i, to] of this.boxes) {
          const gap = dx > 0 ? to.x - from.x - from.w : dx < 0 ? from.x - to.x - to.w : dy > 0 ? to.y - from.y - from.h : from.y - to.y - to.h;
          const [a, b, c, d] = dx ? [from.y, from.y + from.h, to.y, to.y + to.h] : [from.x, from.x + from.w, to.x, to.x + to.w];
          const aside = Math.max(0, c - b + 1, a - d + 1);
          const far = gap + 4 * aside + Math.abs(c - a) / 1000;
          if (i !== at && gap > -1 && far < least) { least = far; best = i; }
        }
        return best;
      };
      const isMap = this.kind === "treemap";
      let to;
      switch (event.key) {
        case "ArrowRight": to = isMap ? nearest(1, 0) : beside(1); break;
        case "ArrowLeft": to = isMap ? nearest(-1, 0) : beside(-1); break;
        case "ArrowDown": to = isMap ? nearest(0, 1) : this.inside[at].find((i) => this.boxes.has(i)); break;
        case "ArrowUp": to = isMap ? nearest(0, -1) : at === this.root ? undefined : data.parent[at]; break;
        case "Home": to = this.boxes.keys().next().value; break;
        case "Enter": case " ": this.go(at); break;
        case "Backspace": case "Escape": if (this.root !== 0) this.go(data.parent[this.root], true); break;
        default: return;
      }
      event.preventDefault();
      if (to !== undefined && this.boxes.has(to)) this.rest(to, true);
    }
  }

  for (const [name, kinds] of [["heap", ["treemap", "icicle"]], ["threads", ["icicle"]]]) {
    const place = document.getElementById(`${name}-chart`), data = read(`${name}-data`);
    if (place && data && data.parent.length) new Chart(place, data, place.dataset.unit, kinds);
  }
  // Printed, all is open.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
})();
