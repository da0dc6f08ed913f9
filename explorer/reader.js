// What a sparse autoencoder reads: the lowest dictionaries found on a pentagon of features, over the penalty.
const reader = (() => {
  const { theme } = canvas, { clamp, fixed, short, bytes } = format, known = DATA.dictionary;
  const $ = id => document.getElementById(id);
  const K = 5, SIZE = 5 * K + 2, FOUND = 0.97, LATENT = '#e66101', LETTERS = 'abcde', REACH = 1.6;
  // places of a label beside its point
  const AROUND = [[14, -12], [-14, -12], [14, 12], [-14, 12], [0, -19], [0, 19], [24, 0], [-24, 0]];
  const values = new Float32Array(bytes(known.models).buffer), LAST = known.penalties.length - 1;
  const degrees = cosine => Math.acos(clamp(cosine, -1, 1)) * 180 / Math.PI;

  const square = width => story.small ? 200 : clamp(width * 0.8, 250, 350);
  const arrows = canvas.surface('directions', [4, 4, 4, 4], square);
  const plot = canvas.surface('rebuilt', [4, 4, 4, 4], square);
  const counts = canvas.surface('counts', [24, 16, 40, 40], width => clamp(width * 0.52, 160, 200));
  Object.assign(arrows, { x0: -1.5, x1: 1.5, y0: -1.5, y1: 1.5 });
  Object.assign(plot, { x0: -REACH, x1: REACH, y0: -REACH, y1: REACH });
  const [x0, x1] = [known.penalties[0], known.penalties[LAST]].map(Math.log10);
  Object.assign(counts, { x0, x1, y0: -0.4, y1: 5.4 });

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
  const namesOf = (i, k) => found[i][k].map((is, j) => is ? j + 1 : 0).filter(Boolean).join(', ');
  // the index of the first penalty from which on all features are found
  const border = known.densities.map((_, i) => known.penalties.findLastIndex((_, k) => count(i, k) < K) + 1);
  const bordered = i => border[i] > 0 && border[i] <= LAST; // whether it lies within the penalties
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
  const anglesNow = () => weights(row(), index()).D.map(([x, y]) => Math.atan2(y, x));
  const turn = (from, to) => Math.atan2(Math.sin(to - from), Math.cos(to - from)); // the shorter way round
  function settle() {
    here.angles = anglesNow();
    here.target = null;
  }
  function glide() {
    if (!here.angles || redraw.still()) {
      settle();
      return;
    }
    here.target = anglesNow();
    approach();
  }
  const approach = redraw.eased(() => 90, part => {
    if (!here.target) return false;
    const left = here.target.map((to, j) => turn(here.angles[j], to));
    redraw.schedule('directions');
    if (Math.max(...left.map(Math.abs)) < 4e-3) {
      settle();
      return false;
    }
    here.angles = here.angles.map((from, j) => from + part * left[j]);
    return true;
  });

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
      const inside = ([x, y]) => Math.min(x, g.w - x) > half[0] && Math.min(y, g.h - y) > half[1];
      const clear = ([x, y]) => taken.every(([a, b, w, h]) => {
        return Math.abs(x - a) > half[0] + w || Math.abs(y - b) > half[1] + h;
      });
      const free = places.find(place => inside(place) && clear(place));
      if (!free) return;
      taken.push([...free, ...half]);
      g.text(text, ...free, { align: 'center', base: 'middle', size: 13, weight: 700, ...style });
    };
  }
  function ground(g) { // its middle, and the pixels of a point
    g.square();
    return [[g.x(0), g.y(0)], ([x, y]) => [g.x(x), g.y(y)]];
  }
  function line(g, from, to) {
    g.c.lineCap = 'round';
    g.path([from, to], theme.feature, 9);
    g.c.lineCap = 'butt';
  }
  function drawDirections() {
    const g = arrows.fit(), [origin, at] = ground(g), write = labels(g), { cos, sin } = Math;
    const round = (angle, radius) => at([radius * cos(angle), radius * sin(angle)]);
    const own = features(row()).map(([x, y]) => Math.atan2(y, x));
    own.forEach(angle => line(g, origin, round(angle, 1)));
    here.angles.forEach(angle => arrow(g, origin, round(angle, 1.1), LATENT, 2.4));
    own.forEach((angle, j) => { // at the end of its line, beyond an arrow that lies there
      const covered = here.angles.some(other => Math.abs(turn(angle, other)) < 0.12);
      write(String(j + 1), [round(angle, covered ? 1.41 : 1.15)]);
    });
    const near = [];
    here.angles.forEach((angle, j) => { // arrows that lie together share a label
      const same = near.find(group => Math.abs(turn(group.angle, angle)) < 0.2);
      if (same) same.text += LETTERS[j]; else near.push({ angle, text: LETTERS[j] });
    });
    near.forEach(({ angle, text }) => {
      write(text, [0, 0.1, -0.1, 0.2, -0.2].map(aside => round(angle + aside, 1.22)), { colour: theme.latent });
    });
    const names = namesOf(row(), index()) || 'none';
    arrows.element.setAttribute('aria-label', `Five features as grey lines, five latents as arrows. Found: ${names}.`);
  }
  function drawRebuilt() {
    const g = plot.fit(), [origin, at] = ground(g), write = labels(g), h = input();
    const { z, out, length, D, d } = answer(row(), index(), h);
    const beside = ([x, y]) => AROUND.map(([a, b]) => [x + a, y + b]);
    g.frame();
    for (const w of features(row())) line(g, origin, at(w));
    let from = d;
    const middles = [];
    z.forEach((value, j) => { // one arrow after the other
      const to = from.map((v, m) => v + value * D[j][m]);
      arrow(g, at(from), at(to), LATENT, 2.4);
      if (value * length[j] > 0.2) middles.push([LETTERS[j], at(from.map((v, m) => (v + to[m]) / 2))]);
      from = to;
    });
    const [place, end] = [at(h), at(out)];
    g.path([place, end], theme.ink, 1.4, [3, 3]);
    g.dot(...end, 5.5, theme.paper, LATENT, 2.5);
    g.diamond(...place);
    write('h', beside(place), { colour: theme.good });
    write('\u0125', beside(end), { colour: theme.latent });
    features(row()).forEach((w, j) => write(String(j + 1), [at(w.map(v => 1.15 * v)), at(w.map(v => 1.28 * v))]));
    middles.forEach(([letter, middle]) => write(letter, beside(middle), { colour: theme.latent }));
    const say = pair => pair.map(v => fixed(v)).join(', ');
    plot.element.setAttribute('aria-label', `Input h at ${say(h)}, rebuilt at ${say(out)}. Arrow keys move h, `
      + 'number keys put it on a feature.');
  }
  function drawCounts() {
    const g = counts.fit(), k = index(), at = row(), x = j => g.left + j / LAST * (g.right - g.left);
    g.frame();
    g.logTicks('x', [0.01, 0.1, 0.5], [0.01, 0.1]);
    g.ticks('y', [0, 1, 2, 3, 4, 5]);
    g.titles('penalty \u03bb', 'features found');
    if (bordered(at)) {
      const middle = x(border[at] - 0.5), text = borderInWords(at), half = g.width(text) / 2;
      g.path([[middle, g.top], [middle, g.bottom]], theme.soft, 1.4, [4, 3]);
      g.note(text, clamp(middle, half, g.w - half), g.top - 8, { align: 'center' });
    }
    const stairs = i => known.penalties.flatMap((_, j) => {
      return [j - 0.5, j + 0.5].map(side => [x(clamp(side, 0, LAST)), g.y(count(i, j))]);
    });
    known.densities.forEach((_, i) => i === at || g.path(stairs(i), theme.feature, 6));
    g.path(stairs(at), LATENT, 3);
    g.dot(x(k), g.y(count(at, k)), 7, theme.paper, theme.ink, 2.5);
    counts.element.setAttribute('aria-label', `Features found by penalty: ${count(at, k)} at penalty `
      + `${short(known.penalties[k], 2)}, ${borderInWords(at)}. Arrow keys change the penalty.`);
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
      redraw.bar(bar, u[j] * length[j] / REACH);
      number.textContent = below ? 'off' : wrote.toFixed(2);
    });
  }
  function mark() { // the border on the slider, whose handle runs from 8 pixels within one end to 8 within the other
    $('border-mark').hidden = !bordered(row());
    $('border-mark').lastElementChild.textContent = borderInWords(row());
    $('border-mark').style.setProperty('--at', (border[row()] - 0.5) / LAST);
  }
  function readInWords(i, k) {
    const number = count(i, k), all = number === K;
    redraw.fill($('finding'), [
      'At density ', [state.density, 1], ' and penalty ', [short(known.penalties[k], 2), 1],
      ', the lowest dictionary found reads ', [`${number} of ${K}`, 1], ' features. ',
      all ? 'It is the true dictionary: one latent on each feature. ' : 'It is not the true dictionary. ',
      all ? 'Make the penalty small. Do the arrows stay on the features?'
        : 'Better training would not mend that: the objective itself prefers it.',
    ]);
    const off = closest(i, k).reduce((sum, c) => sum + degrees(c), 0) / K, names = namesOf(i, k);
    const list = all ? 'all five features' : number ? `feature${number > 1 ? 's' : ''} ${names}` : 'no feature';
    const degree = off < 0.1 ? 'less than 0.1' : off < 1 ? off.toFixed(1) : Math.round(off);
    redraw.fill($('found'), [`Found: ${list}. The nearest arrow is ${degree}\u00b0 off a feature on average.`]);
  }
  function costInWords(i, k) {
    const h = input(), { z, out, length } = answer(i, k, h), penalty = known.penalties[k];
    const wrote = z.reduce((sum, value, j) => sum + value * length[j], 0), on = z.filter(value => value > 0).length;
    const error = (h[0] - out[0]) ** 2 + (h[1] - out[1]) ** 2;
    redraw.fill($('wrote'), [
      [`${on} latent${on === 1 ? '' : 's'}`, 1], ' on. This input costs ', [short(error + penalty * wrote), 1],
      `: the squared error ${short(error, 2)}, and \u03bb times the ${wrote.toFixed(2)} written, `,
      `${short(penalty * wrote, 2)}.`,
    ]);
  }
  function controls(i, k) {
    const slider = $('penalty'), text = short(known.penalties[k], 2), [h1, h2] = input();
    if (Number(slider.value) !== k) slider.value = k;
    slider.setAttribute('aria-valuetext', `penalty ${text}, ${count(i, k)} of ${K} features found`);
    $('penalty-value').textContent = text;
    redraw.press('density', state.density);
    redraw.press('alone', features(i).findIndex(([x, y]) => Math.hypot(x - h1, y - h2) < 1e-3));
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
  const place = () => [plot.x(input()[0]), plot.y(input()[1])];
  canvas.drag(plot, { move: ([x, y]) => move(x, y), handle: place });
  canvas.keys(plot, ([dx, dy]) => {
    const [x, y] = input();
    move(x + 0.03 * dx, y + 0.03 * dy);
  }, key => {
    const is = /^[1-5]$/.test(key);
    if (is) alone(Number(key) - 1);
    return is;
  });
  canvas.drag(counts, { move: ([penalty]) => setPenalty(nearest(10 ** penalty)) });
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
      readInWords(row(), index());
      costInWords(row(), index());
      controls(row(), index());
    },
  };
  function seen() { // what tests read
    const i = row(), k = index(), { z, out } = answer(i, k, input());
    const shown = { W: known.W[i], h: input(), z, out, angles: here.angles };
    return { ...shown, penalty: k, found: count(i, k), border: border[i] };
  }
  const moving = () => !!here.target;
  return { answer, count, moving, place, seen };
})();
