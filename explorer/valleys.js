// Two features in one neuron: the loss over both weights, the minima in it, and where starts end.
const valleys = (() => {
  const { theme, rgb, mix, inkOn } = canvas, { clamp, short, fixed, percent, above } = format, { EXTENT } = address;
  const { COLOURS } = phase, POINTS = 49, SHARED = 2, GONE = -3, DEAD = -2, UNDERWAY = -1;
  const $ = id => document.getElementById(id);
  const ground = canvas.surface('landscape', [8, 16, 40, 48], width => phase.square(width, Math.min(width, 300)));
  const does = canvas.surface('does', [0, 0, 0, 0], () => 168), descent = curve.place('descent-one');
  Object.assign(ground, { x0: -EXTENT, x1: EXTENT, y0: -EXTENT, y1: EXTENT });

  const here = { found: [], chosen: 0, L: null, path: [], losses: [], end: null, basin: null };
  const densities = () => [state.p, state.p], importance = () => [1, state.r];
  const steps = () => state.optimizer === 'adam' ? 500 : 2000;
  function trained(x) {
    const { lr, optimizer } = state;
    return model.trainer(x, 1, 2, densities(), importance(), { steps: steps(), lr, optimizer });
  }
  const optimiser = () => state.optimizer === 'adam' ? 'Adam' : 'gradient descent';
  function nameOf({ phase: kind, W: [[w1, w2]] }) {
    if (kind === SHARED) return 'superposition';
    if (kind === 1) return Math.abs(w1) > 0.2 ? 'mostly feature 2' : 'only feature 2';
    return Math.abs(w2) > 0.2 ? 'mostly feature 1' : 'only feature 1';
  }

  // ---- where starts end ----
  function where(x) { // the index of the minimum that x has come to, or DEAD, UNDERWAY, GONE
    if (!x.every(Number.isFinite)) return GONE;
    return model.dead(x) ? DEAD : model.nearest(x, here.found); // model.nearest answers -1 for none: UNDERWAY
  }
  function follow() { // the one start that is shown
    const x = Float64Array.of(...state.start, 0, 0), run = trained(x), path = [[...state.start]], losses = [];
    while (!run.done) {
      losses.push(run.step());
      const [w1, w2] = path[path.length - 1];
      if (Math.abs(x[0] - w1) + Math.abs(x[1] - w2) > 0.01) path.push([x[0], x[1]]);
    }
    losses.push(model.lossAt(x, 1, 2, densities(), importance()));
    Object.assign(here, { path, losses, end: where(x) });
  }
  // All starts: a grid over ±TOP, weighed by the chance of a start (normal weights of variance 2/3, zero biases).
  const GRID = 49, TOP = 2.4, START = k => TOP * (2 * k / (GRID - 1) - 1);
  const WEIGHT = k => Math.exp(-0.75 * START(k) ** 2);
  const setting = () => [state.p, state.r, state.optimizer, state.lr].join();
  let counting = { stop: true };
  function endOf(start, ends) { // near a minimum in weights and biases a run will not leave again: it is cut short
    const x = Float64Array.of(...start, 0, 0), run = trained(x);
    const near = sign => ({ W: [[w1, w2]], b }) => Math.abs(x[0] - sign * w1) + Math.abs(x[1] - sign * w2)
      + Math.abs(x[2] - b[0]) + Math.abs(x[3] - b[1]) < 0.04;
    for (let t = 1; !run.done; t++) {
      run.step();
      const goal = t % 25 ? -1 : ends.findIndex(end => near(1)(end) || near(-1)(end));
      if (goal >= 0) return goal;
    }
    return where(x);
  }
  function count() {
    counting.stop = true;
    const mine = setting(), total = GRID * GRID, half = total + 1 >> 1;
    const label = new Int8Array(total), ends = here.found.slice();
    if (here.basin && here.basin.setting === mine) return;
    let k = 0;
    const next = () => {
      const end = endOf([START(k % GRID), START(Math.floor(k / GRID))], ends);
      label[k] = label[total - 1 - k] = end; // W and -W have the same loss
      return ++k < half;
    };
    const pause = finished => {
      if (!finished) return;
      const sums = {}, chance = j => WEIGHT(j % GRID) * WEIGHT(Math.floor(j / GRID));
      let all = 0;
      label.forEach((end, j) => {
        sums[end] = (sums[end] || 0) + chance(j);
        all += chance(j);
      });
      const share = end => (sums[end] || 0) / all;
      here.basin = {
        setting: mine, label, minima: ends.map((_, j) => share(j)),
        dead: share(DEAD), underway: share(UNDERWAY), gone: share(GONE),
      };
      redraw.schedule('shares');
    };
    counting = redraw.inPieces(next, { wait: 60, pause });
  }
  function counted() {
    const { basin, found } = here;
    return basin && basin.setting === setting() && basin.minima.length === found.length;
  }
  function solve() {
    const before = here.found[here.chosen];
    here.L = model.landscape(state.p, state.r, POINTS, EXTENT);
    here.found = model.minima(state.p, state.r, POINTS, EXTENT);
    here.chosen = before && here.chosen ? Math.max(0, model.nearest([...before.W[0]], here.found)) : 0;
    follow();
    count();
  }

  // ---- the landscape ----
  const shade = document.createElement('canvas');
  shade.width = shade.height = POINTS;
  function levels() { // a loss as a share of the way from the lowest to well above that of zero weights
    const bottom = here.found[0].loss, zero = Float64Array.of(0, 0, state.p / 2, state.p / 2);
    const top = Math.max(bottom * 1.5, model.lossAt(zero, 1, 2, densities(), importance()) * 1.6);
    return Float64Array.from(here.L, loss => Math.sqrt(clamp((loss - bottom) / (top - bottom), 0, 1)));
  }
  function drawShade(g, T) {
    const s = shade.getContext('2d'), image = s.createImageData(POINTS, POINTS);
    const low = rgb(theme.low), high = rgb(theme.high);
    T.forEach((t, k) => {
      const row = POINTS - 1 - Math.floor(k / POINTS);
      image.data.set([...mix(low, high, t).map(Math.round), 255], 4 * (row * POINTS + k % POINTS));
    });
    s.putImageData(image, 0, 0);
    const w = (g.right - g.left) / (POINTS - 1), h = (g.bottom - g.top) / (POINTS - 1);
    g.c.imageSmoothingEnabled = true;
    g.c.drawImage(shade, g.left - w / 2, g.top - h / 2, w * POINTS, h * POINTS);
  }
  const colourOf = end => end >= 0 ? COLOURS[here.found[end].phase] : end === DEAD ? theme.ink : theme.soft;
  function drawBasins(g) { // answers whether some start in the picture comes to no minimum
    const cell = START(1) - START(0), w = g.x(cell) - g.x(0), h = g.y(0) - g.y(cell);
    let lost = false;
    here.basin.label.forEach((end, k) => {
      const x = START(k % GRID), y = START(Math.floor(k / GRID));
      if (Math.max(Math.abs(x), Math.abs(y)) > EXTENT + cell) return;
      if (end < 0) lost = true;
      g.rect(g.x(x) - w / 2, g.y(y) - h / 2, w + 0.6, h + 0.6, colourOf(end));
    });
    return lost;
  }
  function drawContours(g, T, colour) { // marching squares
    const c = g.c, at = k => EXTENT * (2 * k / (POINTS - 1) - 1);
    c.strokeStyle = colour;
    c.lineWidth = 0.8;
    c.beginPath();
    for (const v of [0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.84]) {
      for (let y = 0; y < POINTS - 1; y++) for (let x = 0; x < POINTS - 1; x++) {
        const k = y * POINTS + x, a = T[k] - v, b = T[k + 1] - v, d = T[k + POINTS] - v, e = T[k + POINTS + 1] - v;
        const up = [a > 0, b > 0, d > 0, e > 0], ends = [];
        if (up[0] !== up[1]) ends.push(x + a / (a - b), y);
        if (up[1] !== up[3]) ends.push(x + 1, y + b / (b - e));
        if (up[2] !== up[3]) ends.push(x + d / (d - e), y + 1);
        if (up[0] !== up[2]) ends.push(x, y + a / (a - d));
        for (let j = 0; j + 3 < ends.length; j += 4) {
          c.moveTo(g.x(at(ends[j])), g.y(at(ends[j + 1])));
          c.lineTo(g.x(at(ends[j + 2])), g.y(at(ends[j + 3])));
        }
      }
    }
    c.stroke();
  }
  function drawMinimum(g, minimum, k, sign) {
    const [w1, w2] = minimum.W[0], x = g.x(sign * w1), y = g.y(sign * w2), colour = COLOURS[minimum.phase];
    g.dot(x, y, 8.5, theme.paper);
    g.dot(x, y, 7, k ? theme.paper : colour, theme.ink, 1.2);
    g.dot(x, y, k ? 4 : 2, k ? colour : inkOn(colour), k ? theme.ink : null, 0.8);
    if (k === here.chosen) g.dot(x, y, 11, null, theme.ink, 1.2);
  }
  function nameMinima(g, shaded) {
    const taken = [];
    here.found.forEach((minimum, k) => {
      const [w1, w2] = minimum.W[0], sign = w1 < 0 && Math.abs(w1) > 0.2 ? -1 : 1;
      const name = nameOf(minimum), weight = k ? 400 : 650;
      const share = story.here.asking ? '' : counted() ? `${percent(here.basin.minima[k])} of starts` : '\u2026';
      const half = Math.max(g.width(name, 12, weight), g.width(share, 11.5)) / 2 + 4, small = g.bottom - g.top < 260;
      // below its minimum; in a small plot left of it, so that the end of the path stays in sight
      let y = clamp(g.y(sign * w2) + (small ? -3 : 26), g.top + 14, g.bottom - 20);
      while (taken.some(other => Math.abs(other - y) < 32)) y -= 33;
      taken.push(y);
      const x = clamp(g.x(sign * w1) - (small ? half + 13 : 0), g.left + half, g.right - half);
      if (shaded) g.rect(x - half, y - 12, 2 * half, 30, 'rgba(255,255,255,0.85)');
      const paint = { align: 'center', ...(shaded ? { colour: '#111111', halo: null } : {}) };
      g.text(name, x, y, { weight, ...paint });
      g.text(share, x, y + 14, { size: 11.5, ...paint });
    });
  }
  function drawGround() {
    const g = ground.fit(), T = levels(), shaded = state.ground === 'basins' && counted();
    const contour = shaded ? 'rgba(0,0,0,0.35)' : theme.dark ? 'rgba(255,255,255,0.22)' : 'rgba(0,0,0,0.2)';
    let lost = false;
    g.square();
    g.clip(() => {
      drawShade(g, T);
      if (shaded) lost = drawBasins(g);
      drawContours(g, T, contour);
      g.path([[g.x(0), g.top], [g.x(0), g.bottom]], theme.soft, 0.6);
      g.path([[g.left, g.y(0)], [g.right, g.y(0)]], theme.soft, 0.6);
      const line = (story.here.asking ? [] : here.path).map(([x, y]) => [g.x(x), g.y(y)]); // while asked it would give the answer away
      g.path(line, theme.paper, 5);
      g.path(line, theme.good, 2.4);
    });
    g.frame();
    if (state.ground === 'basins' && !shaded) g.text('training every start \u2026', g.left + 10, g.top + 18);
    g.ticks('x', [-1, 0, 1]);
    g.ticks('y', [-1, 0, 1]);
    g.titles('weight w\u2081 of feature 1', 'weight w\u2082 of feature 2');
    here.found.forEach((minimum, k) => [-1, 1].forEach(sign => drawMinimum(g, minimum, k, sign)));
    nameMinima(g, shaded);
    const [x, y] = place(), right = x < g.right - 50;
    g.dot(x, y, 9, theme.paper, theme.good, 3);
    g.dot(x, y, 3, theme.good);
    const align = right ? 'left' : 'right';
    g.text('start', x + (right ? 14 : -14), y, { align, base: 'middle', weight: 650, colour: theme.good });
    $('basins-key').style.visibility = lost ? '' : 'hidden'; // its row stays: nothing below moves
  }

  // ---- what the chosen minimum does ----
  function drawOutputs(g, left, wide, x, W, b) { // both inputs as frames, both outputs as bars beside them
    const zero = 92, unit = 48, most = 1.4, h = W[0] * x[0] + W[1] * x[1];
    g.path([[left, zero + 0.5], [left + wide - 14, zero + 0.5]], theme.soft, 1);
    for (const i of [0, 1]) {
      const at = left + 6 + i * (wide - 20) / 2, width = Math.min(17, wide / 6.5);
      const value = clamp(W[i] * h + b[i], -0.75, most);
      g.box(at + 0.5, zero - unit * x[i] + 0.5, width, unit * x[i], theme.ink, 1.3);
      if (value >= 0) g.rect(at + width + 4, zero - unit * value, width, unit * value, theme.good);
      else g.hatch(at + width + 4, zero, width, -unit * value, theme.soft);
      const label = value < -0.12 ? zero - 4 - unit * x[i] : zero + 14;
      g.note(String(i + 1), at + width + 2, label, { align: 'center', size: 11.5 });
    }
  }
  function drawDoes() {
    const g = does.fit(), minimum = here.found[here.chosen], [W] = minimum.W, { b } = minimum, wide = g.w / 3;
    const inputs = [['only feature 1 on', [1, 0]], ['only feature 2 on', [0, 1]], ['both on', [1, 1]]];
    inputs.forEach(([title, x], k) => {
      const name = wide < 125 ? title.replace('only feature', 'only') : title;
      g.text(name, k * wide + 4, 14, { halo: null, weight: 650 });
      drawOutputs(g, k * wide + 4, wide, x, W, b);
    });
    g.box(4.5, 144.5, 9, 9, theme.ink, 1.2);
    g.note('input', 18, 153, { size: 11.5 });
    g.rect(58, 144, 10, 10, theme.good);
    g.note('output', 73, 153, { size: 11.5 });
    g.hatch(122, 144, 11, 10, theme.soft);
    g.note('below zero: the ReLU makes it 0', 138, 153, { size: 11.5 });
    $('chosen').textContent = `in \u201c${nameOf(minimum)}\u201d`;
    const weights = `weights ${fixed(W[0])} and ${fixed(W[1])}, biases ${fixed(b[0])} and ${fixed(b[1])}`;
    does.element.setAttribute('aria-label', `What the model does in ${nameOf(minimum)}: ${weights}`);
  }
  function rowOf(body, texts, first) {
    const row = body.insertRow();
    row.insertCell().append(...first);
    for (const text of texts) row.insertCell().textContent = text;
  }
  function tableOfMinima() {
    const body = $('minima').tBodies[0], known = counted(), list = values => values.map(v => fixed(v)).join(', ');
    const swatch = colour => {
      return Object.assign(document.createElement('span'), { className: 'swatch', style: `background: ${colour}` });
    };
    body.textContent = '';
    here.found.forEach((minimum, k) => {
      const button = Object.assign(document.createElement('button'), { type: 'button' });
      button.dataset.minimum = k;
      button.setAttribute('aria-pressed', k === here.chosen);
      button.append(swatch(COLOURS[minimum.phase]), nameOf(minimum));
      const share = known ? percent(here.basin.minima[k]) : '\u2026';
      rowOf(body, [short(minimum.loss), share, list(minimum.W[0]), list(minimum.b)], [button]);
    });
    if (!known) return;
    const { dead, underway, gone } = here.basin;
    const rest = [
      [underway, 'not arrived', theme.soft], [dead, 'an output lost', theme.ink], [gone, 'diverged', theme.soft],
    ];
    for (const [share, name, colour] of rest) {
      if (share > 0.005) rowOf(body, ['', percent(share), '', ''], [swatch(colour), name]);
    }
  }

  // ---- in words ----
  function endsInWords() { // the ends of all starts, each with its share
    const { minima, dead, underway, gone } = here.basin, lowest = here.found[0].loss * (1 + 1e-6);
    const sum = test => here.found.reduce((total, { loss }, k) => total + (test(loss) ? minima[k] : 0), 0);
    const best = sum(loss => loss <= lowest), others = [
      [sum(loss => loss > lowest), 'end in a worse valley'],
      [dead, 'lose an output'],
      [underway, `have not arrived after ${steps().toLocaleString('en')} steps`],
      [gone, 'diverge'],
    ].filter(([share]) => share > 0.005);
    if (!others.length) return ['Every random start finds it.'];
    const words = others.flatMap(([share, text], k) => [k ? ', ' : '', [percent(share), 1], ` ${text}`]);
    return [[percent(best), 1], ' of random starts find it. ', ...words, '.'];
  }
  function sentences() {
    const best = here.found[0], kind = best.phase, why = [
      'Feature 2 is not worth the interference.',
      'Feature 1 is not worth the interference.',
      'Both features share the neuron.',
    ][kind];
    const name = kind === SHARED ? 'superposition' : kind === 1 ? 'only feature 2' : 'only feature 1';
    redraw.fill($('finding'), [
      'At density ', [short(state.p, 2), 1], ' and importance ', [short(state.r, 2), 1], ', ', [name, 1],
      ` has the lowest loss. ${why} `,
      ...(counted() ? endsInWords() : ['Training every start \u2026']),
    ]);
    const { end } = here, from = `From (${fixed(state.start[0])}, ${fixed(state.start[1])}) ${optimiser()}`;
    const result = end === GONE ? 'diverges: the learning rate is too large.'
      : end === DEAD ? 'loses an output: it is never on, so it has no slope to follow.'
      : end === UNDERWAY ? `has not arrived after ${steps().toLocaleString('en')} steps.`
      : `ends in \u201c${nameOf(here.found[end])}\u201d, ${end === 0 ? 'the lowest minimum.'
        : `${above(here.found[end].loss, best.loss)} above the lowest.`}`;
    $('end').textContent = `${from} ${result}`;
  }

  // ---- what a person does ----
  const hit = (px, py) => here.found.findIndex(({ W: [[w1, w2]] }) => [1, -1].some(sign => {
    return Math.hypot(ground.x(sign * w1) - px, ground.y(sign * w2) - py) < 14;
  }));
  function choose(k) {
    here.chosen = k;
    redraw.schedule('chosen');
  }
  const moveStart = (x, y) => redraw.change({ start: [x, y].map(v => clamp(v, -EXTENT, EXTENT)) }, 'start');
  const place = () => [ground.x(state.start[0]), ground.y(state.start[1])];
  canvas.drag(ground, { // a press on a minimum shows it; anywhere else takes the start there
    down([, , px, py]) {
      const minimum = hit(px, py), [x, y] = place();
      if (minimum < 0 || Math.hypot(x - px, y - py) < 22) return true;
      choose(minimum);
      return false;
    },
    move: ([x, y]) => moveStart(x, y), handle: place,
  });
  canvas.keys(ground, ([dx, dy]) => moveStart(state.start[0] + 0.03 * dx, state.start[1] + 0.03 * dy));
  $('minima').addEventListener('click', event => {
    const button = event.target.closest('[data-minimum]');
    if (!button) return;
    choose(Number(button.dataset.minimum));
    requestAnimationFrame(() => document.querySelector(`[data-minimum="${here.chosen}"]`)?.focus());
  });

  redraw.views.one = {
    enter() {},
    draw(is) {
      if (is('solve')) solve(); else if (is('start')) { follow(); count(); }
      if (is('solve', 'diagram')) phase.drawDiagram();
      if (is('solve', 'start', 'ground', 'shares', 'chosen')) drawGround();
      if (is('solve', 'cut')) phase.drawCut(here.found[0].loss);
      if (is('solve', 'start')) curve.draw(descent, here.losses, here.found[0].loss, 'The loss grew without end.');
      if (is('solve', 'chosen')) drawDoes();
      if (is('solve', 'shares', 'chosen')) tableOfMinima();
      sentences();
    },
  };
  return { here, counted, place };
})();
