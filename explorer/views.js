(() => {
  const $ = id => document.getElementById(id), root = document.documentElement;
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const short = (x, digits = 3) => { const s = Number(x).toPrecision(digits); return s.includes('e') ? Number(x).toExponential(digits - 1) : s; };
  const minus = text => String(text).replace(/-/g, '\u2212');
  const fixed = (x, digits = 2) => { const s = x.toFixed(digits); return minus(Number(s) === 0 ? (0).toFixed(digits) : s); };
  const percent = x => { const h = 100 * x, f = Math.floor(h); return `${Math.abs(h - f - 0.5) < 1e-6 ? f + f % 2 : Math.round(h)} %`; }; // halves to even, as in the figures' numbers
  const EXTENT = 1.5, POINTS = 49, TOP = 2.4, COLOURS = DATA.colours, PHASES = ['IGNORED', 'DEDICATED', 'SUPERPOSITION'];
  const ARROWS = ['#4a1c00', '#8a3a00', '#c25200', '#e66101', '#f08a3c', '#f7b27a'], ARROWS_DARK = ['#ffe3c7', '#fdc896', '#f7a45a', '#ee7d22', '#d06010', '#a84e0d'];

  // ---- state, the address, presets ----
  const DEFAULTS = { view: 'one', preset: '', p: 0.2, r: 0.5, layer: 'phase', ground: 'loss', start: [0.5, 0.9], optimizer: 'adam', lr: 0.03, n: 5, ratio: 0.9, W: null, b: null };
  const PRESETS = {
    superposition: {}, dense: { view: 'two', p: 1 }, triangle: { view: 'two', p: 0.63 }, pairs: { view: 'two', p: 0.2 },
    pentagon: { view: 'two', p: 0.1 }, starts: { view: 'two', p: 0.2 },
  };
  const number = (low, high) => text => /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) && Number(text) >= low && Number(text) <= high ? Number(text) : undefined;
  const one = (...names) => text => names.includes(text) ? text : undefined;
  const list = text => { const values = text.split(',').map(number(-3, 3)); return values.length && values.every(v => v !== undefined) ? values : undefined; };
  const READ = {
    view: one('one', 'two'), preset: one(...Object.keys(PRESETS)), p: number(0.01, 1), r: number(0.1, 10), layer: one('phase', 'success'), ground: one('loss', 'basins'),
    start: text => { const v = list(text); return v && v.length === 2 ? v.map(w => clamp(w, -EXTENT, EXTENT)) : undefined; },
    optimizer: one('adam', 'gd'), lr: number(0.001, 1), n: text => { const v = number(2, 6)(text); return Number.isInteger(v) ? v : undefined; }, ratio: number(0.5, 1), W: list, b: list,
  };
  let state;
  function read(text) {
    const given = {};
    for (const part of text.replace(/^#/, '').split('&')) {
      const [key, value] = part.split('=');
      if (!Object.hasOwn(READ, key) || value === undefined) continue;
      let plain;
      try { plain = decodeURIComponent(value); } catch { continue; }
      const v = READ[key](plain);
      if (v !== undefined) given[key] = v;
    }
    const next = { ...DEFAULTS, start: [...DEFAULTS.start], ...(PRESETS[given.preset] || {}), ...given };
    if (!next.W || !next.b || next.W.length !== 2 * next.n || next.b.length !== next.n) next.W = next.b = null;
    return next;
  }
  function write() {
    const base = { ...DEFAULTS, ...(PRESETS[state.preset] || {}) }, parts = [];
    for (const key of Object.keys(DEFAULTS)) {
      const value = state[key];
      if (value === null || value === '' || JSON.stringify(value) === JSON.stringify(key === 'preset' ? '' : base[key])) continue;
      parts.push(`${key}=${Array.isArray(value) ? value.map(v => +v.toFixed(4)).join(',') : typeof value === 'number' ? +value.toPrecision(5) : value}`);
    }
    return parts.join('&');
  }
  let wrote = '', saving = 0;
  function save() { // the address follows, a moment later; in a frame without a real address only location.hash works
    clearTimeout(saving);
    saving = setTimeout(() => {
      wrote = write();
      try { history.replaceState(null, '', '#' + wrote); } catch { location.hash = wrote; }
    }, 250);
  }

  // ---- drawing ----
  let theme = {};
  function readTheme() {
    const style = getComputedStyle(root);
    for (const name of ['paper', 'ink', 'soft', 'line', 'low', 'high', 'good', 'positive', 'negative']) theme[name] = style.getPropertyValue('--' + name).trim();
    theme.dark = matchMedia('(prefers-color-scheme: dark)').matches;
  }
  const rgb = hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16));
  const mix = (a, b, t) => a.map((v, k) => v + (b[k] - v) * t);
  const css = c => `rgb(${c.map(Math.round).join(',')})`;
  const light = hex => { const [r, g, b] = rgb(hex).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const on = hex => light(hex) > 0.2 ? '#111111' : '#ffffff'; // ink that can be read on it
  const FONT = 'system-ui, "DejaVu Sans", sans-serif';
  function surface(id, aspect, margin, high) { // aspect: height of the canvas for its width
    const canvas = $(id), plot = { canvas, margin, c: canvas.getContext('2d') };
    plot.fit = () => {
      const width = canvas.clientWidth || 1, height = Math.round(high ? high(width) : width * aspect), scale = Math.min(2, devicePixelRatio || 1);
      if (plot.w !== width || plot.h !== height || plot.scale !== scale) {
        Object.assign(plot, { w: width, h: height, scale });
        canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale); canvas.style.height = height + 'px';
      }
      const [top, right, bottom, left] = margin;
      Object.assign(plot, { left, top, right: width - right, bottom: height - bottom });
      plot.c.setTransform(scale, 0, 0, scale, 0, 0);
      plot.c.clearRect(0, 0, width, height);
      plot.c.font = `12px ${FONT}`;
      return plot;
    };
    plot.x = x => plot.left + (x - plot.x0) / (plot.x1 - plot.x0) * (plot.right - plot.left);
    plot.y = y => plot.bottom + (y - plot.y0) / (plot.y1 - plot.y0) * (plot.top - plot.bottom);
    plot.at = event => {
      const box = canvas.getBoundingClientRect();
      return [plot.x0 + (event.clientX - box.left - plot.left) / (plot.right - plot.left) * (plot.x1 - plot.x0), plot.y0 + (event.clientY - box.top - plot.bottom) / (plot.top - plot.bottom) * (plot.y1 - plot.y0), event.clientX - box.left, event.clientY - box.top];
    };
    plot.text = (text, x, y, { align = 'left', colour = theme.ink, size = 12, weight = 400, halo = theme.paper, base = 'alphabetic' } = {}) => {
      const c = plot.c;
      c.font = `${weight} ${size}px ${FONT}`; c.textAlign = align; c.textBaseline = base;
      if (halo) { c.strokeStyle = halo; c.lineWidth = 4; c.lineJoin = 'round'; c.strokeText(text, x, y); }
      c.fillStyle = colour; c.fillText(text, x, y);
    };
    plot.path = (points, colour, width = 1.5, dash = []) => {
      const c = plot.c;
      c.beginPath(); c.setLineDash(dash); c.strokeStyle = colour; c.lineWidth = width; c.lineJoin = 'round';
      points.forEach(([x, y], k) => k ? c.lineTo(x, y) : c.moveTo(x, y));
      c.stroke(); c.setLineDash([]);
    };
    plot.dot = (x, y, radius, fill, stroke, width = 1.5) => {
      const c = plot.c;
      c.beginPath(); c.arc(x, y, radius, 0, 2 * Math.PI);
      if (fill) { c.fillStyle = fill; c.fill(); }
      if (stroke) { c.strokeStyle = stroke; c.lineWidth = width; c.stroke(); }
    };
    plot.frame = () => { plot.c.strokeStyle = theme.soft; plot.c.lineWidth = 1; plot.c.strokeRect(plot.left + 0.5, plot.top + 0.5, plot.right - plot.left - 1, plot.bottom - plot.top - 1); };
    plot.clip = draw => { const c = plot.c; c.save(); c.beginPath(); c.rect(plot.left, plot.top, plot.right - plot.left, plot.bottom - plot.top); c.clip(); draw(); c.restore(); };
    return plot;
  }
  function logTicks(plot, axis, values, minor) {
    const c = plot.c, far = axis === 'x' ? plot.bottom : plot.left;
    c.strokeStyle = theme.soft; c.lineWidth = 1;
    const tick = (v, length) => { const k = Math.round(axis === 'x' ? plot.x(Math.log10(v)) : plot.y(Math.log10(v))) + 0.5; c.beginPath(); if (axis === 'x') { c.moveTo(k, far); c.lineTo(k, far + length); } else { c.moveTo(far, k); c.lineTo(far - length, k); } c.stroke(); };
    for (const decade of minor) for (let k = 2; k < 10; k++) tick(k * decade, 3);
    for (const v of values) {
      tick(v, 6);
      if (axis === 'x') plot.text(String(v), plot.x(Math.log10(v)), far + 18, { align: 'center', colour: theme.soft, halo: null });
      else plot.text(String(v), far - 9, plot.y(Math.log10(v)), { align: 'right', colour: theme.soft, halo: null, base: 'middle' });
    }
  }

  // ---- view 1 ----
  const big = width => clamp(width * 0.96, 250, 400);
  const diagram = surface('diagram', 0, [8, 16, 40, 40], big), ground = surface('landscape', 0, [8, 16, 40, 40], big);
  const cut = surface('cut', 0, [8, 12, 38, 62], w => clamp(w * 0.5, 150, 205)), does = surface('does', 0, [0, 0, 0, 0], () => 158);
  Object.assign(diagram, { x0: 0, x1: -2, y0: -1, y1: 1 });
  Object.assign(ground, { x0: -EXTENT, x1: EXTENT, y0: -EXTENT, y1: EXTENT });
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)), cells = DATA.diagram;
  const models = new Int16Array(bytes(cells.models).buffer), shares = bytes(cells.share), ROWS = cells.importances.length;
  const cellModel = (d, k) => Float64Array.from({ length: 4 }, (_, j) => models[4 * (d * ROWS + k) + j] / cells.scale);
  const images = {};
  function picture(layer) {
    if (images[layer]) return images[layer];
    const D = cells.densities.length, canvas = document.createElement('canvas'), c = canvas.getContext('2d');
    canvas.width = D; canvas.height = ROWS;
    const image = c.createImageData(D, ROWS), [ignored, dedicated, both] = PHASES.map(name => rgb(COLOURS[name]));
    for (let d = 0; d < D; d++) for (let k = 0; k < ROWS; k++) {
      const [w1, w2] = cellModel(d, k), share = shares[d * ROWS + k] / 100;
      const keep = clamp(Math.abs(w2), 0, 1), overlap = clamp(w2 ? w1 * w1 : 0, 0, 1); // as phase_blend of the figures
      const colour = layer === 'phase' ? mix(ignored, mix(dedicated, both, overlap), keep) : mix(rgb('#0d2f52'), rgb('#e9f3fc'), share);
      image.data.set([...colour.map(Math.round), 255], 4 * ((ROWS - 1 - k) * D + d));
    }
    c.putImageData(image, 0, 0);
    return images[layer] = canvas;
  }
  const closedBelow = p => 2 * p / (4 - 5 * p);
  function borderAt(p) { // relaxed border below r = 1, log-interpolated; null where there is none
    const x = -Math.log10(p) * (cells.densities.length - 1) / 2, k = Math.min(Math.floor(x), cells.border.length - 2), a = cells.border[k], b = cells.border[k + 1];
    return a === null || b === null ? null : 10 ** (Math.log10(a) + (x - k) * (Math.log10(b) - Math.log10(a)));
  }
  function drawDiagram() {
    const g = diagram.fit(), c = g.c, image = picture(state.layer), dark = '#111111';
    const stepX = (g.right - g.left) / (image.width - 1), stepY = (g.bottom - g.top) / (image.height - 1);
    g.clip(() => {
      c.imageSmoothingEnabled = false;
      c.drawImage(image, g.left - stepX / 2, g.top - stepY / 2, g.right - g.left + stepX, g.bottom - g.top + stepY);
      const fine = Array.from({ length: 121 }, (_, k) => 10 ** (-2 + 2 * k / 120)), line = state.layer === 'phase' ? dark : '#e66101';
      const below = fine.filter(p => p <= 4 / 7).concat(4 / 7).map(p => [p, closedBelow(p)]);
      for (const sign of [1, -1]) g.path(below.map(([p, r]) => [g.x(Math.log10(p)), g.y(sign * Math.log10(r))]), line, 1.3, [5, 4]);
      g.path([[g.x(Math.log10(4 / 7)), g.y(0)], [g.x(0), g.y(0)]], line, 1.3, [5, 4]);
      const exact = cells.densities.map((p, k) => [p, cells.border[k]]).filter(([, r]) => r !== null);
      for (const sign of [1, -1]) g.path(exact.map(([p, r]) => [g.x(Math.log10(p)), g.y(sign * Math.log10(r))]), line, 2.2);
    });
    g.frame();
    logTicks(g, 'x', [1, 0.1, 0.01], [0.1, 0.01]); logTicks(g, 'y', [0.1, 1, 10], [0.1, 1]);
    g.text('density p: dense \u2192 sparse', (g.left + g.right) / 2, g.h - 5, { align: 'center', colour: theme.soft, halo: null });
    c.save(); c.translate(12, (g.top + g.bottom) / 2); c.rotate(-Math.PI / 2); g.text('importance r of feature 2', 0, 0, { align: 'center', colour: theme.soft, halo: null }); c.restore();
    if (state.layer === 'phase') {
      const label = (lines, x, y, phase, align = 'center') => lines.forEach((text, k) => g.text(text, x, y + 16 * k, { align, colour: on(COLOURS[phase]), halo: null, size: 13, weight: 650 }));
      const both = g.x(-1.28);
      label(['superposition'], both, g.y(0.42), 'SUPERPOSITION'); g.text('both share the neuron', both, g.y(0.42) + 16, { align: 'center', colour: on(COLOURS.SUPERPOSITION), halo: null });
      label(['only', 'feature 2'], g.left + 10, g.top + 24, 'DEDICATED', 'left'); label(['only', 'feature 1'], g.left + 10, g.bottom - 28, 'IGNORED', 'left');
    } else {
      const x = g.right - 128, y = g.bottom - 26;
      c.fillStyle = 'rgba(255,255,255,0.92)'; c.fillRect(x - 8, y - 20, 130, 38);
      for (let k = 0; k < 112; k++) { c.fillStyle = css(mix(rgb('#0d2f52'), rgb('#e9f3fc'), k / 111)); c.fillRect(x + k, y, 1, 8); }
      g.text('0 % find the best', x, y - 6, { colour: dark, halo: null, size: 11 }); g.text('100', x + 112, y - 6, { align: 'right', colour: dark, halo: null, size: 11 });
    }
    const x = g.x(Math.log10(state.p)), y = g.y(Math.log10(state.r));
    for (const [colour, width] of [['#ffffff', 4], [dark, 1.5]]) { g.path([[x, g.top], [x, y - 8]], colour, width / 2); g.path([[x, y + 8], [x, g.bottom]], colour, width / 2); g.path([[g.left, y], [x - 8, y]], colour, width / 2); g.path([[x + 8, y], [g.right, y]], colour, width / 2); }
    g.dot(x, y, 8, null, '#ffffff', 5); g.dot(x, y, 8, null, dark, 2.5);
  }

  // The minima of the present setting, the shares of the starts, and the run that is shown
  let found = [], chosen = 0, L, path = [], end = null, basin = null, counting = null;
  const NAMES = f => f.phase === 2 ? 'superposition' : f.phase === 1 ? (Math.abs(f.W[0][0]) > 0.2 ? 'feature 1 faint' : 'only feature 2') : Math.abs(f.W[0][1]) > 0.2 ? 'feature 2 faint' : 'only feature 1';
  const phaseText = phase => phase === 2 ? 'superposition' : phase === 1 ? 'only feature 2' : 'only feature 1';
  const stepsFor = () => state.optimizer === 'adam' ? 500 : 2000;
  function descend(w1, w2) {
    const x = Float64Array.of(w1, w2, 0, 0), run = model.trainer(x, 1, 2, [state.p, state.p], [1, state.r], { steps: stepsFor(), lr: state.lr, optimizer: state.optimizer }), points = [[w1, w2]];
    while (!run.done) { run.step(); const last = points[points.length - 1]; if (Math.abs(x[0] - last[0]) + Math.abs(x[1] - last[1]) > 0.01) points.push([x[0], x[1]]); }
    return { x, points };
  }
  function where(x) { // the minimum that x has come to; -2 a dead output, -1 nowhere yet
    if (!x.every(Number.isFinite)) return -1;
    return model.dead(x) ? -2 : model.nearest(x, found);
  }
  // All starts at once: a grid over ±TOP, weighed by the chance of a start (normal, variance 2/3). In pieces, between frames.
  const GRID = 49;
  function countStarts() {
    if (counting) counting.stop = true;
    const mine = counting = { stop: false }, total = GRID * GRID, half = total + 1 >> 1, label = new Int8Array(total).fill(-3), setting = [state.p, state.r, state.optimizer, state.lr].join();
    if (basin && basin.setting === setting) { mine.stop = true; return; }
    const at = k => TOP * (2 * k / (GRID - 1) - 1), ends = found.slice();
    let k = 0;
    const piece = () => {
      if (mine.stop) return;
      const until = performance.now() + 10;
      while (k < half && performance.now() < until) {
        const x = Float64Array.of(at(k % GRID), at(Math.floor(k / GRID)), 0, 0), run = model.trainer(x, 1, 2, [state.p, state.p], [1, state.r], { steps: stepsFor(), lr: state.lr, optimizer: state.optimizer });
        let goal = -1;
        for (let t = 1; !run.done; t++) {
          run.step();
          if (t % 25 === 0) { // near a minimum in weights and biases: it will not leave again
            goal = ends.findIndex(f => [1, -1].some(s => Math.abs(x[0] - s * f.W[0][0]) + Math.abs(x[1] - s * f.W[0][1]) + Math.abs(x[2] - f.b[0]) + Math.abs(x[3] - f.b[1]) < 0.04));
            if (goal >= 0) break;
          }
        }
        label[k] = label[total - 1 - k] = goal >= 0 ? goal : where(x);
        k++;
      }
      if (k < half) { setTimeout(piece); return; }
      const share = new Float64Array(ends.length), weight = j => Math.exp(-0.75 * at(j) ** 2);
      let all = 0, dead = 0;
      for (let j = 0; j < total; j++) { const w = weight(j % GRID) * weight(Math.floor(j / GRID)); all += w; if (label[j] >= 0) share[label[j]] += w; else if (label[j] === -2) dead += w; }
      basin = { setting, label, share: Array.from(share, s => s / all), dead: dead / all };
      schedule('shares');
    };
    setTimeout(piece, 60);
  }
  const counted = () => basin && basin.setting === [state.p, state.r, state.optimizer, state.lr].join() && basin.share.length === found.length;
  function solve() {
    const before = found[chosen];
    L = model.landscape(state.p, state.r, POINTS, EXTENT);
    found = model.minima(state.p, state.r, POINTS, EXTENT);
    chosen = before && chosen ? Math.max(0, model.nearest([...before.W[0]], found)) : 0;
    follow();
    countStarts();
  }
  function follow() { const run = descend(...state.start); path = run.points; end = where(run.x); }
  let shade = null;
  function drawGround() {
    const g = ground.fit(), c = g.c;
    if (!shade) { shade = document.createElement('canvas'); shade.width = shade.height = POINTS; }
    const basins = state.ground === 'basins', s = shade.getContext('2d'), image = s.createImageData(POINTS, POINTS), low = rgb(theme.low), high = rgb(theme.high);
    const bottom = found[0].loss, top = Math.max(bottom * 1.5, model.lossAt(Float64Array.of(0, 0, state.p / 2, state.p / 2), 1, 2, [state.p, state.p], [1, state.r]) * 1.6);
    const level = v => Math.sqrt(clamp((v - bottom) / (top - bottom), 0, 1));
    for (let y = 0; y < POINTS; y++) for (let x = 0; x < POINTS; x++) {
      const t = level(L[y * POINTS + x]);
      image.data.set([...mix(low, high, t).map(Math.round), 255], 4 * ((POINTS - 1 - y) * POINTS + x));
    }
    s.putImageData(image, 0, 0);
    const step = (g.right - g.left) / (POINTS - 1), stepY = (g.bottom - g.top) / (POINTS - 1);
    g.clip(() => {
      c.imageSmoothingEnabled = true;
      c.drawImage(shade, g.left - step / 2, g.top - stepY / 2, g.right - g.left + step, g.bottom - g.top + stepY);
      if (basins && counted()) {
        const cell = 2 * TOP / (GRID - 1), w = g.x(cell) - g.x(0), h = g.y(0) - g.y(cell);
        for (let k = 0; k < GRID * GRID; k++) {
          const x = TOP * (2 * (k % GRID) / (GRID - 1) - 1), y = TOP * (2 * Math.floor(k / GRID) / (GRID - 1) - 1), goal = basin.label[k];
          if (Math.abs(x) > EXTENT + cell || Math.abs(y) > EXTENT + cell) continue;
          c.fillStyle = goal >= 0 ? COLOURS[PHASES[found[goal].phase]] : goal === -2 ? '#3a3a3a' : '#9a9a9a';
          c.fillRect(g.x(x) - w / 2, g.y(y) - h / 2, w + 0.6, h + 0.6);
        }
      }
      contours(g, level, basins ? 'rgba(0,0,0,0.35)' : theme.dark ? 'rgba(255,255,255,0.22)' : 'rgba(0,0,0,0.2)');
      g.path([[g.x(0), g.top], [g.x(0), g.bottom]], theme.soft, 0.6); g.path([[g.left, g.y(0)], [g.right, g.y(0)]], theme.soft, 0.6);
      const line = path.map(([x, y]) => [g.x(x), g.y(y)]);
      g.path(line, theme.paper, 5); g.path(line, theme.good, 2.4);
    });
    g.frame();
    for (const v of [-1, 0, 1]) { g.text(minus(v), g.x(v), g.bottom + 17, { align: 'center', colour: theme.soft, halo: null }); g.text(minus(v), g.left - 8, g.y(v), { align: 'right', colour: theme.soft, halo: null, base: 'middle' }); }
    g.text('weight of feature 1', (g.left + g.right) / 2, g.h - 5, { align: 'center', colour: theme.soft, halo: null });
    c.save(); c.translate(12, (g.top + g.bottom) / 2); c.rotate(-Math.PI / 2); g.text('weight of feature 2', 0, 0, { align: 'center', colour: theme.soft, halo: null }); c.restore();
    found.forEach((f, k) => { for (const sign of [-1, 1]) marker(g, f, k, sign); });
    const taken = [];
    found.forEach((f, k) => {
      let [w1, w2] = f.W[0];
      if (w1 < 0 && Math.abs(w1) > 0.2) [w1, w2] = [-w1, -w2];
      const x = g.x(w1), y = g.y(w2), lines = [NAMES(f), counted() ? `${percent(basin.share[k])} of starts` : '\u2026'];
      let ty = clamp(y + 26, g.top + 14, g.bottom - 20);
      while (taken.some(t => Math.abs(t - ty) < 32)) ty -= 33;
      taken.push(ty);
      const tx = clamp(x, g.left + 54, g.right - 54);
      lines.forEach((text, row) => g.text(text, tx, ty + 14 * row, { align: 'center', weight: k ? 400 : 650, size: row ? 11.5 : 12.5, ...(basins && counted() ? { colour: '#111111', halo: '#ffffff' } : {}) }));
    });
    const [x, y] = [g.x(state.start[0]), g.y(state.start[1])];
    g.dot(x, y, 9, theme.paper, theme.good, 3); g.dot(x, y, 3, theme.good);
    const right = x < g.right - 50;
    g.text('start', right ? x + 14 : x - 14, y, { align: right ? 'left' : 'right', base: 'middle', weight: 650, colour: theme.good });
  }
  function marker(g, f, k, sign) {
    const x = g.x(sign * f.W[0][0]), y = g.y(sign * f.W[0][1]), colour = COLOURS[PHASES[f.phase]];
    g.dot(x, y, 8.5, theme.paper); g.dot(x, y, 7, k ? theme.paper : colour, theme.ink, 1.2);
    g.dot(x, y, k ? 4 : 2, k ? colour : on(colour), k ? theme.ink : null, 0.8);
    if (k === chosen) g.dot(x, y, 11, null, theme.ink, 1.2);
  }
  function contours(g, level, colour) { // marching squares
    const c = g.c, at = k => EXTENT * (2 * k / (POINTS - 1) - 1);
    c.strokeStyle = colour; c.lineWidth = 0.8; c.beginPath();
    const T = Float64Array.from(L, level);
    for (const v of [0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.84]) for (let y = 0; y < POINTS - 1; y++) for (let x = 0; x < POINTS - 1; x++) {
      const k = y * POINTS + x, a = T[k] - v, b = T[k + 1] - v, d = T[k + POINTS] - v, e = T[k + POINTS + 1] - v;
      if ((a > 0) === (b > 0) && (b > 0) === (d > 0) && (d > 0) === (e > 0)) continue;
      const ends = [];
      if ((a > 0) !== (b > 0)) ends.push(x + a / (a - b), y);
      if ((b > 0) !== (e > 0)) ends.push(x + 1, y + b / (b - e));
      if ((d > 0) !== (e > 0)) ends.push(x + d / (d - e), y + 1);
      if ((a > 0) !== (d > 0)) ends.push(x, y + a / (a - d));
      for (let j = 0; j + 3 < ends.length; j += 4) { c.moveTo(g.x(at(ends[j])), g.y(at(ends[j + 1]))); c.lineTo(g.x(at(ends[j + 2])), g.y(at(ends[j + 3]))); }
    }
    c.stroke();
  }
  // Branches over importance: each solution followed from where it is sure to exist until it ends
  let branches = { key: 0 };
  function follows(p) {
    if (branches.key === p) return branches;
    const N = 33, rs = Array.from({ length: N }, (_, k) => 10 ** (-1 + 2 * k / (N - 1))), P = [p, p];
    const track = (seed, from, to, phase) => {
      const x = Float64Array.from(seed), points = [], dir = from < to ? 1 : -1;
      for (let k = from; k !== to + dir; k += dir) {
        const value = model.polish(x, 1, 2, P, [1, rs[k]], 40), now = model.phase([[x[0], x[1]]]);
        if (now !== phase || model.dead(x)) break;
        points.push([rs[k], value]);
      }
      return points;
    };
    return branches = {
      key: p, list: [
        { phase: 2, points: [...track([1, -1, 0, 0], N >> 1, 0, 2).reverse(), ...track([1, -1, 0, 0], (N >> 1) + 1, N - 1, 2)] },
        { phase: 0, points: track([1, 0.02, 0, p / 2], 0, N - 1, 0) },
        { phase: 1, points: track([0.02, 1, p / 2, 0], N - 1, 0, 1) },
      ],
    };
  }
  function drawCut() {
    const g = cut.fit(), c = g.c, { list } = follows(state.p), all = list.flatMap(b => b.points.map(q => q[1]));
    Object.assign(g, { x0: -1, x1: 1, y0: Math.log10(Math.min(...all)) - 0.08, y1: Math.log10(Math.max(...all)) + 0.12 });
    g.frame();
    logTicks(g, 'x', [0.1, 1, 10], [0.1, 1]);
    const ticks = [];
    for (let e = -5; e < 1; e++) for (const k of [1, 2, 5]) { const v = k * 10 ** e, t = Math.log10(v); if (t > g.y0 && t < g.y1) ticks.push(Number(v.toPrecision(1))); }
    let last = Infinity;
    for (const v of ticks) { const y = g.y(Math.log10(v)); if (last - y > 22) { g.text(String(v), g.left - 7, y, { align: 'right', colour: theme.soft, halo: null, base: 'middle' }); last = y; c.fillStyle = theme.soft; c.fillRect(g.left - 4, Math.round(y), 4, 1); } }
    g.text('importance r', (g.left + g.right) / 2, g.h - 4, { align: 'center', colour: theme.soft, halo: null });
    c.save(); c.translate(12, (g.top + g.bottom) / 2); c.rotate(-Math.PI / 2); g.text('loss', 0, 0, { align: 'center', colour: theme.soft, halo: null }); c.restore();
    const x = g.x(Math.log10(state.r));
    g.path([[x, g.top], [x, g.bottom]], theme.soft, 1, [3, 3]);
    for (const { phase, points } of list) {
      if (!points.length) continue;
      const line = points.map(([r, v]) => [g.x(Math.log10(r)), g.y(Math.log10(v))]), colour = COLOURS[PHASES[phase]];
      g.path(line, theme.dark ? '#000' : '#222', phase === 2 ? 4.5 : 3.6); g.path(line, colour, phase === 2 ? 3 : 2.4, phase === 1 ? [7, 3] : []);
      for (const [k, edge] of [[0, -1], [points.length - 1, 1]]) if (Math.abs(Math.log10(points[k][0]) - edge) > 0.02) g.dot(...line[k], 4, colour, theme.ink, 1);
    }
    const both = list[0].points, spots = [];
    if (both.length) { const q = both[Math.floor(both.length * 0.62)]; spots.push(['superposition', g.x(Math.log10(q[0])), g.y(Math.log10(q[1])) + 20, 'center']); }
    const first = list[1].points, second = list[2].points;
    if (first.length) spots.push(['only 1', g.x(-0.97) + 2, g.y(Math.log10(first[0][1])) + 20, 'left']);
    if (second.length) spots.push(['only 2', g.right - 5, g.y(Math.log10(second[0][1])) - 9, 'right']);
    for (const [text, tx, ty, align] of spots) g.text(text, tx, clamp(ty, g.top + 14, g.bottom - 5), { align, size: 12, weight: 650 });
    const here = found[0];
    g.dot(x, g.y(Math.log10(here.loss)), 5.5, theme.paper, theme.ink, 2);
  }
  function drawDoes() {
    const g = does.fit(), f = found[chosen], [w1, w2] = f.W[0], b = f.b, wide = g.w / 3;
    $('chosen').textContent = `in ${NAMES(f)}`;
    [['only feature 1 on', [1, 0]], ['only feature 2 on', [0, 1]], ['both on', [1, 1]]].forEach(([title, x], k) => {
      const left = k * wide + 4, zero = 97, unit = 52, h = w1 * x[0] + w2 * x[1], u = [w1 * h + b[0], w2 * h + b[1]];
      g.text(wide < 125 ? title.replace('feature ', '').replace('only ', '') : title, left, 14, { halo: null, weight: 650, size: 12 });
      g.path([[left, zero + 0.5], [left + wide - 14, zero + 0.5]], theme.soft, 1);
      for (const i of [0, 1]) {
        const at = left + 6 + i * (wide - 20) / 2, width = Math.min(17, wide / 6.5), c = g.c, value = clamp(u[i], -0.75, 1.4);
        c.strokeStyle = theme.ink; c.lineWidth = 1.3; c.strokeRect(at + 0.5, zero - unit * x[i] + 0.5, width, unit * x[i]);
        const to = at + width + 4;
        if (u[i] >= 0) { c.fillStyle = theme.positive; c.fillRect(to, zero - unit * value, width, unit * value); }
        else { // what the ReLU removes, hatched
          c.save(); c.beginPath(); c.rect(to, zero, width, -unit * value); c.clip();
          for (let d = -60; d < 60; d += 5) g.path([[to + d, zero], [to + d + 60, zero + 60]], theme.dark ? '#a58fd6' : theme.negative, 1.6);
          c.restore(); c.strokeStyle = theme.dark ? '#a58fd6' : theme.negative; c.lineWidth = 1; c.strokeRect(to + 0.5, zero + 0.5, width - 1, -unit * value);
        }
        g.text(String(i + 1), at + width + 2, u[i] < -0.12 ? zero - 4 - unit * x[i] : zero + 14, { align: 'center', colour: theme.soft, halo: null, size: 11.5 });
      }
    });
    g.c.strokeStyle = theme.ink; g.c.lineWidth = 1.2; g.c.strokeRect(4.5, 147.5, 9, 9); g.text('on', 18, 156, { halo: null, size: 11.5, colour: theme.soft });
    const c = g.c;
    c.fillStyle = theme.positive; c.fillRect(46, 147, 10, 10); g.text('the model says', 61, 156, { halo: null, size: 11.5, colour: theme.soft });
    c.fillStyle = theme.dark ? '#a58fd6' : theme.negative; for (let k = 0; k < 3; k++) c.fillRect(156 + 4 * k, 147, 2, 10);
    g.text('removed by the ReLU', 172, 156, { halo: null, size: 11.5, colour: theme.soft });
    does.canvas.setAttribute('aria-label', `What the model does in ${NAMES(f)}: W ${fixed(w1)} and ${fixed(w2)}, biases ${fixed(b[0])} and ${fixed(b[1])}`);
  }
  function tableOfMinima() {
    const body = $('minima').tBodies[0], known = counted(), rows = found.map((f, k) => [f, k]);
    body.textContent = '';
    for (const [f, k] of rows) {
      const row = body.insertRow(), button = document.createElement('button'), swatch = document.createElement('span');
      button.type = 'button'; button.dataset.minimum = k; button.setAttribute('aria-pressed', k === chosen);
      swatch.className = 'swatch'; swatch.style.background = COLOURS[PHASES[f.phase]];
      button.append(swatch, NAMES(f));
      row.insertCell().append(button);
      for (const text of [short(f.loss, 4), known ? percent(basin.share[k]) : '\u2026', f.W[0].map(w => fixed(w)).join(', '), f.b.map(v => fixed(v)).join(', ')]) row.insertCell().textContent = text;
    }
    if (known && basin.dead > 0.005) {
      const row = body.insertRow();
      row.insertCell().textContent = 'an output dies'; row.insertCell().textContent = 'plateau'; row.insertCell().textContent = percent(basin.dead); row.insertCell(); row.insertCell();
    }
  }
  function sentences() {
    const best = found[0], name = NAMES(best), known = counted(), why = ['feature 2 is not worth the interference', 'feature 1 is not worth the interference', 'both features share the neuron'][best.phase];
    const parts = [['At density '], [short(state.p, 2), 1], [' and importance '], [short(state.r, 2), 1], [', '], [phaseText(best.phase), 1], [` has the lowest loss: ${why}. `]];
    if (known) {
      const share = basin.share[0] + found.reduce((sum, f, k) => sum + (k && f.loss < best.loss * (1 + 1e-6) ? basin.share[k] : 0), 0);
      if (share > 0.985) parts.push(['Every start finds it.']);
      else {
        const worse = found.findIndex((f, k) => k && f.loss >= best.loss * (1 + 1e-6) && basin.share[k] > 0.05);
        parts.push(['But only '], [percent(share), 1], [' of random starts get there: ']);
        parts.push([worse > 0 ? `the others roll into a worse valley` + (basin.dead > 0.05 ? ', or an output dies, never on, without a slope.' : ', and no slope leads out.') : basin.dead > 0.02 ? 'in the others an output dies: it is never on, and without a slope to follow.' : 'the others have not arrived yet.']);
      }
    } else parts.push(['Training every start \u2026']);
    fill($('finding'), parts);
    $('end').textContent = `From (${fixed(state.start[0])}, ${fixed(state.start[1])}) ` + (end >= 0 ? `${state.optimizer === 'adam' ? 'Adam' : 'gradient descent'} ends in \u201c${NAMES(found[end])}\u201d, ${end === 0 ? 'the lowest minimum.' : `whose loss is ${Math.round(100 * (found[end].loss / best.loss - 1))} % above the lowest.`}` : end === -2 ? 'an output dies: never on, it has no slope to follow.' : 'it does not arrive at a minimum in this many steps.');
  }
  function fill(element, parts) {
    const text = parts.map(part => part[0]).join('');
    if (element.textContent === text) return;
    element.textContent = '';
    for (const [piece, strong] of parts) if (strong) { const b = document.createElement('b'); b.textContent = piece; element.append(b); } else element.append(piece);
  }

  // ---- view 2 ----
  const arrows = surface('arrows', 0, [6, 6, 6, 6], w => clamp(w * 0.86, 250, 360)), gram = surface('gram', 0, [24, 6, 6, 26], w => clamp(w * 0.84, 240, 380));
  const strip = surface('strip', 0, [18, 16, 38, 10], () => 132), dots = surface('dots', 0, [14, 12, 34, 12], () => 168);
  Object.assign(arrows, { x0: -1.45, x1: 1.45, y0: -1.45, y1: 1.45 });
  Object.assign(strip, { x0: 0, x1: -2, y0: 0, y1: 1 });
  let net = new Float64Array(15), arrow = 0, hover = -1, slice = null, runs = null, following = true;
  const importance = () => Array.from({ length: state.n }, (_, k) => state.ratio ** k), densities = () => model.dense(state.p, state.n);
  const lossOf = x => model.lossAt(x, 2, state.n, densities(), importance());
  const standard = () => state.n === 5 && Math.abs(state.ratio - 0.9) < 1e-9;
  const tip = (x, j) => [x[j], x[state.n + j]], length = (x, j) => Math.hypot(x[j], x[state.n + j]);
  function arrangement(x, n = state.n) {
    const kept = [];
    for (let j = 0; j < n; j++) if (Math.hypot(x[j], x[n + j]) > 0.5) kept.push(j);
    let pairs = 0;
    kept.forEach((i, k) => kept.slice(k + 1).forEach(j => { if ((x[i] * x[j] + x[n + i] * x[n + j]) / Math.hypot(x[i], x[n + i]) / Math.hypot(x[j], x[n + j]) < -0.94) pairs++; }));
    const count = kept.length, name = count === 0 ? 'nothing' : count === 1 ? 'one feature' : count === 2 ? pairs ? 'one pair' : 'two at right angles' : count === 3 ? pairs ? 'a pair and one' : 'a triangle' : count === 4 ? pairs === 2 ? 'two pairs' : pairs ? 'a pair and two' : 'four unpaired' : count === 5 ? pairs === 0 ? 'a pentagon' : pairs === 2 ? 'two pairs and one' : 'five, one pair' : pairs === 0 ? 'six apart' : `six, ${pairs} ${pairs === 1 ? 'pair' : 'pairs'}`;
    return { count, name };
  }
  const ARRANGED = ['two at right angles', 'a triangle', 'two pairs', 'a pentagon'];
  const TINTS = ['#5e3c99', '#1f78b4', '#33a02c', '#e66101'], OTHER = '#8c8c94';
  const tint = name => TINTS[ARRANGED.indexOf(name)] || OTHER, shape = name => ARRANGED.indexOf(name);
  function glyph(plot, x, y, size, name) { // circle, triangle, square, diamond: arrangements are told apart without colour
    const c = plot.c, sides = [0, 3, 4, 5][shape(name)];
    c.beginPath();
    if (!sides) c.arc(x, y, size * 0.85, 0, 7); else for (let k = 0; k < sides; k++) { const t = 2 * Math.PI * k / sides - Math.PI / 2; c[k ? 'lineTo' : 'moveTo'](x + size * Math.cos(t), y + size * Math.sin(t)); }
    c.closePath(); c.fillStyle = tint(name); c.fill();
    c.strokeStyle = theme.paper; c.lineWidth = 0.7; c.stroke();
  }
  const nearestSweep = p => { let best = 0; DATA.sweep.densities.forEach((q, k) => { if (Math.abs(Math.log(q / p)) < Math.abs(Math.log(DATA.sweep.densities[best] / p))) best = k; }); return best; };
  function loadBest() {
    const three = DATA.arrangements.densities.findIndex(q => Math.abs(q - state.p) < 1e-6), [from, k] = three >= 0 ? [DATA.arrangements, three] : [DATA.sweep, nearestSweep(state.p)];
    net = Float64Array.from([...from.W[k][0], ...from.W[k][1], ...from.b[k]]);
    if (three < 0) model.polish(net, 2, 5, densities(), importance(), 12);
  }
  function findBest() { // other settings than the notebook's: the lowest of some starts
    const m = 2, n = state.n, I = importance(), P = densities();
    let best = Infinity;
    for (let seed = 0; seed < 6; seed++) { const x = model.start(m, n, seed), value = model.polish(x, m, n, P, I, 60); if (value < best) { best = value; net = x; } }
  }
  function computeSlice() { // loss over the chosen arrow's position, all else as it is; in pieces
    if (slice) slice.stop = true;
    const N = 29, mine = slice = { stop: false, values: new Float64Array(N * N), N, ready: false, at: k => 1.45 * (2 * k / (N - 1) - 1) }, x = net.slice(), P = densities(), I = importance(), n = state.n, j = arrow;
    let k = 0;
    const piece = () => {
      if (mine.stop) return;
      const until = performance.now() + 9;
      while (k < N * N && performance.now() < until) { x[j] = mine.at(k % N); x[n + j] = mine.at(Math.floor(k / N)); mine.values[k++] = model.lossAt(x, 2, n, P, I, null, true); }
      if (k < N * N) setTimeout(piece); else { mine.ready = true; schedule('arrows'); }
    };
    setTimeout(piece, 30);
  }
  function drawArrows() {
    const g = arrows.fit(), c = g.c, n = state.n, side = Math.min(g.right - g.left, g.bottom - g.top), middle = g.w / 2;
    g.left = middle - side / 2; g.right = middle + side / 2;
    if (slice && slice.ready) {
      const { values, N } = slice, canvas = document.createElement('canvas'), s = canvas.getContext('2d'), image = s.createImageData(N, N), low = rgb(theme.low), high = rgb(theme.high);
      canvas.width = canvas.height = N;
      let bottom = Infinity;
      for (const v of values) if (v < bottom) bottom = v;
      const top = bottom + Math.max(0.25 * bottom, 2.2 * state.p * state.ratio ** arrow / 3);
      for (let k = 0; k < N * N; k++) image.data.set([...mix(low, high, 0.75 * Math.sqrt(clamp((values[k] - bottom) / (top - bottom), 0, 1))).map(Math.round), 255], 4 * ((N - 1 - Math.floor(k / N)) * N + k % N));
      s.putImageData(image, 0, 0);
      const step = side / (N - 1);
      g.clip(() => { c.imageSmoothingEnabled = true; c.drawImage(canvas, g.left - step / 2, g.top - step / 2, side + step, side + step); });
    }
    g.frame();
    g.path([[g.x(0), g.top], [g.x(0), g.bottom]], theme.soft, 0.6); g.path([[g.left, g.y(0)], [g.right, g.y(0)]], theme.soft, 0.6);
    c.beginPath(); c.setLineDash([2, 4]); c.strokeStyle = theme.soft; c.lineWidth = 0.8; c.arc(g.x(0), g.y(0), g.x(1) - g.x(0), 0, 7); c.stroke(); c.setLineDash([]);
    for (let j = n - 1; j >= 0; j--) {
      const [w1, w2] = tip(net, j), x = g.x(w1), y = g.y(w2), long = length(net, j), colour = (theme.dark ? ARROWS_DARK : ARROWS)[j], strong = j === hover || (hover < 0 && j === arrow);
      g.path([[g.x(0), g.y(0)], [x, y]], theme.paper, 6.5); g.path([[g.x(0), g.y(0)], [x, y]], colour, strong ? 4 : 2.8);
      g.dot(x, y, strong ? 12 : 10.5, colour, strong ? theme.ink : theme.paper, strong ? 2.5 : 1.5);
      g.text(String(j + 1), x, y + 0.5, { align: 'center', base: 'middle', weight: 700, colour: on(colour), halo: null });
    }
    const shown = arrangement(net);
    g.text(`loss over the place of ${arrow + 1}`, g.left + 8, g.bottom - 9, { size: 11.5, colour: theme.soft });
    arrows.canvas.setAttribute('aria-label', `Feature directions: ${shown.name}. Arrow ${arrow + 1} chosen at ${fixed(net[arrow])}, ${fixed(net[n + arrow])}. Number keys choose an arrow, arrow keys move its tip.`);
  }
  function drawGram() {
    const g = gram.fit(), c = g.c, n = state.n, cell = Math.min((g.right - g.left) / (n + 1.35), (g.bottom - g.top) / n), x0 = g.left, y0 = g.top;
    const dot = (i, j) => net[i] * net[j] + net[n + i] * net[n + j];
    const paint = (v, x, y, w, strong) => {
      const t = clamp(Math.abs(v), 0, 1), colour = mix(rgb(theme.paper), rgb(v > 0 ? theme.positive : theme.negative), t), hex = '#' + colour.map(k => Math.round(k).toString(16).padStart(2, '0')).join('');
      c.fillStyle = hex; c.fillRect(x + 1, y + 1, w - 2, cell - 2);
      if (strong) { c.strokeStyle = theme.ink; c.lineWidth = 2; c.strokeRect(x + 1, y + 1, w - 2, cell - 2); } else { c.strokeStyle = theme.line; c.lineWidth = 1; c.strokeRect(x + 0.5, y + 0.5, w - 1, cell - 1); }
      g.text(fixed(v), x + w / 2, y + cell / 2, { align: 'center', base: 'middle', halo: null, colour: on(hex), size: clamp(cell / 4, 11, 14) });
    };
    for (let i = 0; i < n; i++) {
      g.text(String(i + 1), x0 + cell * (i + 0.5), y0 - 8, { align: 'center', halo: null, colour: theme.soft, weight: i === hover ? 700 : 400 });
      g.text(String(i + 1), x0 - 8, y0 + cell * (i + 0.5), { align: 'right', base: 'middle', halo: null, colour: theme.soft, weight: i === hover ? 700 : 400 });
      for (let j = 0; j < n; j++) paint(dot(i, j), x0 + cell * j, y0 + cell * i, cell, i === hover || j === hover);
      paint(net[2 * n + i], x0 + cell * (n + 0.3), y0 + cell * i, cell, i === hover);
    }
    g.text('b', x0 + cell * (n + 0.8), y0 - 8, { align: 'center', halo: null, colour: theme.soft });
    gram.cell = cell;
    gram.canvas.setAttribute('aria-label', `Products of feature directions; biases ${Array.from(net.slice(2 * n), v => fixed(v)).join(', ')}`);
  }
  let stripNames = null;
  function drawStrip() {
    const g = strip.fit(), c = g.c, S = DATA.sweep;
    stripNames = stripNames || S.W.map((W, k) => arrangement([...W[0], ...W[1], ...S.b[k]], 5));
    const edge = k => k <= 0 ? g.left : k >= S.densities.length ? g.right : (g.x(Math.log10(S.densities[k - 1])) + g.x(Math.log10(S.densities[k]))) / 2;
    let from = 0;
    for (let k = 1; k <= stripNames.length; k++) {
      if (k < stripNames.length && stripNames[k].name === stripNames[from].name) continue;
      const { name, count } = stripNames[from], x = edge(from), w = edge(k) - x, colour = tint(name);
      let middle = x + w / 2; // the words give way to the handle
      const handle = g.x(Math.log10(state.p)), off = handle - middle, half = 38;
      if (w > 2 * half && Math.abs(off) < half) middle = clamp(middle, off > 0 ? x : handle + half, off > 0 ? handle - half : x + w);
      c.fillStyle = colour; c.fillRect(x, g.top, w - 1, g.bottom - g.top);
      if (w > 12) g.text(String(count), middle, (g.top + g.bottom) / 2 + (w > 70 ? -6 : 0), { align: 'center', base: 'middle', halo: null, size: w > 22 ? 20 : 14, weight: 700, colour: on(colour) });
      if (w > 70) g.text(name, middle, (g.top + g.bottom) / 2 + 15, { align: 'center', base: 'middle', halo: null, colour: on(colour), size: 12 });
      from = k;
    }
    logTicks(g, 'x', [1, 0.1, 0.01], [0.1, 0.01]);
    g.text(standard() ? 'density p: dense \u2192 sparse' : 'density p (strip: n = 5, importance 0.9)', (g.left + g.right) / 2, g.h - 4, { align: 'center', colour: theme.soft, halo: null });
    const x = g.x(Math.log10(state.p));
    g.path([[x, g.top - 4], [x, g.bottom + 4]], '#ffffff', 5); g.path([[x, g.top - 4], [x, g.bottom + 4]], '#111111', 2.2);
    g.dot(x, g.top - 4, 9, theme.paper, theme.ink, 2.5);
    const k = nearestSweep(state.p);
    strip.canvas.setAttribute('aria-label', `Density ${short(state.p, 2)}: best arrangement ${stripNames[k].name}, ${stripNames[k].count} of 5 features. Arrow keys change the density.`);
  }
  function drawDots() {
    const g = dots.fit(), c = g.c;
    if (!runs || !runs.list.length) {
      g.text('Nothing trained yet at this setting.', g.w / 2, g.h / 2 - 12, { align: 'center', colour: theme.soft, halo: null });
      $('starts').textContent = runs ? 'Training \u2026' : 'Adam on the exact loss, 600 steps, from random weights and zero biases.';
      return;
    }
    const done = runs.list, low = Math.min(...done.map(run => run.loss)), high = Math.max(...done.map(run => run.loss), low * 1.02);
    Object.assign(g, { x0: low - 0.03 * (high - low), x1: high + 0.03 * (high - low), y0: 0, y1: 1 });
    g.path([[g.left, g.bottom + 0.5], [g.right, g.bottom + 0.5]], theme.soft, 1);
    for (const v of [low, (low + high) / 2, high]) { g.path([[g.x(v), g.bottom], [g.x(v), g.bottom + 5]], theme.soft, 1); g.text(short(v, 3), clamp(g.x(v), g.left + 20, g.right - 20), g.bottom + 18, { align: 'center', colour: theme.soft, halo: null, size: 11.5 }); }
    g.text('loss', g.right, g.h - 2, { align: 'right', colour: theme.soft, halo: null, size: 11.5 });
    const columns = {};
    const size = done.length > 150 ? 4 : 6, room = g.bottom - g.top - 10, height = {};
    done.forEach(run => { const k = Math.round((g.x(run.loss) - g.left) / size); columns[k] = (columns[k] || 0) + 1; });
    const rise = Math.min(size * 1.6, room / Math.max(...Object.values(columns)));
    done.forEach((run, k) => {
      const column = Math.round((g.x(run.loss) - g.left) / size);
      height[column] = (height[column] || 0) + 1;
      run.px = g.left + column * size; run.py = g.bottom - 5 - (height[column] - 1) * rise;
      glyph(g, run.px, run.py, size, run.name);
      if (k === runs.chosen) g.dot(run.px, run.py, size + 4, null, theme.ink, 2);
    });
    const good = done.filter(run => run.loss <= 1.01 * low), counts = {};
    done.forEach(run => { counts[run.name] = (counts[run.name] || 0) + 1; });
    const most = Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 4).map(([name, count]) => `${name} ${percent(count / done.length)}`).join(', ');
    $('starts').textContent = `${runs.busy ? `Training: ${done.length} of ${runs.total}. ` : `${done.length} ${done.length === 1 ? 'start' : 'starts'}. `}${percent(good.length / done.length)} within 1 % of the lowest loss. ${most}.`;
  }
  function train(total) {
    if (runs) runs.stop = true;
    const n = state.n, P = densities(), I = importance(), mine = runs = { stop: false, list: [], total, busy: true, chosen: -1, key: settingKey() };
    let seed = 0, run = null, painted = 0;
    const piece = () => {
      if (mine.stop) return;
      const until = performance.now() + 16;
      while (mine.list.length < total && performance.now() < until) {
        run = run || model.trainer(model.start(2, n, total === 1 ? train.seed = (train.seed || 0) + 1 : seed), 2, n, P, I, { steps: 600, lr: 0.03 });
        for (let k = 0; k < 20 && !run.done; k++) run.step();
        if (run.done) { const x = run.x; mine.list.push({ x, loss: model.lossAt(x, 2, n, P, I), name: arrangement(x, n).name }); run = null; seed++; }
      }
      if (mine.list.length === total) { mine.busy = false; if (total === 1) pick(0); schedule('dots'); return; }
      if (performance.now() - painted > 120) { painted = performance.now(); schedule('dots'); }
      setTimeout(piece);
    };
    schedule('dots');
    setTimeout(piece);
    return mine;
  }
  const settingKey = () => [state.n, state.p, state.ratio].join();
  function pick(k) { runs.chosen = k; net = runs.list[k].x.slice(); following = false; kept(); computeSlice(); schedule('two'); }
  function kept() { state.W = Array.from(net.slice(0, 2 * state.n)); state.b = Array.from(net.slice(2 * state.n)); save(); }
  function letGo() { state.W = state.b = null; }
  function sentencesTwo() {
    const n = state.n, value = lossOf(net), { count, name } = arrangement(net);
    $('loss').textContent = `Loss ${short(value, 5)}. ${count} of ${n} features represented: ${name}.`;
    const k = nearestSweep(state.p), parts = [['At density '], [short(state.p, 2), 1]];
    if (standard()) {
      const three = DATA.arrangements.densities.findIndex(q => Math.abs(q - state.p) < 1e-6), best = stripNames ? stripNames[k] : arrangement(net), success = three >= 0 ? DATA.arrangements.success[three] : DATA.sweep.success[k];
      const known = three >= 0 ? arrangement([...DATA.arrangements.W[three][0], ...DATA.arrangements.W[three][1]], 5) : best;
      const story = { 'two at right angles': 'Dense data: a second feature on the same direction would disturb too often, so all but the two most important are dropped.', 'a triangle': 'Between dense and sparse, three features fit into two dimensions.', 'two pairs': 'Features that point opposite ways disturb each other only below zero, and the ReLU removes that.', 'a pentagon': 'So rarely are two features on at once that all five fit, 72 degrees apart.' };
      parts.push([' the best of many starts keeps '], [`${known.count} of 5`, 1], [` features in two dimensions: ${known.name}. `], [`${percent(success)}`, 1], [' of single starts find it. '], [story[known.name] || '']);
    } else parts.push([`, ${n} features in two dimensions: this model keeps `], [`${count}`, 1], [`, ${name}.`]);
    fill($('finding'), parts);
  }

  // ---- one redraw a frame ----
  const dirty = new Set();
  let waiting = 0;
  function schedule(...what) { what.forEach(name => dirty.add(name)); if (!waiting) waiting = requestAnimationFrame(frame); }
  function frame() {
    waiting = 0;
    const has = (...names) => names.some(name => dirty.has(name)), todo = new Set(dirty);
    dirty.clear();
    const is = (...names) => names.some(name => todo.has(name));
    if (state.view === 'one') {
      if (is('solve', 'all')) solve(); else if (is('start')) { follow(); countStarts(); }
      if (is('solve', 'all', 'diagram')) drawDiagram();
      if (is('solve', 'all', 'start', 'ground', 'shares', 'chosen')) drawGround();
      if (is('solve', 'all', 'cut')) drawCut();
      if (is('solve', 'all', 'chosen')) drawDoes();
      if (is('solve', 'all', 'shares', 'chosen')) tableOfMinima();
      sentences();
    } else {
      const all = is('all', 'two');
      if (all || is('density', 'strip')) drawStrip();
      if (all || is('density', 'arrows', 'net')) drawArrows();
      if (all || is('density', 'net', 'gram', 'arrows')) drawGram();
      if (all || is('density', 'dots')) drawDots();
      sentencesTwo();
    }
    inputs();
    if (todo.has('ready')) root.dataset.ready = Math.round(performance.now());
  }
  function inputs() {
    for (const id of ['p1', 'p2']) { setRange(id, Math.log10(state.p), `density ${short(state.p, 2)}`); setText(`${id}-number`, short(state.p, 3)); }
    setRange('r', Math.log10(state.r), `importance ${short(state.r, 2)}`); setText('r-number', short(state.r, 3));
    setRange('lr', Math.log10(state.lr), `learning rate ${short(state.lr, 2)}`); $('lr-value').textContent = short(state.lr, 2);
    setRange('ratio', state.ratio, `each feature ${short(state.ratio, 2)} times as important as the one before`); $('ratio-value').textContent = `\u00d7 ${state.ratio.toFixed(2)}`;
    setRange('n', state.n, `${state.n} features`); $('n-value').textContent = state.n;
    const press = (selector, name, value) => document.querySelectorAll(selector).forEach(button => button.setAttribute('aria-pressed', button.dataset[name] === value));
    press('[data-layer]', 'layer', state.layer); press('[data-ground]', 'ground', state.ground); press('[data-optimizer]', 'optimizer', state.optimizer);
    $('tab-one').setAttribute('aria-pressed', state.view === 'one'); $('tab-two').setAttribute('aria-pressed', state.view === 'two');
    document.querySelectorAll('.story a').forEach(a => { if (a.hash === `#preset=${state.preset}`) a.setAttribute('aria-current', 'true'); else a.removeAttribute('aria-current'); });
  }
  function setRange(id, value, text) { const input = $(id); if (Math.abs(input.value - value) > 1e-9) input.value = value; input.setAttribute('aria-valuetext', text); }
  function setText(id, text) { const input = $(id); if (document.activeElement !== input) input.value = text; }

  // ---- what a person does ----
  function change(values, ...what) { Object.assign(state, values); if (state.preset) state.preset = ''; save(); schedule(...what); }
  function setDensity(p) {
    p = clamp(p, 0.01, 1);
    if (state.view === 'one') { change({ p }, 'solve'); return; }
    if (runs) { runs.stop = true; runs = null; }
    Object.assign(state, { p });
    if (following && standard()) { loadBest(); letGo(); }
    computeSlice();
    change({}, 'density');
  }
  function drag(plot, down, move) {
    let active = false;
    plot.canvas.addEventListener('pointerdown', event => {
      if (event.button) return;
      active = down ? down(plot.at(event)) !== false : true;
      if (!active) return;
      plot.canvas.setPointerCapture(event.pointerId); plot.canvas.focus({ preventScroll: true }); event.preventDefault();
      if (!down) move(plot.at(event));
    });
    plot.canvas.addEventListener('pointermove', event => { if (active) move(plot.at(event)); });
    for (const name of ['pointerup', 'pointercancel']) plot.canvas.addEventListener(name, () => { if (active && plot.drop) plot.drop(); active = false; });
  }
  function keys(plot, act) {
    plot.canvas.addEventListener('keydown', event => {
      const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (d || act.length > 1) { if (act(d ? d.map(v => v * (event.shiftKey ? 5 : 1)) : null, event.key) !== false) event.preventDefault(); }
    });
  }
  drag(diagram, null, ([x, y]) => change({ p: 10 ** clamp(x, -2, 0), r: 10 ** clamp(y, -1, 1) }, 'solve'));
  keys(diagram, d => change({ p: 10 ** clamp(Math.log10(state.p) - 0.02 * d[0], -2, 0), r: 10 ** clamp(Math.log10(state.r) + 0.02 * d[1], -1, 1) }, 'solve'));
  drag(ground, ([, , px, py]) => { // a click on a minimum shows it; anywhere else takes the start there
    const hit = found.findIndex(f => [1, -1].some(s => Math.hypot(ground.x(s * f.W[0][0]) - px, ground.y(s * f.W[0][1]) - py) < 14));
    const near = Math.hypot(ground.x(state.start[0]) - px, ground.y(state.start[1]) - py) < 22;
    if (hit >= 0 && !near) { chosen = hit; schedule('chosen'); return false; }
  }, ([x, y]) => change({ start: [clamp(x, -EXTENT, EXTENT), clamp(y, -EXTENT, EXTENT)] }, 'start'));
  ground.canvas.addEventListener('click', event => { // a click without a drag moves the start as well
    const [x, y, px, py] = ground.at(event), hit = found.some(f => [1, -1].some(s => Math.hypot(ground.x(s * f.W[0][0]) - px, ground.y(s * f.W[0][1]) - py) < 14));
    if (!hit && Math.abs(x) <= EXTENT && Math.abs(y) <= EXTENT) change({ start: [x, y] }, 'start');
  });
  keys(ground, d => change({ start: state.start.map((v, k) => clamp(v + 0.03 * d[k], -EXTENT, EXTENT)) }, 'start'));
  $('minima').addEventListener('click', event => { const button = event.target.closest('[data-minimum]'); if (button) { chosen = Number(button.dataset.minimum); schedule('chosen'); requestAnimationFrame(() => { const again = document.querySelector(`[data-minimum="${chosen}"]`); if (again) again.focus(); }); } });

  drag(arrows, ([, , px, py]) => {
    const far = Array.from({ length: state.n }, (_, j) => Math.hypot(arrows.x(net[j]) - px, arrows.y(net[state.n + j]) - py)), nearest = far.indexOf(Math.min(...far));
    if (far[nearest] > 26) return false;
    if (arrow !== nearest) { arrow = nearest; computeSlice(); }
    hover = arrow; following = false; schedule('net');
  }, ([x, y]) => moveTip(x, y));
  arrows.drop = () => { hover = -1; schedule('net'); };
  function moveTip(x, y) { net[arrow] = clamp(x, -1.4, 1.4); net[state.n + arrow] = clamp(y, -1.4, 1.4); following = false; kept(); change({}, 'net'); }
  keys(arrows, (d, key) => {
    if (d) return moveTip(net[arrow] + 0.02 * d[0], net[state.n + arrow] + 0.02 * d[1]);
    if (!(Number(key) >= 1 && Number(key) <= state.n)) return false;
    arrow = Number(key) - 1; computeSlice(); schedule('net');
  });
  arrows.canvas.addEventListener('pointermove', event => {
    if (event.buttons) return;
    const [, , px, py] = arrows.at(event), was = hover;
    hover = Array.from({ length: state.n }, (_, j) => j).find(j => Math.hypot(arrows.x(net[j]) - px, arrows.y(net[state.n + j]) - py) < 18) ?? -1;
    arrows.canvas.style.cursor = hover >= 0 ? 'grab' : 'default';
    if (was !== hover) schedule('net');
  });
  for (const plot of [arrows, gram]) plot.canvas.addEventListener('pointerleave', () => { if (hover >= 0) { hover = -1; schedule('net'); } });
  gram.canvas.addEventListener('pointermove', event => {
    const box = gram.canvas.getBoundingClientRect(), row = Math.floor((event.clientY - box.top - gram.top) / gram.cell), was = hover;
    hover = row >= 0 && row < state.n ? row : -1;
    if (was !== hover) schedule('net');
  });
  let walk = null;
  function letDescend() { // to the bottom, shown on the way; never raises the loss
    if (walk) walk.stop = true;
    const mine = walk = { stop: false }, still = matchMedia('(prefers-reduced-motion: reduce)').matches, target = net.slice();
    following = false;
    const P = densities(), I = importance(), n = state.n, piece = still ? 400 : 2;
    let left = 400;
    const step = () => {
      if (mine.stop || state.n !== n) return;
      const before = model.lossAt(target, 2, n, P, I), after = model.polish(target, 2, n, P, I, piece);
      net = target.slice(); left -= piece;
      if (left <= 0 || before - after < 1e-12) { mine.stop = true; kept(); computeSlice(); } else requestAnimationFrame(step);
      schedule('net');
    };
    step();
  }
  for (const canvas of [arrows.canvas, strip.canvas]) canvas.addEventListener('pointerdown', () => { if (walk) walk.stop = true; });
  $('descend').onclick = letDescend;
  $('fresh').onclick = () => { if (walk) walk.stop = true; net = model.start(2, state.n, Math.floor(Math.random() * 1e6)); following = false; kept(); computeSlice(); change({}, 'two'); };
  $('best').onclick = () => { if (walk) walk.stop = true; if (standard()) loadBest(); else findBest(); following = true; letGo(); computeSlice(); change({}, 'two'); };
  drag(strip, null, ([x]) => setDensity(10 ** clamp(x, -2, 0)));
  keys(strip, d => setDensity(10 ** (Math.log10(state.p) - 0.02 * (d[0] + d[1]))));
  dots.canvas.addEventListener('click', event => {
    if (!runs || !runs.list.length) return;
    const [, , px, py] = dots.at(event), far = runs.list.map(run => Math.hypot(run.px - px, run.py - py)), k = far.indexOf(Math.min(...far));
    if (far[k] < 30) pick(k);
  });
  keys(dots, d => { if (!runs || !runs.list.length) return; const order = runs.list.map((_, k) => k).sort((i, j) => runs.list[i].loss - runs.list[j].loss), at = order.indexOf(runs.chosen); pick(order[clamp(at + Math.sign(d[0] + d[1]), 0, order.length - 1)]); });
  document.querySelectorAll('[data-starts]').forEach(button => { button.onclick = () => train(Number(button.dataset.starts)); });
  document.querySelectorAll('[data-layer]').forEach(button => { button.onclick = () => change({ layer: button.dataset.layer }, 'diagram'); });
  document.querySelectorAll('[data-ground]').forEach(button => { button.onclick = () => change({ ground: button.dataset.ground }, 'ground'); });
  document.querySelectorAll('[data-optimizer]').forEach(button => { button.onclick = () => change({ optimizer: button.dataset.optimizer }, 'start', 'shares'); });
  $('lr').oninput = () => change({ lr: Number((10 ** $('lr').value).toPrecision(4)) }, 'start', 'shares');
  for (const id of ['p1', 'p2']) $(id).oninput = () => setDensity(Number((10 ** $(id).value).toPrecision(6)));
  $('r').oninput = () => change({ r: Number((10 ** $('r').value).toPrecision(6)) }, 'solve');
  function typed(id, low, high, name, message, apply) {
    $(id).onchange = () => {
      const text = $(id).value.trim().replace(',', '.'), value = Number(text), good = text !== '' && Number.isFinite(value);
      const inside = good ? clamp(value, low, high) : null;
      $(message).textContent = !good ? `${name} must be a number from ${low} to ${high}.` : inside !== value ? `${name} goes from ${low} to ${high}; ${value} became ${inside}.` : '';
      if (good) apply(inside);
      $(id).value = short(id[0] === 'p' ? state.p : state.r, 3);
    };
  }
  typed('p1-number', 0.01, 1, 'Density', 'warning', setDensity); typed('p2-number', 0.01, 1, 'Density', 'warning2', setDensity);
  typed('r-number', 0.1, 10, 'Importance', 'warning', r => change({ r }, 'solve'));
  function resize(values) { if (walk) walk.stop = true; if (runs) { runs.stop = true; runs = null; } Object.assign(state, values); arrow = Math.min(arrow, state.n - 1); hover = -1; letGo(); if (standard()) loadBest(); else findBest(); following = true; computeSlice(); change({}, 'two'); }
  $('n').oninput = () => resize({ n: Number($('n').value) });
  $('ratio').oninput = () => resize({ ratio: Number($('ratio').value) });
  $('tab-one').onclick = () => show({ ...state, view: 'one', preset: '' });
  $('tab-two').onclick = () => show({ ...state, view: 'two', preset: '' });
  $('copy').onclick = async () => {
    const link = location.href.split('#')[0] + '#' + write();
    try { await navigator.clipboard.writeText(link); } catch { const area = document.createElement('textarea'); area.value = link; document.body.append(area); area.select(); document.execCommand('copy'); area.remove(); $('copy').focus(); }
    $('copy').textContent = 'Copied'; setTimeout(() => { $('copy').textContent = 'Copy link'; }, 1500);
  };
  document.querySelector('.story').addEventListener('click', event => { // works in a frame too, where an address may not change
    const a = event.target.closest('a');
    if (a) { event.preventDefault(); show(read(a.hash)); save(); }
  });
  function show(next) {
    state = next;
    if (walk) walk.stop = true;
    if (runs && runs.key !== settingKey()) { runs.stop = true; runs = null; }
    $('one').hidden = state.view !== 'one'; $('two').hidden = state.view !== 'two';
    for (const id of ['warning', 'warning2']) $(id).textContent = '';
    if (state.view === 'two') {
      arrow = Math.min(arrow, state.n - 1); hover = -1;
      if (state.W) { net = Float64Array.from([...state.W, ...state.b]); following = false; }
      else { following = true; if (standard()) loadBest(); else findBest(); }
      computeSlice();
      if (state.preset === 'starts' && !runs) train(100);
    }
    save();
    schedule('all');
  }
  addEventListener('hashchange', event => { // the address asked for, which a save that was waiting may have written over
    const asked = new URL(event.newURL).hash;
    if (asked !== '#' + wrote) { wrote = asked.slice(1); show(read(asked)); }
  });
  addEventListener('resize', () => schedule('all'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readTheme(); schedule('all'); });

  window.toymodels = {
    loss: model.loss, gradient: model.gradient, landscape: model.landscape, minima: model.minima, train: model.train,
    get state() {
      return {
        ...state, W: state.view === 'two' ? model.unpack(net, 2, state.n).W : found[chosen].W, b: state.view === 'two' ? Array.from(net.slice(2 * state.n)) : found[chosen].b,
        importance: importance(), minima: found, shares: counted() ? { minima: basin.share, dead: basin.dead } : null, end, path: path.length, hash: write(),
        runs: runs ? { done: runs.list.length, busy: runs.busy, loss: runs.list.map(run => run.loss) } : null, border: borderAt(state.p), arrangement: state.view === 'two' ? arrangement(net) : null, sliced: !!slice && slice.ready,
        places: { tips: Array.from({ length: state.n }, (_, j) => [arrows.x(net[j]), arrows.y(net[state.n + j])]), start: [ground.x(state.start[0]), ground.y(state.start[1])] },
      };
    },
    cell(d, k) { const x = cellModel(d, k), loss = model.polish(x, 1, 2, [cells.densities[d], cells.densities[d]], [1, cells.importances[k]]); return { W: [[x[0], x[1]]], b: [x[2], x[3]], loss }; },
  };
  readTheme();
  show(read(location.hash || root.dataset.state));
  schedule('ready');
})();
