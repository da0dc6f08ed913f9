// What a sparse autoencoder reads: the lowest dictionaries found on a pentagon of features, over the penalty.
const reader = (() => {
  const { theme } = canvas, { clamp, fixed, short, bytes } = format, known = DATA.dictionary;
  const $ = id => document.getElementById(id);
  const K = 5, SIZE = 5 * K + 2, FOUND = 0.97, LATENT = '#e66101', LETTERS = 'abcde', REACH = 1.6;
  const values = new Float32Array(bytes(known.models).buffer), LAST = known.penalties.length - 1;
  const degrees = cosine => Math.acos(clamp(cosine, -1, 1)) * 180 / Math.PI;

  const square = width => clamp(width * 0.9, 250, 350);
  const arrows = canvas.surface('directions', [4, 4, 4, 4], square);
  const plot = canvas.surface('rebuilt', [4, 4, 4, 4], square);
  const counts = canvas.surface('counts', [24, 16, 40, 40], width => clamp(width * 0.52, 160, 200));
  Object.assign(arrows, { x0: -1.5, x1: 1.5, y0: -1.5, y1: 1.5 });
  Object.assign(plot, { x0: -REACH, x1: REACH, y0: -REACH, y1: REACH });
  Object.assign(counts, { x0: Math.log10(known.penalties[0]), x1: Math.log10(known.penalties[LAST]), y0: -0.4, y1: 5.4 });

  // ---- the data ----
  const row = () => known.densities.indexOf(Number(state.density));
  function nearest(penalty) { // the index of the recorded penalty that is nearest on a logarithmic axis
    const far = known.penalties.map(other => Math.abs(Math.log(other / penalty)));
    return far.indexOf(Math.min(...far));
  }
  const index = () => nearest(state.penalty);
  const features = i => known.W[i][0].map((x, j) => [x, known.W[i][1][j]]);
  function weights(i, k) { // of one dictionary: E [latent][2], latents D [latent][2], e, d
    const v = values.subarray((i * (LAST + 1) + k) * SIZE), latent = Array.from({ length: K }, (_, j) => j);
    return {
      E: latent.map(j => [v[2 * j], v[2 * j + 1]]), D: latent.map(j => [v[2 * K + j], v[3 * K + j]]),
      e: latent.map(j => v[4 * K + j]), d: [v[5 * K], v[5 * K + 1]],
    };
  }
  const cosine = (u, v) => (u[0] * v[0] + u[1] * v[1]) / (Math.hypot(...u) * Math.hypot(...v) || 1);
  const closest = (i, k) => { // of each feature: the cosine of the latent nearest to it
    const { D } = weights(i, k);
    return features(i).map(w => Math.max(...D.map(latent => cosine(latent, w))));
  };
  const found = known.densities.map((_, i) => known.penalties.map((_, k) => closest(i, k).map(c => c >= FOUND)));
  const count = (i, k) => found[i][k].filter(Boolean).length;
  // the index of the first penalty from which on all features are found
  const border = known.densities.map((_, i) => known.penalties.findLastIndex((_, k) => count(i, k) < K) + 1);
  const borderInWords = i => border[i] <= LAST ? `all five from \u03bb = ${short(known.penalties[border[i]], 2)}` : '';
  function answer(i, k, h) { // z = ReLU(E(h - d) + e), h-hat = Dz + d
    const { E, D, e, d } = weights(i, k);
    const u = E.map((read, j) => read[0] * (h[0] - d[0]) + read[1] * (h[1] - d[1]) + e[j]);
    const z = u.map(value => Math.max(0, value)), length = D.map(latent => Math.hypot(...latent));
    const out = [0, 1].map(m => d[m] + z.reduce((sum, value, j) => sum + value * D[j][m], 0));
    return { u, z, out, length, D, d };
  }
  const input = () => state.point || features(row())[0];

  // ---- the arrows glide from one dictionary to the next ----
  const here = { angles: null, target: null };
  let last = 0;
  const anglesNow = () => weights(row(), index()).D.map(([x, y]) => Math.atan2(y, x));
  const turn = (from, to) => Math.atan2(Math.sin(to - from), Math.cos(to - from)); // the shorter way round
  function settle() {
    here.angles = anglesNow();
    here.target = null;
  }
  function glide() {
    const target = anglesNow(), moving = here.target;
    if (!here.angles || redraw.still()) {
      settle();
      return;
    }
    here.target = target;
    if (moving) return;
    last = performance.now();
    requestAnimationFrame(step);
  }
  function step(now) {
    if (!here.target) return;
    const part = 1 - Math.exp(-Math.max(0, now - last) / 90);
    last = now;
    const left = here.target.map((to, j) => turn(here.angles[j], to));
    if (Math.max(...left.map(Math.abs)) < 4e-3) settle();
    else {
      here.angles = here.angles.map((from, j) => from + part * left[j]);
      requestAnimationFrame(step);
    }
    redraw.schedule('directions');
  }

  // ---- drawing ----
  function arrow(g, from, to, colour, width) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]], length = Math.hypot(dx, dy);
    if (length < 0.5) return;
    const size = Math.min(4 * width + 2, length), [ux, uy] = [dx / length, dy / length];
    const [bx, by] = [to[0] - size * ux, to[1] - size * uy];
    g.path([from, [to[0] - 0.8 * size * ux, to[1] - 0.8 * size * uy]], colour, width);
    g.c.beginPath();
    g.c.moveTo(to[0], to[1]);
    g.c.lineTo(bx - 0.42 * size * uy, by + 0.42 * size * ux);
    g.c.lineTo(bx + 0.42 * size * uy, by - 0.42 * size * ux);
    g.c.closePath();
    g.c.fillStyle = colour;
    g.c.fill();
  }
  function labels(g) { // a function that writes a text at the first of some places where it covers nothing written
    const taken = [];
    return (text, places, style = {}) => {
      const half = [g.width(text, 13, 700) / 2 + 1, 8];
      const free = places.find(([x, y]) => x - half[0] > 0 && x + half[0] < g.w && y - half[1] > 0 && y + half[1] < g.h
        && taken.every(([a, b, w, h]) => Math.abs(x - a) > half[0] + w || Math.abs(y - b) > half[1] + h));
      if (!free) return;
      taken.push([...free, ...half]);
      g.text(text, ...free, { align: 'center', base: 'middle', size: 13, weight: 700, ...style });
    };
  }
  function ground(g) { // a square in the middle of its canvas
    const side = Math.min(g.right - g.left, g.bottom - g.top), middle = g.w / 2;
    g.left = middle - side / 2;
    g.right = middle + side / 2;
    return [[g.x(0), g.y(0)], ([x, y]) => [g.x(x), g.y(y)]];
  }
  function line(g, from, to) {
    g.c.lineCap = 'round';
    g.path([from, to], theme.line, 9);
    g.c.lineCap = 'butt';
  }
  function drawDirections() {
    const g = arrows.fit(), [origin, at] = ground(g), write = labels(g), { cos, sin } = Math;
    const round = (angle, radius) => at([radius * cos(angle), radius * sin(angle)]);
    const own = features(row()).map(([x, y]) => Math.atan2(y, x)), got = found[row()][index()];
    own.forEach(angle => line(g, origin, round(angle, 1)));
    here.angles.forEach(angle => arrow(g, origin, round(angle, 1.1), LATENT, 2.4));
    own.forEach((angle, j) => write(String(j + 1), [round(angle, 1.41)]));
    const near = [];
    here.angles.forEach((angle, j) => { // arrows that lie together share a label
      const same = near.find(group => Math.abs(turn(group.angle, angle)) < 0.2);
      if (same) same.text += LETTERS[j]; else near.push({ angle, text: LETTERS[j] });
    });
    near.forEach(({ angle, text }) => {
      write(text, [0, 0.1, -0.1, 0.2, -0.2].map(aside => round(angle + aside, 1.22)), { colour: theme.latent });
    });
    const names = got.map((is, j) => is ? j + 1 : 0).filter(Boolean).join(', ') || 'none';
    arrows.element.setAttribute('aria-label', `Five features as grey lines, five latents as arrows. Found: ${names}.`);
  }
  function drawRebuilt() {
    const g = plot.fit(), [origin, at] = ground(g), write = labels(g), h = input();
    const { z, out, D, d } = answer(row(), index(), h), around = [[14, -12], [-14, -12], [14, 12], [-14, 12], [0, -19], [0, 19], [24, 0], [-24, 0]];
    const beside = ([x, y]) => around.map(([a, b]) => [x + a, y + b]);
    g.frame();
    for (const w of features(row())) line(g, origin, at(w));
    let from = at(d);
    const middles = [];
    z.map((value, j) => [value, j]).filter(([value, j]) => value * Math.hypot(...D[j]) > 0.005).forEach(([value, j]) => {
      const to = [from[0] + g.x(value * D[j][0]) - g.x(0), from[1] + g.y(value * D[j][1]) - g.y(0)];
      arrow(g, from, to, LATENT, 2.4);
      const room = Math.hypot(to[0] - from[0], to[1] - from[1]) > 24; // the bars name the shorter ones
      if (room) middles.push([LETTERS[j], [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2]]);
      from = to;
    });
    const [place, end] = [at(h), at(out)];
    g.path([place, end], theme.ink, 1.4, [3, 3]);
    g.dot(...end, 5.5, theme.paper, LATENT, 2.5);
    g.c.save();
    g.c.translate(...place);
    g.c.rotate(Math.PI / 4);
    g.rect(-7, -7, 14, 14, theme.paper);
    g.rect(-5, -5, 10, 10, theme.good);
    g.c.restore();
    write('h', beside(place), { colour: theme.good });
    write('\u0125', beside(end), { colour: theme.latent });
    features(row()).forEach((w, j) => write(String(j + 1), [at(w.map(v => 1.15 * v)), at(w.map(v => 1.28 * v))]));
    middles.forEach(([letter, middle]) => write(letter, beside(middle), { colour: theme.latent }));
    const say = pair => pair.map(v => fixed(v)).join(', ');
    plot.element.setAttribute('aria-label', `Input h at ${say(h)}, rebuilt at ${say(out)}. Arrow keys move h, `
      + 'number keys put it on a feature.');
  }
  function drawCounts() {
    const g = counts.fit(), k = index(), at = row(), x = j => g.x(Math.log10(known.penalties[j]));
    g.frame();
    g.logTicks('x', [0.01, 0.1, 0.5], [0.01, 0.1]);
    g.ticks('y', [0, 1, 2, 3, 4, 5]);
    g.titles('penalty \u03bb', 'features found');
    const middle = border[at] > 0 && border[at] <= LAST ? (x(border[at] - 1) + x(border[at])) / 2 : null;
    if (middle !== null) {
      g.path([[middle, g.top], [middle, g.bottom]], theme.soft, 1.4, [4, 3]);
      const text = borderInWords(at), half = g.width(text) / 2;
      g.note(text, clamp(middle, half, g.w - half), g.top - 8, { align: 'center' });
    }
    known.densities.map((_, i) => i).sort(i => i === at ? 1 : -1).forEach(i => {
      const points = known.penalties.map((_, j) => [x(j), g.y(count(i, j))]), mine = i === at;
      const steps = points.flatMap(([a, b], j) => j ? [[(a + points[j - 1][0]) / 2, points[j - 1][1]], [(a + points[j - 1][0]) / 2, b]] : [[a, b]]);
      g.path([...steps, points[LAST]], mine ? LATENT : theme.line, mine ? 3 : 6);
    });
    g.dot(x(k), g.y(count(at, k)), 7, theme.paper, theme.ink, 2.5);
    counts.element.setAttribute('aria-label', `Features found by penalty: ${count(at, k)} at penalty `
      + `${short(state.penalty, 2)}, ${borderInWords(at)}. Arrow keys change the penalty.`);
  }
  function build() {
    $('latents').replaceChildren(...Array.from(LETTERS, letter => {
      const line = document.createElement('div'), bar = document.createElement('span');
      const name = Object.assign(document.createElement('b'), { textContent: letter });
      line.className = 'latent';
      bar.className = 'bar';
      bar.append(document.createElement('i'));
      line.append(name, bar, document.createElement('output'));
      return line;
    }));
  }
  function drawLatents() {
    const { u, z, length } = answer(row(), index(), input());
    if (!$('latents').childElementCount) build();
    [...$('latents').children].forEach((line, j) => {
      const [, bar, number] = line.children, wrote = z[j] * length[j], below = u[j] < 0;
      bar.firstChild.style.width = `${100 * clamp(Math.abs(u[j]) * length[j] / REACH, 0, 1)}%`;
      bar.firstChild.className = below ? 'below' : '';
      number.textContent = below ? 'off' : wrote.toFixed(2);
    });
  }
  function mark() { // the border on the slider, whose handle runs from 8 pixels within one end to 8 within the other
    const k = border[row()], shown = k > 0 && k <= LAST, share = (k - 0.5) / LAST;
    $('border-mark').hidden = !shown;
    if (!shown) return;
    $('border-mark').lastElementChild.textContent = borderInWords(row());
    $('border-mark').style.setProperty('--at', share);
  }
  function sentences() {
    const i = row(), k = index(), number = count(i, k), all = number === K, got = found[i][k];
    const off = closest(i, k).map(degrees), mean = off.reduce((sum, angle) => sum + angle, 0) / K;
    const names = got.map((is, j) => is ? j + 1 : 0).filter(Boolean);
    redraw.fill($('finding'), [
      'At density ', [state.density, 1], ' and penalty ', [short(known.penalties[k], 2), 1],
      ', the lowest dictionary found reads ', [`${number} of ${K}`, 1], ' features. ',
      all ? 'It is the true dictionary: one latent on each feature. ' : 'It is not the true dictionary. ',
      all ? 'Make the penalty small. Do the arrows stay on the features?' : 'No optimiser can mend that: the objective itself prefers it.',
    ]);
    const list = all ? 'all five features' : names.length ? `feature${names.length > 1 ? 's' : ''} ${names.join(', ')}` : 'no feature';
    redraw.fill($('found'), [
      `Found: ${list}. The nearest arrow is ${mean < 0.1 ? 'less than 0.1' : mean < 1 ? mean.toFixed(1) : Math.round(mean)}\u00b0 off a feature on average.`,
    ]);
    const h = input(), { z, out, length } = answer(i, k, h), wrote = z.reduce((sum, value, j) => sum + value * length[j], 0);
    const error = (h[0] - out[0]) ** 2 + (h[1] - out[1]) ** 2, on = z.filter(value => value > 0).length;
    const penalty = known.penalties[k];
    redraw.fill($('wrote'), [
      [`${on} latent${on === 1 ? '' : 's'}`, 1], ` on. This input costs `, [short(error + penalty * wrote, 3), 1],
      `: the squared error ${short(error, 2)}, and \u03bb times the ${wrote.toFixed(2)} written, ${short(penalty * wrote, 2)}.`,
    ]);
    $('penalty-value').textContent = short(penalty, 2);
    document.querySelectorAll('[data-density]').forEach(button => {
      button.setAttribute('aria-pressed', button.dataset.density === state.density);
    });
    const alone = features(i).findIndex(w => Math.hypot(w[0] - h[0], w[1] - h[1]) < 1e-3);
    document.querySelectorAll('[data-alone]').forEach(button => {
      button.setAttribute('aria-pressed', Number(button.dataset.alone) === alone);
    });
    const slider = $('penalty');
    if (Number(slider.value) !== k) slider.value = k;
    slider.setAttribute('aria-valuetext', `penalty ${short(penalty, 2)}, ${number} of ${K} features found`);
  }

  // ---- what a person does ----
  function setPenalty(k) {
    state.penalty = known.penalties[clamp(Math.round(k), 0, LAST)];
    glide();
    redraw.change({}, 'dictionary');
  }
  const move = (x, y) => redraw.change({ point: [x, y].map(v => clamp(v, -1.5, 1.5)) }, 'point');
  const alone = j => redraw.change({ point: j ? features(row())[j].slice() : null }, 'point');
  $('penalty').oninput = () => setPenalty(Number($('penalty').value));
  document.querySelectorAll('[data-density]').forEach(button => {
    button.onclick = () => {
      Object.assign(state, { density: button.dataset.density, point: null });
      settle();
      redraw.change({}, 'dictionary');
    };
  });
  document.querySelectorAll('[data-alone]').forEach(button => {
    button.onclick = () => alone(Number(button.dataset.alone));
  });
  canvas.drag(plot, null, ([x, y]) => move(x, y));
  canvas.keys(plot, ([dx, dy]) => {
    const [x, y] = input();
    move(x + 0.03 * dx, y + 0.03 * dy);
  }, key => {
    const is = /^[1-5]$/.test(key);
    if (is) alone(Number(key) - 1);
    return is;
  });
  canvas.drag(counts, null, ([penalty]) => setPenalty(nearest(10 ** penalty)));
  canvas.keys(counts, ([dx, dy]) => setPenalty(index() + dx + dy));

  redraw.views.dictionary = {
    enter(move) {
      if (move) glide(); else settle();
    },
    draw(is) {
      if (is('dictionary', 'directions')) drawDirections();
      if (is('dictionary', 'point')) {
        drawRebuilt();
        drawLatents();
      }
      if (is('dictionary')) {
        drawCounts();
        mark();
      }
      sentences();
    },
  };
  function seen() { // what tests read
    const i = row(), k = index(), { z, out } = answer(i, k, input());
    return { penalty: k, found: count(i, k), border: border[i], h: input(), z, out, angles: here.angles };
  }
  return { here, answer, seen, count };
})();
