// Colours of the present theme, and canvases with axes of their own.
const canvas = (() => {
  const FONT = 'system-ui, "DejaVu Sans", sans-serif';
  const theme = {};
  function readTheme() {
    const style = getComputedStyle(document.documentElement);
    const names = 'paper ink soft line low high good positive negative removed latent feature';
    for (const name of names.split(' ')) theme[name] = style.getPropertyValue('--' + name).trim();
    theme.dark = matchMedia('(prefers-color-scheme: dark)').matches;
  }

  const rgb = hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16));
  const hex = colour => '#' + colour.map(v => Math.round(v).toString(16).padStart(2, '0')).join('');
  const mix = (a, b, t) => a.map((v, k) => v + (b[k] - v) * t);
  function luminance(colour) {
    const linear = rgb(colour).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }
  const inkOn = colour => luminance(colour) > 0.2 ? '#111111' : '#ffffff'; // ink that can be read on it

  // A canvas that fills its column. margin: top, right, bottom, left; height: of its width; x0 … y1: ends of axes.
  function surface(id, margin, height) {
    const element = document.getElementById(id), c = element.getContext('2d'), [top, right, bottom, left] = margin;
    const plot = { element, c, x0: 0, x1: 1, y0: 0, y1: 1 };
    plot.fit = (given = null) => {
      const w = Math.max(60, element.clientWidth), h = given ?? Math.round(height(w));
      const scale = Math.min(2, devicePixelRatio || 1);
      if (plot.w !== w || plot.h !== h || plot.scale !== scale) {
        Object.assign(plot, { w, h, scale });
        element.width = Math.round(w * scale);
        element.height = Math.round(h * scale);
        element.style.height = h + 'px';
      }
      Object.assign(plot, { left, top, right: w - right, bottom: h - bottom, aside: 0 });
      c.setTransform(scale, 0, 0, scale, 0, 0);
      c.clearRect(0, 0, w, h);
      return plot;
    };
    plot.square = () => { // axes of equal length, in the middle; answers their length
      const side = Math.min(plot.right - plot.left, plot.bottom - plot.top), aside = (plot.right - plot.left - side) / 2;
      Object.assign(plot, { left: plot.left + aside, right: plot.right - aside, aside });
      return side;
    };
    plot.x = x => plot.left + (x - plot.x0) / (plot.x1 - plot.x0) * (plot.right - plot.left);
    plot.y = y => plot.bottom + (y - plot.y0) / (plot.y1 - plot.y0) * (plot.top - plot.bottom);
    plot.at = event => { // a pointer's place: on the axes, and in pixels
      const box = element.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
      const x = plot.x0 + (px - plot.left) / (plot.right - plot.left) * (plot.x1 - plot.x0);
      const y = plot.y0 + (py - plot.bottom) / (plot.top - plot.bottom) * (plot.y1 - plot.y0);
      return [x, y, px, py];
    };
    plot.text = (text, x, y, { align = 'left', base = 'alphabetic', size = 12, weight = 400, ...paint } = {}) => {
      const { colour = theme.ink, halo = theme.paper } = paint;
      c.font = `${weight} ${size}px ${FONT}`;
      c.textAlign = align;
      c.textBaseline = base;
      if (halo) {
        c.strokeStyle = halo;
        c.lineWidth = 4;
        c.lineJoin = 'round';
        c.strokeText(text, x, y);
      }
      c.fillStyle = colour;
      c.fillText(text, x, y);
    };
    plot.note = (text, x, y, more = {}) => plot.text(text, x, y, { colour: theme.soft, halo: null, ...more });
    plot.width = (text, size = 12, weight = 400) => {
      c.font = `${weight} ${size}px ${FONT}`;
      return c.measureText(text).width;
    };
    plot.path = (points, colour, width = 1.5, dash = []) => {
      c.beginPath();
      c.setLineDash(dash);
      c.strokeStyle = colour;
      c.lineWidth = width;
      c.lineJoin = 'round';
      points.forEach(([x, y], k) => k ? c.lineTo(x, y) : c.moveTo(x, y));
      c.stroke();
      c.setLineDash([]);
    };
    plot.dot = (x, y, radius, fill, stroke, width = 1.5) => {
      c.beginPath();
      c.arc(x, y, radius, 0, 2 * Math.PI);
      if (fill) {
        c.fillStyle = fill;
        c.fill();
      }
      if (stroke) {
        c.strokeStyle = stroke;
        c.lineWidth = width;
        c.stroke();
      }
    };
    plot.diamond = (x, y, around = false) => { // where an input lands in the plane; around: it frames what is there
      c.save();
      c.translate(x, y);
      c.rotate(Math.PI / 4);
      if (around) for (const [colour, width] of [[theme.paper, 6], [theme.good, 3]]) plot.box(-13, -13, 26, 26, colour, width);
      else for (const [colour, half] of [[theme.paper, 7], [theme.good, 5]]) plot.rect(-half, -half, 2 * half, 2 * half, colour);
      c.restore();
    };
    plot.rect = (x, y, w, h, colour) => {
      c.fillStyle = colour;
      c.fillRect(x, y, w, h);
    };
    plot.box = (x, y, w, h, colour, width = 1) => {
      c.strokeStyle = colour;
      c.lineWidth = width;
      c.strokeRect(x, y, w, h);
    };
    plot.hatch = (x, y, w, h, colour) => {
      c.save();
      c.beginPath();
      c.rect(x, y, w, h);
      c.clip();
      for (let d = -h; d < w; d += 5) plot.path([[x + d, y], [x + d + h, y + h]], colour, 1.6);
      c.restore();
      plot.box(x + 0.5, y + 0.5, w - 1, h - 1, colour);
    };
    plot.frame = () => {
      plot.box(plot.left + 0.5, plot.top + 0.5, plot.right - plot.left - 1, plot.bottom - plot.top - 1, theme.soft);
    };
    plot.clip = draw => {
      c.save();
      c.beginPath();
      c.rect(plot.left, plot.top, plot.right - plot.left, plot.bottom - plot.top);
      c.clip();
      draw();
      c.restore();
    };
    plot.titles = (x, y) => {
      if (x) plot.note(x, (plot.left + plot.right) / 2, plot.h - 5, { align: 'center' });
      if (!y) return;
      c.save();
      c.translate(12 + plot.aside, (plot.top + plot.bottom) / 2);
      c.rotate(-Math.PI / 2);
      plot.note(y, 0, 0, { align: 'center' });
      c.restore();
    };
    // Ticks of an axis: lines and values, short lines at minor ones; place: where a value stands on the axis.
    plot.ticks = (axis, values, { minor = [], place = v => v } = {}) => {
      const line = (v, length) => {
        const k = Math.round(plot[axis](place(v))) + 0.5;
        if (axis === 'x') plot.path([[k, plot.bottom], [k, plot.bottom + length]], theme.soft, 1);
        else plot.path([[plot.left, k], [plot.left - length, k]], theme.soft, 1);
      };
      for (const v of minor) line(v, 3);
      for (const v of values) {
        line(v, 6);
        if (axis === 'x') plot.note(format.minus(v), plot.x(place(v)), plot.bottom + 18, { align: 'center' });
        else plot.note(format.minus(v), plot.left - 9, plot.y(place(v)), { align: 'right', base: 'middle' });
      }
    };
    const decades = { place: Math.log10 };
    plot.logTicks = (axis, values, from) => {
      const minor = from.flatMap(decade => [2, 3, 4, 5, 6, 7, 8, 9].map(k => k * decade));
      const [a, b] = [plot[axis + 0], plot[axis + 1]], inside = v => (Math.log10(v) - a) * (Math.log10(v) - b) < 0;
      plot.ticks(axis, values, { minor: minor.filter(inside), ...decades });
    };
    plot.lossTicks = () => { // y is the logarithm of a loss
      let last = Infinity;
      for (let e = -4; e < 1; e++) for (const k of [1, 2, 5]) {
        const v = Number((k * 10 ** e).toPrecision(1)), t = Math.log10(v), y = plot.y(t);
        if (t <= plot.y0 || t >= plot.y1 || last - y < 22) continue;
        plot.ticks('y', [v], decades);
        last = y;
      }
      if (last < Infinity) return;
      const between = k => Number((10 ** (plot.y0 + k * (plot.y1 - plot.y0))).toPrecision(4));
      plot.ticks('y', [0.1, 0.5, 0.9].map(between), decades); // closer together than 1, 2, 5
    };
    return plot;
  }

  // Pointer: move(at) on the way; down(at) may answer false, which starts no drag; handle(at): the place of what is
  // dragged. A finger drags from there alone, so that it scrolls the page elsewhere; its tap moves the handle too.
  function drag(plot, { move, down = () => true, up = () => {}, handle }) {
    const { element } = plot;
    let active = false;
    const begin = event => {
      const at = plot.at(event), [x, y] = handle ? handle(at) : at, far = handle ? Math.hypot(x - at[2], y - at[3]) : Infinity;
      const free = event.type === 'click' || event.pointerType !== 'touch' || !handle || far < 30;
      active = !event.button && free && down(at);
      if (active && far > 22) move(at);
      return active;
    };
    element.addEventListener('pointerdown', event => {
      if (!begin(event)) return;
      element.setPointerCapture(event.pointerId);
      if (event.pointerType !== 'touch') element.focus({ preventScroll: true });
      event.preventDefault();
    });
    element.addEventListener('touchstart', event => { // after pointerdown: without a drag a finger scrolls the page
      if (active) event.preventDefault();
    }, { passive: false });
    element.addEventListener('pointermove', event => {
      if (active) move(plot.at(event));
    });
    const end = () => {
      if (active) up();
      active = false;
    };
    for (const name of ['pointerup', 'pointercancel']) element.addEventListener(name, end);
    element.addEventListener('click', event => { // of a finger that neither dragged nor scrolled
      if (event.pointerType === 'touch' && begin(event)) end();
    });
  }
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  function keys(plot, move, other = () => false) { // other answers whether it used the key
    plot.element.addEventListener('keydown', event => {
      const step = STEPS[event.key];
      if (step) move(step.map(v => v * (event.shiftKey ? 5 : 1)));
      if (step || other(event.key)) event.preventDefault();
    });
  }
  return { theme, readTheme, rgb, hex, mix, inkOn, surface, drag, keys };
})();
