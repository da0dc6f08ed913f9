// The lowest loss known of n features in two dimensions at the present setting.
// For five features of importance 0.9^i it comes from the figures; else starts are trained here, between frames.
const search = (() => {
  const STARTS = 60, FIRST = 6, M = 2;
  const importance = () => Array.from({ length: state.n }, (_, k) => state.ratio ** k);
  const densities = () => model.dense(state.p, state.n);
  const lossOf = x => model.lossAt(x, M, state.n, densities(), importance());
  const recorded = () => state.n === 5 && Math.abs(state.ratio - 0.9) < 1e-9;
  const setting = () => [state.n, state.p, state.ratio].join();
  const polish = (x, steps = 200) => model.polish(x, M, state.n, densities(), importance(), steps);
  const flat = (from, k) => Float64Array.from([...from.W[k][0], ...from.W[k][1], ...from.b[k]]);

  function nearest(p) { // the recorded density that is nearest on a logarithmic axis
    const far = DATA.sweep.densities.map(q => Math.abs(Math.log(q / p)));
    return far.indexOf(Math.min(...far));
  }
  function figures() { // the figures' models at and beside this density
    const k = nearest(state.p), from = [k - 1, k, k + 1].filter(j => DATA.sweep.W[j]).map(j => flat(DATA.sweep, j));
    const exact = DATA.arrangements.densities.findIndex(q => Math.abs(q - state.p) < 1e-6);
    return exact < 0 ? from : [...from, flat(DATA.arrangements, exact)];
  }
  function success() { // how many single starts find the best, in words: the sweep trained few at each density
    const exact = DATA.arrangements.densities.findIndex(q => Math.abs(q - state.p) < 1e-6);
    if (exact >= 0) return format.percent(DATA.arrangements.success[exact]) + ' of';
    const tenths = Math.round(10 * DATA.sweep.success[nearest(state.p)]);
    return tenths < 1 ? 'Few' : tenths > 9 ? 'Nearly all' : `About ${tenths} in 10`;
  }

  let known = { setting: '' }, job = { stop: true };
  function lowest(list, steps) {
    let x, loss = Infinity;
    for (const candidate of list) {
      const value = polish(candidate, steps);
      if (value < loss) [x, loss] = [candidate, value];
    }
    return { x, loss };
  }
  // The entry of the present setting: { setting, x, loss, starts, busy }
  function best() {
    const mine = setting();
    if (known.setting === mine) return known;
    job.stop = true;
    if (recorded()) return known = { setting: mine, ...lowest(figures(), 30), starts: 40, busy: false };
    const same = known.x && known.x.length === 3 * state.n;
    const list = same ? [known.x.slice()] : Array.from({ length: FIRST }, (_, seed) => model.start(M, state.n, seed));
    known = { setting: mine, ...lowest(list, 60), starts: 0, busy: true };
    refine(known);
    return known;
  }
  function swapped(x, i, j) { // features i and j change places
    const y = x.slice(), n = state.n;
    for (const row of [0, n, 2 * n]) [y[row + i], y[row + j]] = [y[row + j], y[row + i]];
    return y;
  }
  function refine(entry) { // random starts, then every exchange of two features until none helps
    let pair = 0;
    const pairs = Array.from({ length: state.n }, (_, i) => Array.from({ length: i }, (_, j) => [i, j])).flat();
    const next = () => {
      const random = entry.starts < STARTS;
      const x = random ? model.start(M, state.n, entry.starts) : swapped(entry.x, ...pairs[pair]);
      const loss = polish(x), better = loss < entry.loss - 1e-10;
      if (random) entry.starts++; else pair = better ? 0 : pair + 1;
      offer(x, loss);
      return pair < pairs.length;
    };
    const pause = finished => {
      entry.busy = !finished;
      if (finished) redraw.schedule('known');
    };
    job = redraw.inPieces(next, { wait: 250, pause });
  }
  const listeners = [];
  function offer(x, loss) { // a model of the present setting; kept if it is lower than what is known
    if (!(loss < known.loss - 1e-10) || known.setting !== setting()) return;
    Object.assign(known, { x: x.slice(), loss });
    listeners.forEach(act => act());
  }
  const whenBetter = act => listeners.push(act);
  return { M, importance, densities, lossOf, recorded, setting, polish, nearest, success, best, offer, whenBetter };
})();
