// Features in two dimensions: their directions, their interference, and the density.
const plane = (() => {
  const { theme, rgb, hex, mix, inkOn } = canvas, { clamp, fixed, short, gap, above } = format, { M } = search;
  const $ = id => document.getElementById(id);
  const LIGHT = ['#4a1c00', '#8a3a00', '#c25200', '#e66101', '#f08a3c', '#f7b27a'];
  const DARK = ['#ffe3c7', '#fdc896', '#f7a45a', '#ee7d22', '#d06010', '#a84e0d'];
  const arrows = canvas.surface('arrows', [6, 6, 6, 6], width => {
    return story.small ? 200 : story.here.open ? story.fitting(width * 0.94) : clamp(width * 0.86, 250, 350);
  });
  const gram = canvas.surface('gram', [24, 6, 6, 26], width => clamp(width * 0.74, 220, 330));
  const strip = canvas.surface('strip', [48, 16, 38, 12], () => 134);
  const descent = curve.place('descent-two');
  Object.assign(arrows, { x0: -1.45, x1: 1.45, y0: -1.45, y1: 1.45 });
  Object.assign(strip, { x0: 0, x1: -2 });

  // net: the weights and biases shown; following: they are the best known; target: where they glide to.
  // settled: the last descent came to a valley, and nothing was moved since. moves: by hand, in the game.
  // event: what has just happened while the density plays: { text, net }, net where an arrow jumped from, or null.
  const here = {
    net: new Float64Array(15), arrow: 0, hover: -1, following: true, target: null, losses: [], settled: false, moves: 0,
    event: null,
  };
  const tip = (x, j) => [x[j], x[state.n + j]];

  const left = x => Array.from({ length: state.n }, (_, j) => j).filter(j => Math.hypot(...tip(x, j)) < 0.15);
  function spot(j) { // where the number of arrow j stands: at its tip, or at the lower edge with those that are left out
    const k = left(here.net).indexOf(j), [x, y] = tip(here.net, j);
    return k < 0 ? [arrows.x(x), arrows.y(y)] : [arrows.left + 17 + 25 * k, arrows.bottom - 17];
  }

  // ---- arrangements and their names ----
  const KNOWN = ['two at right angles', 'a triangle', 'two pairs', 'a pentagon'];
  const TINTS = ['#bfe3df', '#74bcb5', '#2f8f87', '#0b5750', '#8c8c94'];
  const kindOf = name => KNOWN.indexOf(name) < 0 ? KNOWN.length : KNOWN.indexOf(name);
  const REGULAR = { 2: [78, 102], 3: [90, 150], 5: [55, 90] }; // degrees between its neighbours: from, to
  const SHAPES = { 2: 'two at right angles', 3: 'a triangle', 5: 'a pentagon' };
  const PAIRED = [ // by the number of arrows and of opposite pairs
    ['nothing'], ['one feature'], [, 'one pair'], [, 'a pair and one'], ['four unpaired', 'a pair and two', 'two pairs'],
    [, 'five, one pair', 'two pairs and one'], ['six unpaired', 'six, 1 pair', 'six, 2 pairs', 'six, 3 pairs'],
  ];
  function nameOf(kept, pairs) {
    const angles = kept.map(([x, y]) => Math.atan2(y, x) * 180 / Math.PI).sort((a, b) => a - b);
    const apart = angles.map((angle, k) => { // of neighbours, in degrees
      const turn = angle - (k ? angles[k - 1] : angles[angles.length - 1] - 360);
      return Math.min(turn, 360 - turn);
    });
    const [low, high] = REGULAR[kept.length] ?? [];
    if (apart.every(turn => turn > low && turn < high)) return SHAPES[kept.length];
    return PAIRED[kept.length][pairs] ?? 'no regular shape';
  }
  function arrangement(x, n = state.n) { // a feature is represented if its arrow is longer than a half
    const all = Array.from({ length: n }, (_, j) => [x[j], x[n + j]]), is = w => Math.hypot(...w) > 0.5;
    const kept = all.filter(is), out = all.map((w, j) => is(w) ? 0 : j + 1).filter(Boolean);
    const cosine = (u, v) => (u[0] * v[0] + u[1] * v[1]) / Math.hypot(...u) / Math.hypot(...v);
    const pairs = kept.flatMap((u, k) => kept.slice(k + 1).filter(v => cosine(u, v) < -0.94)).length;
    return { count: kept.length, name: nameOf(kept, pairs), out };
  }
  function outline(c, x, y, size, sides) { // a circle without sides
    c.beginPath();
    if (!sides) c.arc(x, y, size * 0.85, 0, 7);
    for (let k = 0; k < sides; k++) {
      const t = 2 * Math.PI * k / sides - Math.PI / 2;
      c.lineTo(x + size * Math.cos(t), y + size * Math.sin(t));
    }
    c.closePath();
  }
  function glyph(plot, x, y, size, name) { // arrangements are told apart without colour
    const kind = kindOf(name);
    outline(plot.c, x, y, size, [0, 3, 4, 5, 0][kind]);
    plot.c.fillStyle = TINTS[kind];
    plot.c.fill();
    plot.c.strokeStyle = theme.paper;
    plot.c.lineWidth = 0.7;
    plot.c.stroke();
  }

  // ---- the model that is shown ----
  function turned(x, to) { // x rotated and reflected to lie as near as it can to `to`; the loss stays
    const n = state.n;
    let found = { gain: -1 };
    for (const flip of [1, -1]) {
      let cos = 0, sin = 0;
      for (let j = 0; j < n; j++) {
        const [ux, uy] = [x[j], flip * x[n + j]], [vx, vy] = tip(to, j);
        cos += ux * vx + uy * vy;
        sin += ux * vy - uy * vx;
      }
      const gain = Math.hypot(cos, sin);
      if (gain > found.gain) found = { gain, flip, cos: cos / (gain || 1), sin: sin / (gain || 1) };
    }
    const { flip, cos, sin, gain } = found, y = x.slice();
    if (!(gain > 1e-9)) return y;
    for (let j = 0; j < n; j++) {
      y[j] = cos * x[j] - sin * flip * x[n + j];
      y[n + j] = sin * x[j] + cos * flip * x[n + j];
    }
    return y;
  }
  function glide(x) { // towards x, a share of the way each frame; at once where motion is not wanted
    const target = x.length === here.net.length ? turned(x, here.net) : x;
    const far = target.reduce((most, value, k) => Math.max(most, Math.abs(value - here.net[k])), 0);
    if (redraw.still() || far < 0.05 || x.length !== here.net.length) {
      set(target);
      return;
    }
    here.target = target;
    approach();
  }
  const approach = redraw.eased(() => play.running ? 60 : 110, part => {
    const { target } = here;
    if (!target) return false;
    let far = 0;
    const net = here.net.map((value, k) => {
      far = Math.max(far, Math.abs(target[k] - value));
      return value + part * (target[k] - value);
    });
    if (far < 2e-3) {
      set(target);
      return false;
    }
    here.net = net;
    redraw.schedule('net');
    return true;
  });
  const face = x => set(x.length === here.net.length ? turned(x, here.net) : x); // at once, turned to what is shown
  function set(x) { // at once
    here.target = null;
    here.net = x.slice();
    computeSlice();
    redraw.schedule('net');
  }
  function keep() { // the weights are the reader's own: they stand in the address
    here.following = false;
    state.W = Array.from(here.net.slice(0, 2 * state.n));
    state.b = Array.from(here.net.slice(2 * state.n));
    redraw.save();
  }
  function followBest(move = set) {
    here.following = true;
    state.W = state.b = null;
    move(search.best().x);
  }
  search.whenBetter(() => {
    if (here.following && state.view === 'two') followBest(glide);
    redraw.schedule('known');
  });

  // ---- the arrows ----
  let slice = { ready: false, job: { stop: true } };
  function computeSlice() { // loss over the place of the chosen arrow, all else as it is
    slice.job.stop = true;
    const N = 29, values = new Float64Array(N * N), at = k => 1.45 * (2 * k / (N - 1) - 1);
    const x = here.net.slice(), p = search.densities(), weights = search.importance(), n = state.n, j = here.arrow;
    const mine = slice = { values, N, ready: false };
    let k = 0;
    const next = () => {
      x[j] = at(k % N);
      x[n + j] = at(Math.floor(k / N));
      values[k++] = model.lossAt(x, M, n, p, weights, null, true);
      return k < N * N;
    };
    mine.job = redraw.inPieces(next, { wait: 30, pause: finished => {
      mine.ready = finished;
      if (finished) redraw.schedule('arrows');
    } });
  }
  function drawSlice(g, side) {
    const { values, N } = slice, element = document.createElement('canvas'), s = element.getContext('2d');
    element.width = element.height = N;
    const image = s.createImageData(N, N), low = rgb(theme.low), high = rgb(theme.high), bottom = Math.min(...values);
    const top = bottom + Math.max(0.25 * bottom, 2.2 * state.p * state.ratio ** here.arrow / 3);
    values.forEach((value, k) => {
      const t = 0.75 * Math.sqrt(clamp((value - bottom) / (top - bottom), 0, 1)), row = N - 1 - Math.floor(k / N);
      image.data.set([...mix(low, high, t).map(Math.round), 255], 4 * (row * N + k % N));
    });
    s.putImageData(image, 0, 0);
    const w = side / (N - 1);
    g.clip(() => {
      g.c.imageSmoothingEnabled = true;
      g.c.drawImage(element, g.left - w / 2, g.top - w / 2, w * N, w * N);
    });
  }
  function drawArrow(g, j) {
    const [x, y] = spot(j), origin = [g.x(0), g.y(0)];
    const colour = (theme.dark ? DARK : LIGHT)[j], strong = here.hover < 0 ? j === here.arrow : j === here.hover;
    const out = left(here.net).includes(j);
    if (!out) {
      g.path([origin, [x, y]], theme.paper, 6.5);
      g.path([origin, [x, y]], colour, strong ? 4 : 2.8);
    }
    g.dot(x, y, strong ? 12 : 10.5, out ? theme.paper : colour, strong ? theme.ink : out ? colour : theme.paper, strong ? 2.5 : 1.5);
    const number = { align: 'center', base: 'middle', weight: 700, colour: out ? theme.ink : inkOn(colour), halo: null };
    g.text(String(j + 1), x, y + 0.5, number);
  }
  function drawPoint(g) { // where the input lands: h = Wx
    const [h1, h2] = inputs.answer().h;
    const x = clamp(g.x(h1), g.left + 8, g.right - 8), y = clamp(g.y(h2), g.top + 8, g.bottom - 8);
    g.diamond(x, y, Math.min(...farFrom(x, y)) < 18); // around a tip, so that its number stays in sight
    const over = clamp(y + (h2 < 0 ? 29 : -29), g.top + 10, g.bottom - 10); // beyond a tip, or beside a flat arrow
    g.text('h = Wx', clamp(x, g.left + 30, g.right - 30), over, { align: 'center', base: 'middle', weight: 650, colour: theme.good });
  }
  function drawArrows() {
    const g = arrows.fit(), n = state.n, side = g.square();
    const ground = slice.ready && !here.target && (!story.here.open || state.game === 'on' || here.hover >= 0);
    if (ground) drawSlice(g, side);
    g.frame();
    g.path([[g.x(0), g.top], [g.x(0), g.bottom]], theme.soft, 0.6);
    g.path([[g.left, g.y(0)], [g.right, g.y(0)]], theme.soft, 0.6);
    g.c.setLineDash([2, 4]);
    g.dot(g.x(0), g.y(0), g.x(1) - g.x(0), null, theme.soft, 0.8);
    g.c.setLineDash([]);
    const { event } = here, ghost = event && event.net;
    g.c.globalAlpha = 0.3;
    if (ghost) for (let j = 0; j < n; j++) g.path([[g.x(0), g.y(0)], [g.x(ghost[j]), g.y(ghost[n + j])]], theme.ink, 5);
    g.c.globalAlpha = 1;
    for (let j = n - 1; j >= 0; j--) drawArrow(g, j);
    if (left(here.net).length) g.text('left out:', g.left + 7, g.bottom - 36, { halo: null });
    if (inputs.shown()) drawPoint(g);
    $('arrows-key').textContent = event ? event.text : story.before ? format.tied(`before: p = ${short(state.p, 2)}`)
      : ground ? `bright: where arrow ${here.arrow + 1} is best` : '';
    const place = tip(here.net, here.arrow).map(v => fixed(v)).join(', ');
    arrows.element.setAttribute('aria-label', `Feature directions: ${arrangement(here.net).name}. `
      + `Arrow ${here.arrow + 1} chosen at ${place}. Number keys choose an arrow, arrow keys move its tip.`);
  }

  // ---- interference ----
  function drawGram() {
    const g = gram.fit(), n = state.n, { net } = here, x0 = g.left, y0 = g.top;
    const cell = Math.min((g.right - g.left) / (n + 1.6), (g.bottom - g.top) / n);
    const size = clamp(cell / 4, 11, 14), middle = { align: 'center', base: 'middle', halo: null, size };
    for (let i = 0; i < n; i++) {
      const weight = i === here.hover ? 700 : 400, y = y0 + cell * i;
      g.note(String(i + 1), x0 + cell * (i + 0.5), y0 - 8, { align: 'center', weight });
      g.note(String(i + 1), x0 - 8, y + cell / 2, { align: 'right', base: 'middle', weight });
      for (let j = 0; j < n; j++) {
        const value = net[i] * net[j] + net[n + i] * net[n + j], x = x0 + cell * j;
        const strong = i === here.hover || j === here.hover;
        const end = rgb(value > 0 ? theme.positive : theme.negative);
        const colour = hex(mix(rgb(theme.paper), end, clamp(Math.abs(value), 0, 1)));
        g.rect(x + 1, y + 1, cell - 2, cell - 2, colour);
        g.box(x + 0.5, y + 0.5, cell - 1, cell - 1, strong ? theme.ink : theme.line, strong ? 2 : 1);
        g.text(fixed(value), x + cell / 2, y + cell / 2, { ...middle, colour: inkOn(colour) });
      }
      g.text(fixed(net[2 * n + i]), x0 + cell * (n + 0.95), y + cell / 2, { ...middle, weight });
    }
    g.note('bias b', x0 + cell * (n + 0.95), y0 - 8, { align: 'center' });
    gram.cell = cell;
    const biases = Array.from(net.slice(2 * n), v => fixed(v)).join(', ');
    gram.element.setAttribute('aria-label', `Products of feature directions; biases ${biases}`);
  }

  // ---- the density ----
  const stripNames = DATA.sweep.W.map((W, k) => arrangement([...W[0], ...W[1], ...DATA.sweep.b[k]], 5));
  function segments() { // runs of densities with one arrangement: { from, to } as indices
    const list = [];
    stripNames.forEach(({ name, count }, k) => {
      if (list.length && list[list.length - 1].name === name) list[list.length - 1].to = k;
      else list.push({ name, count, from: k, to: k });
    });
    return list;
  }
  function drawBand(g) {
    const at = k => g.x(Math.log10(DATA.sweep.densities[k])), last = stripNames.length - 1;
    for (const { name, count, from, to } of segments()) {
      const left = from ? (at(from - 1) + at(from)) / 2 : g.left;
      const right = to < last ? (at(to) + at(to + 1)) / 2 : g.right;
      g.rect(left, g.top, right - left - 1, g.bottom - g.top, TINTS[kindOf(name)]);
      if (kindOf(name) === KNOWN.length) continue;
      g.text(String(count), (left + right) / 2, g.top - 8, { align: 'center', size: 15, weight: 700, halo: null });
    }
  }
  function drawStrip() {
    const g = strip.fit();
    if (!search.recorded()) {
      const lines = ['Recorded for five features at importance \u00d7 0.90.', 'Set these again to see it.'];
      lines.forEach((text, k) => g.note(text, g.w / 2, g.h / 2 - 8 + 18 * k, { align: 'center' }));
      strip.element.setAttribute('aria-label', lines.join(' '));
      return;
    }
    drawBand(g);
    g.logTicks('x', [1, 0.1, 0.01], [0.1, 0.01]);
    g.titles('density p: dense \u2192 sparse');
    const x = g.x(Math.log10(state.p)), middle = (g.top + g.bottom) / 2;
    g.path([[x, g.top - 1], [x, g.bottom + 4]], '#ffffff', 5);
    g.path([[x, g.top - 1], [x, g.bottom + 4]], '#111111', 2.2);
    g.dot(x, middle, 9, theme.paper, theme.ink, 2.5);
    const { name, count } = stripNames[search.nearest(state.p)];
    const half = g.width(name) / 2 + 9, place = clamp(x, g.left + half, g.right - half); // over the handle
    glyph(g, place - half + 7, g.top - 35, 7, name);
    g.text(name, place + 9, g.top - 31, { align: 'center', halo: null });
    strip.element.setAttribute('aria-label', `Density ${short(state.p, 2)}: best arrangement ${name}, `
      + `${count} of 5 features. Arrow keys change the density.`);
  }

  // ---- in words ----
  function standing(loss) { // how a loss compares with the lowest known
    if (here.target) return 'On the way to the lowest loss known.';
    const best = search.best(), where = search.recorded() ? 'known' : `of ${best.starts} starts`;
    if (play.running) return 'On the way.';
    if (best.busy) return `Looking for lower ones: ${best.starts} starts so far.`;
    if (gap(loss, best.loss) < 1e-6) return search.recorded() ? 'No lower loss is known.' : `None of ${best.starts} starts came lower.`;
    const valley = here.settled ? ' A valley: no small step leads lower.' : '';
    return `${above(loss, best.loss)} above the lowest ${where}, ${short(best.loss, 4)}.${valley}`;
  }
  function sentences() {
    const loss = search.lossOf(here.net), { count, name } = arrangement(here.net), n = state.n;
    $('loss').textContent = `Loss ${short(loss, 5)}. ${count} of ${n} features represented: ${name}. ${state.game === 'on' ? '' : standing(loss)}`;
    const best = search.best(), lowest = arrangement(best.x);
    const start = ['At density ', [short(state.p, 2), 1], ' the best model found keeps '];
    const kept = [[`${lowest.count} of ${n}`, 1], ` features in two dimensions: ${lowest.name}.`];
    const ends = search.recorded() ? [` ${search.success()} single starts find it.`]
      : play.running ? [' The page follows one model while the density moves.']
      : best.busy ? [' The search goes on.'] : [` It is the lowest of ${best.starts} starts.`];
    redraw.fill($('finding'), [...start, ...kept, ...ends]);
  }

  // ---- what a person does ----
  function stop() { // whatever moves by itself
    here.target = here.event = null;
    here.settled = false;
    play.stop();
    descend.stop();
  }
  function moveTip(x, y) {
    stop();
    const { net, arrow } = here;
    net[arrow] = clamp(x, -1.4, 1.4);
    net[state.n + arrow] = clamp(y, -1.4, 1.4);
    if (state.game === 'on') model.fitBiases(net, M, state.n, search.densities());
    keep();
    search.offer(net, search.lossOf(net));
    redraw.change({}, 'net');
  }
  function chooseArrow(j) {
    here.moves++;
    if (here.arrow !== j) {
      here.arrow = j;
      computeSlice();
    }
    redraw.schedule('net');
  }
  const farFrom = (px, py) => Array.from({ length: state.n }, (_, j) => {
    const [x, y] = spot(j);
    return Math.hypot(x - px, y - py);
  });
  function nearest([, , px, py]) {
    const far = farFrom(px, py);
    return far.indexOf(Math.min(...far));
  }
  canvas.drag(arrows, {
    handle: at => spot(nearest(at)),
    down(at) {
      const j = nearest(at);
      if (farFrom(at[2], at[3])[j] > 26) return false;
      stop();
      here.hover = j;
      here.following = false;
      chooseArrow(j);
      return true;
    },
    move: ([x, y]) => moveTip(x, y),
    up() {
      here.hover = -1;
      redraw.schedule('net');
    },
  });
  canvas.keys(arrows, ([dx, dy]) => {
    const [x, y] = tip(here.net, here.arrow);
    moveTip(x + 0.02 * dx, y + 0.02 * dy);
  }, key => {
    const known = /^[1-6]$/.test(key) && Number(key) <= state.n;
    if (known) chooseArrow(Number(key) - 1);
    return known;
  });
  function hoverOver(j) {
    if (here.hover === j) return;
    here.hover = j;
    redraw.schedule('net');
  }
  arrows.element.addEventListener('pointermove', event => {
    if (event.buttons) return;
    const [, , px, py] = arrows.at(event), j = farFrom(px, py).findIndex(far => far < 18);
    arrows.element.style.cursor = j >= 0 ? 'grab' : 'default';
    hoverOver(j);
  });
  gram.element.addEventListener('pointermove', event => {
    const row = Math.floor((event.clientY - gram.element.getBoundingClientRect().top - gram.top) / gram.cell);
    hoverOver(row >= 0 && row < state.n ? row : -1);
  });
  for (const plot of [arrows, gram]) plot.element.addEventListener('pointerleave', () => hoverOver(-1));

  function notice(before, after) { // an arrow that arrives while the density plays: by growing, or in a jump
    const { out } = arrangement(before), now = arrangement(after).out, come = out.filter(j => !now.includes(j));
    if (!come.length) return;
    const far = before.reduce((most, value, k) => Math.max(most, Math.abs(value - after[k])), 0), jump = far > 0.3;
    const event = { text: `arrow ${come.join(' and ')} ${jump ? 'arrives in a jump' : 'has grown, little by little'}`, net: jump && here.net };
    here.event = event;
    story.witness(event.text);
    setTimeout(() => {
      if (here.event === event) here.event = null;
      redraw.schedule('net');
    }, 1400);
  }
  function setDensity(p, playing = false) {
    if (!playing) {
      play.stop();
      descend.stop();
    }
    starts.drop();
    Object.assign(here, { losses: [], settled: false });
    $('warning-two').textContent = '';
    state.p = clamp(p, 0.01, 1);
    if (here.following) {
      const before = here.target || here.net;
      followBest(glide);
      if (playing) notice(before, here.target || here.net);
    } else computeSlice();
    redraw.change({}, 'density');
  }
  canvas.drag(strip, { down: search.recorded, move: ([p]) => setDensity(10 ** p) });
  canvas.keys(strip, ([dx, dy]) => setDensity(10 ** (Math.log10(state.p) - 0.02 * (dx + dy))));

  // ---- gradient descent to the bottom, shown on the way; never raises the loss ----
  const descend = (() => {
    let walk = { stop: true };
    function run() {
      stop();
      const mine = walk = { stop: false }, x = here.net.slice(), setting = search.setting(), most = 400;
      here.losses = [search.lossOf(x)];
      const flat = () => here.losses.length > 20 && here.losses[here.losses.length - 21] - here.losses[here.losses.length - 1] < 1e-6 * here.losses[0];
      const step = () => {
        if (mine.stop || search.setting() !== setting) return;
        let moves = redraw.still() ? most : here.losses.length < 60 ? 1 : 4, after;
        do here.losses.push(after = search.polish(x, 1)); while (--moves && !flat());
        mine.stop = flat() || here.losses.length > most;
        if (mine.stop) { // the last bit, along the floor of the valley
          const floor = () => here.losses.push(after = search.polish(x));
          for (let k = floor(); k < 2 * most && here.losses[k - 2] - after > 1e-9 * after; k = floor());
        }
        here.net = x.slice();
        if (mine.stop) {
          here.settled = true;
          keep();
          search.offer(x, after);
          computeSlice();
        } else requestAnimationFrame(step);
        redraw.schedule('net', 'descent');
      };
      step();
    }
    return { run, stop() { walk.stop = true; } };
  })();
  function fresh() {
    stop();
    set(model.start(M, state.n, Math.floor(Math.random() * 1e6)));
    if (state.game === 'on') model.fitBiases(here.net, M, state.n, search.densities());
    here.losses = [];
    keep();
    redraw.change({}, 'net', 'descent');
  }
  function showBest() {
    stop();
    followBest(glide);
    redraw.change({ game: 'off' }, 'net');
  }
  function resize(values) {
    stop();
    starts.drop();
    Object.assign(state, values);
    if (state.x && state.x.length !== state.n) state.x = null;
    here.arrow = Math.min(here.arrow, state.n - 1);
    Object.assign(here, { hover: -1, losses: [] });
    followBest();
    redraw.change({}, 'all');
  }

  redraw.views.two = {
    enter(move = set) {
      stop();
      here.arrow = Math.min(here.arrow, state.n - 1);
      Object.assign(here, { hover: -1, losses: [] });
      if (state.W) {
        here.following = false;
        move(Float64Array.from([...state.W, ...state.b]));
      } else if (state.game === 'on') game.begin();
      else followBest(here.net.length === 3 * state.n ? move : set);
    },
    draw(is) {
      if (is('density', 'strip')) drawStrip();
      if (is('density', 'arrows', 'net')) drawArrows();
      if (is('density', 'net', 'gram')) drawGram();
      if (is('density', 'net')) inputs.draw();
      if (is('density', 'descent', 'known')) {
        curve.draw(descent, here.losses, search.best().loss, 'Press \u201cDescend\u201d to see the loss fall.');
      }
      if (is('density', 'dots', 'net', 'known')) starts.draw();
      sentences();
      game.draw();
    },
  };
  const tips = () => Array.from({ length: state.n }, (_, j) => spot(j));
  const sliced = () => slice.ready;
  return {
    here, arrangement, glyph, set, face, glide, keep, followBest, setDensity, descend: descend.run, fresh, showBest, resize,
    stop, tips, sliced,
  };
})();
