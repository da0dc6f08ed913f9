// Many starts: each dot is a model trained here by Adam on the exact loss, as the package's train() does.
const starts = (() => {
  const { theme } = canvas, { clamp, short, percent } = format, { M } = search, $ = id => document.getElementById(id);
  const here = { runs: null };
  const dots = canvas.surface('dots', [14, 12, 34, 12], () => here.runs ? 132 : 40);
  let seed = 0; // of the next single start

  function train(total) {
    drop();
    const n = state.n, p = search.densities(), weights = search.importance();
    const runs = here.runs = { list: [], total, busy: true, chosen: -1, setting: search.setting() };
    const first = total === 1 ? ++seed : 0;
    let run = null, painted = 0;
    const next = () => {
      const x = () => model.start(M, n, first + runs.list.length);
      run = run || model.trainer(x(), M, n, p, weights, { steps: 600, lr: 0.03 });
      for (let k = 0; k < 20 && !run.done; k++) run.step();
      if (run.done) {
        const loss = model.lossAt(run.x, M, n, p, weights);
        runs.list.push({ x: run.x, loss, name: plane.arrangement(run.x, n).name });
        search.offer(run.x, loss);
        run = null;
      }
      return runs.list.length < total;
    };
    const pause = finished => {
      runs.busy = !finished;
      if (!finished && performance.now() - painted < 120) return;
      painted = performance.now();
      if (finished && total === 1) pick(0);
      redraw.schedule('dots');
    };
    runs.job = redraw.inPieces(next, { budget: 16, pause });
    redraw.schedule('dots');
  }
  function drop() {
    if (here.runs) here.runs.job.stop = true;
    here.runs = null;
  }
  function pick(k) {
    plane.stop();
    here.runs.chosen = k;
    plane.set(here.runs.list[k].x);
    plane.keep();
    redraw.change({}, 'net', 'dots');
  }

  function place(g, list) { // dots of like losses stand above one another
    const size = list.length > 150 ? 4 : 6, room = g.bottom - g.top - 10, columns = {}, heights = {};
    const column = run => Math.round((g.x(run.loss) - g.left) / size);
    list.forEach(run => { columns[column(run)] = (columns[column(run)] || 0) + 1; });
    const rise = Math.min(size * 1.6, room / Math.max(...Object.values(columns)));
    list.forEach(run => {
      const height = heights[column(run)] = (heights[column(run)] || 0) + 1;
      run.px = g.left + column(run) * size;
      run.py = g.bottom - 5 - (height - 1) * rise;
    });
    return size;
  }
  function draw() {
    const g = dots.fit(), { runs } = here;
    if (!runs || !runs.list.length) {
      g.note(runs ? 'Training \u2026' : 'Nothing trained yet at this setting.', g.w / 2, g.h / 2, { align: 'center' });
      $('starts').textContent = 'A start is a model with random weights, trained by Adam for 600 steps.';
      return;
    }
    const { list } = runs, losses = list.map(run => run.loss), low = Math.min(search.best().loss, ...losses);
    const high = Math.max(...losses, low * 1.02), spread = high - low;
    Object.assign(g, { x0: low - 0.03 * spread, x1: high + 0.03 * spread });
    g.path([[g.left, g.bottom + 0.5], [g.right, g.bottom + 0.5]], theme.soft, 1);
    for (const v of [low, (low + high) / 2, high]) {
      g.path([[g.x(v), g.bottom], [g.x(v), g.bottom + 5]], theme.soft, 1);
      g.note(short(v), clamp(g.x(v), g.left + 20, g.right - 20), g.bottom + 17, { align: 'center', size: 11.5 });
    }
    g.note('loss', g.w / 2, g.h - 2, { align: 'center', size: 11.5 });
    const size = place(g, list);
    list.forEach((run, k) => {
      plane.glyph(g, run.px, run.py, size, run.name);
      if (k === runs.chosen) g.dot(run.px, run.py, size + 4, null, theme.ink, 2);
    });
    const good = list.filter(run => run.loss <= 1.01 * low).length, counts = {};
    list.forEach(({ name }) => { counts[name] = (counts[name] || 0) + 1; });
    const common = Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 4);
    const arrangements = common.map(([name, count]) => `${name} ${percent(count / list.length)}`).join(', ');
    const number = list.length === 1 ? '1 start' : `${list.length} starts`;
    const progress = runs.busy ? `Training: ${list.length} of ${runs.total}.` : `${number}.`;
    const share = `${percent(good / list.length)} come within 1 % of the lowest loss known.`;
    $('starts').textContent = `${progress} ${share} Found: ${arrangements}.`;
  }

  dots.element.addEventListener('click', event => {
    if (!here.runs || !here.runs.list.length) return;
    const [, , px, py] = dots.at(event), far = here.runs.list.map(run => Math.hypot(run.px - px, run.py - py));
    const k = far.indexOf(Math.min(...far));
    if (far[k] < 30) pick(k);
  });
  canvas.keys(dots, ([dx, dy]) => {
    if (!here.runs || !here.runs.list.length) return;
    const { list, chosen } = here.runs, order = list.map((_, k) => k).sort((i, j) => list[i].loss - list[j].loss);
    pick(order[clamp(order.indexOf(chosen) + Math.sign(dx + dy), 0, order.length - 1)]);
  });
  return { here, train, drop, draw };
})();
