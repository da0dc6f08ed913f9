// Two features in one neuron: which solution has the lowest loss over density and importance, and why.
const phase = (() => {
  const { theme, rgb, hex, mix, inkOn } = canvas, { clamp, bytes } = format, cells = DATA.diagram;
  const COLOURS = ['IGNORED', 'DEDICATED', 'SUPERPOSITION'].map(name => DATA.colours[name]);
  const SHARES = ['#0d2f52', '#e9f3fc'], INK = '#111111', RING = 8;
  const ROWS = cells.importances.length, COLUMNS = cells.densities.length;
  const models = new Int16Array(bytes(cells.models).buffer), shares = bytes(cells.share);
  const cellModel = (d, k) => Float64Array.from({ length: 4 }, (_, j) => models[4 * (d * ROWS + k) + j] / cells.scale);

  const square = (width, small = 240) => story.small ? small : story.here.open ? story.fitting(width * 0.96) : clamp(width * 0.96, 250, 380);
  const diagram = canvas.surface('diagram', [8, 16, 40, 40], width => square(width));
  Object.assign(diagram, { x0: 0, x1: -2, y0: -1, y1: 1 });
  const cut = canvas.surface('cut', [8, 12, 38, 62], width => clamp(width * 0.5, 150, 190));

  const images = {};
  function picture(layer) { // one pixel for each trained model
    if (images[layer]) return images[layer];
    const element = document.createElement('canvas'), c = element.getContext('2d');
    element.width = COLUMNS;
    element.height = ROWS;
    const image = c.createImageData(COLUMNS, ROWS), [ignored, dedicated, both] = COLOURS.map(rgb);
    for (let d = 0; d < COLUMNS; d++) for (let k = 0; k < ROWS; k++) {
      const [w1, w2] = cellModel(d, k), share = shares[d * ROWS + k] / 100;
      const keep = clamp(Math.abs(w2), 0, 1), overlap = clamp(w2 ? w1 * w1 : 0, 0, 1); // as phase_blend of the figures
      const blend = mix(ignored, mix(dedicated, both, overlap), keep);
      const colour = layer === 'phase' ? blend : mix(...SHARES.map(rgb), share);
      image.data.set([...colour.map(Math.round), 255], 4 * ((ROWS - 1 - k) * COLUMNS + d));
    }
    c.putImageData(image, 0, 0);
    return images[layer] = element;
  }

  const closedBelow = p => 2 * p / (4 - 5 * p); // importance at the border of the three solutions by hand, r < 1
  function borderAt(p) { // importance at the relaxed border below r = 1, interpolated; null where there is none
    const x = -Math.log10(p) * (COLUMNS - 1) / 2, k = Math.min(Math.floor(x), COLUMNS - 2);
    const a = cells.border[k], b = cells.border[k + 1];
    return a === null || b === null ? null : 10 ** (Math.log10(a) + (x - k) * Math.log10(b / a));
  }

  function drawBorders(g) {
    const last = 4 / 7;
    const at = sign => ([p, r]) => [g.x(Math.log10(p)), g.y(sign * Math.log10(r))];
    const fine = Array.from({ length: 121 }, (_, k) => 10 ** (-2 + 2 * k / 120)).filter(p => p < last).concat(last);
    const byHand = fine.map(p => [p, closedBelow(p)]);
    const relaxed = cells.densities.map((p, k) => [p, cells.border[k]]).filter(([, r]) => r !== null);
    for (const [colour, halo] of [['rgba(255,255,255,0.7)', 2], [INK, 0]]) {
      for (const sign of [1, -1]) {
        g.path(byHand.map(at(sign)), colour, 1.3 + halo, [5, 4]);
        g.path(relaxed.map(at(sign)), colour, 2.2 + halo);
      }
      g.path([at(1)([last, 1]), at(1)([1, 1])], colour, 1.3 + halo, [5, 4]);
    }
  }
  function drawRegions(g) {
    const [size, edge] = story.small ? [12, 5] : [13, 10]; // clear of the borders
    const words = (lines, x, y, colour, align) => lines.forEach((text, k) => {
      g.text(text, x, y + (size + 3) * k, { align, colour: inkOn(colour), halo: colour, size, weight: 650 });
    });
    words(['superposition:', 'both share the neuron'], g.x(-1.28), g.y(0.42), COLOURS[2], 'center');
    words(['only', 'feature 2'], g.left + edge, g.top + edge + 12, COLOURS[1], 'left');
    words(['only', 'feature 1'], g.left + edge, g.bottom - edge - 18, COLOURS[0], 'left');
  }
  function drawScale(g) { // what the tints of the success layer mean
    const w = 150, x = g.right - w - 12, y = g.bottom - 32;
    g.rect(x - 8, y - 38, w + 14, 64, 'rgba(255,255,255,0.94)');
    ['starts that find the best,', 'of ten, by L-BFGS'].forEach((text, k) => g.text(text, x, y - 24 + 16 * k, { colour: INK, halo: null }));
    for (let k = 0; k < w; k++) g.rect(x + k, y, 1, 8, hex(mix(...SHARES.map(rgb), k / (w - 1))));
    g.text('0 %', x, y + 20, { colour: INK, halo: null, size: 11 });
    g.text('100 %', x + w, y + 20, { align: 'right', colour: INK, halo: null, size: 11 });
  }
  function drawCross(g) {
    const [x, y] = cross();
    const arms = [
      [[x, g.top], [x, y - RING]], [[x, y + RING], [x, g.bottom]],
      [[g.left, y], [x - RING, y]], [[x + RING, y], [g.right, y]],
    ];
    for (const [colour, width] of [['#ffffff', 2], [INK, 0.75]]) for (const arm of arms) g.path(arm, colour, width);
  }
  function drawRing(g) {
    for (const [colour, width] of [['#ffffff', 5], [INK, 2.5]]) g.dot(...cross(), RING, null, colour, width);
  }
  function drawDiagram() {
    const g = diagram.fit(), image = picture(state.layer);
    const w = (g.right - g.left) / (COLUMNS - 1), h = (g.bottom - g.top) / (ROWS - 1);
    const blank = story.here.asking; // the map would give the answer away
    if (!blank) g.clip(() => {
      g.c.imageSmoothingEnabled = false;
      g.c.drawImage(image, g.left - w / 2, g.top - h / 2, w * COLUMNS, h * ROWS);
      drawBorders(g);
    });
    g.frame();
    g.logTicks('x', [1, 0.1, 0.01], [0.1, 0.01]);
    g.logTicks('y', [0.1, 1, 10], [0.1, 1]);
    g.titles('density p: dense \u2192 sparse', 'importance r of feature 2');
    drawCross(g);
    if (blank) g.note('?', g.x(-1), g.y(0), { align: 'center', base: 'middle', size: 40 });
    else if (state.layer === 'phase') drawRegions(g); else drawScale(g);
    drawRing(g);
  }

  // The loss of three solutions over importance: sharing the neuron, followed as far as it exists, and one feature alone,
  // which is reproduced without error (weight 1, bias 0) while the other output guesses its mean.
  let solutions = {};
  function lossesOver(p) {
    if (solutions.p === p) return solutions.list;
    const N = 33, last = N - 1, variance = p / 3 - p * p / 4;
    const importances = Array.from({ length: N }, (_, k) => 10 ** (-1 + 2 * k / last));
    const follow = to => {
      const x = Float64Array.of(1, -1, 0, 0), points = [], step = Math.sign(to - last / 2);
      for (let k = last / 2; k !== to + step; k += step) {
        const loss = model.polish(x, 1, 2, [p, p], [1, importances[k]], 40);
        if (model.phase([[x[0], x[1]]]) !== 2 || model.dead(x)) break;
        points.push([importances[k], loss]);
      }
      return points;
    };
    const list = [
      { kind: 2, name: 'superposition', points: [...follow(0).reverse(), ...follow(last).slice(1)] },
      { kind: 0, name: 'only 1', points: importances.map(r => [r, r * variance]) },
      { kind: 1, name: 'only 2', points: importances.map(r => [r, variance]) },
    ];
    solutions = { p, list };
    return list;
  }
  function nameSolution(g, { kind, name, points }) {
    // where the lines lie far apart: only 1 at the right, only 2 at the left
    const k = kind === 2 ? Math.floor(points.length * 0.62) : kind === 1 ? 5 : points.length - 4, [r, loss] = points[k];
    const x = g.x(Math.log10(r)), y = g.y(Math.log10(loss)), align = kind === 0 ? 'right' : 'center';
    g.text(name, x - (kind === 0 ? 8 : 0), y + (kind === 2 ? 20 : kind === 1 ? -7 : 2), { align, weight: 650 });
  }
  function drawCut(lowest) {
    const g = cut.fit(), list = lossesOver(state.p).filter(solution => solution.points.length > 1);
    const losses = list.flatMap(solution => solution.points.map(([, loss]) => Math.log10(loss)));
    Object.assign(g, { x0: -1, x1: 1, y0: Math.min(...losses) - 0.08, y1: Math.max(...losses) + 0.12 });
    g.frame();
    g.logTicks('x', [0.1, 1, 10], [0.1, 1]);
    g.lossTicks();
    g.titles('importance r', 'loss');
    const here = g.x(Math.log10(state.r));
    g.path([[here, g.top], [here, g.bottom]], theme.soft, 1, [3, 3]);
    for (const { kind, points } of list) {
      const line = points.map(([r, loss]) => [g.x(Math.log10(r)), g.y(Math.log10(loss))]), both = kind === 2;
      g.path(line, theme.dark ? '#000' : '#222', both ? 4.5 : 3.6);
      const colour = kind === 1 ? theme.removed : COLOURS[kind]; // which is lighter on dark paper
      g.path(line, colour, both ? 3 : 2.4, kind === 1 ? [7, 3] : []);
      for (const [k, edge] of [[0, -1], [points.length - 1, 1]]) {
        if (Math.abs(Math.log10(points[k][0]) - edge) > 0.02) g.dot(...line[k], 4, colour, theme.ink, 1);
      }
    }
    list.forEach(solution => nameSolution(g, solution));
    g.dot(here, g.y(Math.log10(lowest)), 5.5, theme.paper, theme.ink, 2);
  }

  const within = (p, r) => ({ p: 10 ** clamp(p, -2, 0), r: 10 ** clamp(r, -1, 1) });
  const cross = () => [diagram.x(Math.log10(state.p)), diagram.y(Math.log10(state.r))];
  canvas.drag(diagram, { move: ([p, r]) => redraw.change(within(p, r), 'solve'), handle: cross });
  canvas.keys(diagram, ([dx, dy]) => {
    redraw.change(within(Math.log10(state.p) - 0.02 * dx, Math.log10(state.r) + 0.02 * dy), 'solve');
  });
  return { COLOURS, borderAt, cellModel, cross, drawDiagram, drawCut, square };
})();
