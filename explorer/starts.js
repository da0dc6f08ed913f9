// Many starts: each dot is a model trained here by Adam on the exact loss, as the package's train() does.
const starts = (() => {
  const { theme } = canvas, { clamp, percent, gap, above } = format, { M } = search, $ = id => document.getElementById(id);
  const here = { runs: null };
  const COLUMNS = 5, dots = canvas.surface('dots', [4, 6, 38, 50], () => here.runs ? 164 : 40);
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
        runs.list.push({ x: run.x, loss, ...plane.arrangement(run.x, n) });
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

  // Columns of dots, one for each set of features left out, the lowest loss left; what is rare stands together.
  function columns(list) {
    const found = {};
    list.forEach(run => (found[run.out.join(' ')] ||= []).push(run));
    const least = runs => Math.min(...runs.map(run => run.loss)), common = Object.entries(found).sort((a, b) => b[1].length - a[1].length);
    const groups = common.slice(0, COLUMNS).map(([out, runs]) => ({ out: out || 'none', runs, least: least(runs) }));
    const rest = common.slice(COLUMNS).flatMap(([, runs]) => runs);
    groups.sort((a, b) => a.least - b.least);
    return rest.length ? [...groups, { out: '', runs: rest, least: least(rest) }] : groups;
  }
  function draw() {
    const g = dots.fit(), { runs } = here;
    if (!runs || !runs.list.length) {
      g.note(runs ? 'Training \u2026' : 'Nothing trained yet at this setting.', g.w / 2, g.h / 2, { align: 'center' });
      $('starts').textContent = 'A start is a model with random weights, trained by Adam for 600 steps.';
      return;
    }
    const { list } = runs, low = Math.min(search.best().loss, ...list.map(run => run.loss)), groups = columns(list);
    const wide = (g.right - g.left) / groups.length, most = Math.max(...groups.map(group => group.runs.length));
    let pitch = 14; // between dots, so that the highest column finds room
    while (pitch > 3 && pitch * Math.ceil(most / Math.floor((wide - 8) / pitch)) > g.bottom - g.top - 24) pitch--;
    const across = Math.max(1, Math.floor((wide - 8) / pitch)), high = g.bottom - 5;
    g.note('left out:', 2, g.bottom + 16, { size: 11.5 });
    g.note('loss:', 2, g.bottom + 32, { size: 11.5 });
    groups.forEach(({ out, runs: mine, least }, k) => {
      const x = g.left + wide * (k + 0.5), width = Math.min(across, mine.length);
      mine.sort((a, b) => a.loss - b.loss).forEach((run, j) => {
        run.px = x + (j % across - (width - 1) / 2) * pitch;
        run.py = high - pitch * (0.5 + Math.floor(j / across));
        plane.glyph(g, run.px, run.py, pitch * 0.55, run.name);
      });
      g.path([[x - wide / 2 + 3, g.bottom - 3], [x + wide / 2 - 3, g.bottom - 3]], theme.soft, 1);
      const top = high - pitch * Math.ceil(mine.length / across) - 8, centre = { align: 'center', halo: null };
      g.text(String(mine.length), x, top, { ...centre, weight: 700 });
      g.text(out || 'others', x, g.bottom + 16, centre);
      g.note(gap(least, low) <= 0.01 ? 'lowest' : `+${above(least, low)}`, x, g.bottom + 32, { ...centre, size: 11.5 });
    });
    const chosen = list[runs.chosen]; // ringed as long as its arrows are those shown
    if (chosen && chosen.x.every((value, k) => value === plane.here.net[k])) {
      for (const [colour, width] of [[theme.paper, 5], [theme.ink, 2]]) {
        g.dot(chosen.px, chosen.py, pitch * 0.55 + 4, null, colour, width);
      }
    }
    const good = list.filter(run => gap(run.loss, low) <= 0.01).length, counts = {};
    list.forEach(({ name }) => { counts[name] = (counts[name] || 0) + 1; });
    const common = Object.entries(counts).sort((a, b) => b[1] - a[1]).filter(([, count]) => count >= 0.01 * list.length);
    const arrangements = common.map(([name, count]) => `${name} ${percent(count / list.length)}`).join(', ');
    const number = list.length === 1 ? '1 start' : `${list.length} starts`;
    const progress = runs.busy ? `Training: ${list.length} of ${runs.total}.` : `${number}.`;
    const share = `${percent(good / list.length)} come within 1 % of the lowest loss known.`;
    redraw.fill($('starts'), [`${progress} ${share} Found: ${arrangements}.`]);
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
