// Controls, tabs and the address; the state that tests read.
const main = (() => {
  const { theme, readTheme } = canvas, { short, clamp } = format, $ = id => document.getElementById(id);
  const all = selector => document.querySelectorAll(selector);

  // ---- controls show the state ----
  function range(id, value, text) {
    const input = $(id);
    if (Math.abs(input.value - value) > 1e-9) input.value = value;
    input.setAttribute('aria-valuetext', text);
  }
  function write(id, text) {
    if (document.activeElement !== $(id)) $(id).value = text;
  }
  redraw.after.push(() => {
    for (const id of ['p1', 'p2']) {
      range(id, -Math.log10(state.p), `density ${short(state.p, 2)}`);
      write(`${id}-number`, short(state.p, 3));
    }
    range('r', Math.log10(state.r), `importance ${short(state.r, 2)}`);
    write('r-number', short(state.r, 3));
    range('lr', Math.log10(state.lr), `learning rate ${short(state.lr, 2)}`);
    range('ratio', state.ratio, `each feature ${short(state.ratio, 2)} times as important as the one before`);
    range('n', state.n, `${state.n} features`);
    $('lr-value').textContent = short(state.lr, 2);
    $('ratio-value').textContent = `\u00d7 ${state.ratio.toFixed(2)} each`;
    $('n-value').textContent = state.n;
    ['layer', 'ground', 'optimizer', 'view'].forEach(name => redraw.press(name, state[name]));
  });

  // ---- controls change the state ----
  function setDensity(p) {
    if (state.view === 'two') plane.setDensity(p); else redraw.change({ p: clamp(p, 0.01, 1) }, 'solve');
  }
  const power = (id, sign = 1) => Number((10 ** (sign * $(id).value)).toPrecision(6));
  for (const id of ['p1', 'p2']) $(id).oninput = () => setDensity(power(id, -1));
  $('r').oninput = () => redraw.change({ r: power('r') }, 'solve');
  $('lr').oninput = () => redraw.change({ lr: Number(power('lr').toPrecision(4)) }, 'start', 'shares');
  $('n').oninput = () => plane.resize({ n: Number($('n').value) });
  $('ratio').oninput = () => plane.resize({ ratio: Number($('ratio').value) });
  function typed(id, low, high, name, message, apply) {
    $(id).onchange = () => {
      const text = $(id).value.trim().replace(',', '.'), value = Number(text);
      const good = text !== '' && Number.isFinite(value), inside = clamp(value, low, high);
      if (good) apply(inside); // which clears the message
      $(message).textContent = !good ? `${name} must be a number from ${low} to ${high}.`
        : inside !== value ? `${name} lies between ${low} and ${high}; ${value} became ${inside}.` : '';
      $(id).value = short(id[0] === 'p' ? state.p : state.r, 3);
    };
  }
  typed('p1-number', 0.01, 1, 'Density', 'warning', setDensity);
  typed('p2-number', 0.01, 1, 'Density', 'warning-two', setDensity);
  typed('r-number', 0.1, 10, 'Importance', 'warning', r => redraw.change({ r }, 'solve'));
  function choice(name, ...parts) {
    all(`[data-${name}]`).forEach(button => {
      button.onclick = () => redraw.change({ [name]: button.dataset[name] }, ...parts);
    });
  }
  choice('layer', 'diagram');
  choice('ground', 'ground');
  choice('optimizer', 'start', 'shares');
  all('[data-starts]').forEach(button => {
    button.onclick = () => starts.train(Number(button.dataset.starts));
  });
  $('descend').onclick = plane.descend;
  $('fresh').onclick = plane.fresh;
  $('best').onclick = plane.showBest;
  all('[data-view]').forEach(button => {
    button.hidden = !Object.hasOwn(redraw.views, button.dataset.view);
    button.onclick = () => {
      story.leave({ ...state, view: button.dataset.view });
    };
  });
  $('copy').onclick = async () => {
    const link = location.href.split('#')[0] + '#' + address.write(state), label = $('copy').innerHTML;
    try { await navigator.clipboard.writeText(link); } catch {
      const area = Object.assign(document.createElement('textarea'), { value: link });
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
      $('copy').focus();
    }
    $('copy').textContent = 'Copied';
    setTimeout(() => { $('copy').innerHTML = label; }, 1500);
  };

  // ---- the address ----
  function show(next, move) { // move: how the arrows get there, plane.set, plane.face or plane.glide
    const moved = state.view !== next.view;
    Object.assign(state, next);
    if (starts.here.runs && starts.here.runs.setting !== search.setting()) starts.drop();
    for (const name of Object.keys(redraw.views)) $(name).hidden = name !== state.view;
    for (const id of ['warning', 'warning-two']) $(id).textContent = '';
    redraw.views[state.view].enter(moved ? undefined : move);
    if (state.preset === 'starts' && !starts.here.runs) starts.train(100);
    redraw.save();
    redraw.schedule('all');
  }
  const visit = (hash, left) => story.meet(address.read(hash), left);
  addEventListener('popstate', event => { // Back and Forward; an address that is followed has no entry yet
    if (!event.state) return;
    redraw.arrive(location.hash); // so that hashchange, which follows, finds it known
    visit(location.hash, event.state);
  });
  addEventListener('hashchange', event => {
    // the address asked for, which a save that was waiting may have written over
    const asked = new URL(event.newURL).hash;
    if (redraw.foreign(asked)) visit(asked);
  });
  addEventListener('resize', () => redraw.schedule('all'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    readTheme();
    redraw.schedule('all');
  });
  return { visit, show };
})();

window.toymodels = {
  loss: model.loss, gradient: model.gradient, landscape: model.landscape, minima: model.minima, train: model.train,
  rebuilt: reader.answer, found: reader.count,
  get state() {
    const two = state.view === 'two', { net } = plane.here, { runs } = starts.here;
    const { found, chosen, basin, end, path, losses } = valleys.here;
    const shown = two ? model.unpack(net, search.M, state.n) : state.view === 'one' ? found[chosen] : reader.seen();
    const best = two ? search.best() : null;
    return {
      ...state, W: shown.W, b: shown.b, importance: search.importance(), minima: found, end, path: path.length,
      losses: two ? plane.here.losses : losses, hash: address.write(state), border: phase.borderAt(state.p),
      shares: valleys.counted() ? { ...basin, label: undefined } : null,
      runs: runs ? { done: runs.list.length, busy: runs.busy, loss: runs.list.map(run => run.loss) } : null,
      best: best && { loss: best.loss, starts: best.starts, busy: best.busy },
      arrangement: two ? plane.arrangement(net) : null, sliced: plane.sliced(),
      moving: !!plane.here.target || play.running || reader.moving(), dictionary: reader.seen(),
      x: inputs.values(), ...inputs.answer(), story: { ...story.here },
      places: { tips: plane.tips(), start: valleys.place() },
    };
  },
  cell(d, k) {
    const x = phase.cellModel(d, k), p = DATA.diagram.densities[d];
    const loss = model.polish(x, 1, 2, [p, p], [1, DATA.diagram.importances[k]]);
    return { W: [[x[0], x[1]]], b: [x[2], x[3]], loss };
  },
};
canvas.readTheme();
main.visit(location.hash, history.state);
redraw.schedule('ready');
