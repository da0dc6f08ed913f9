// Beat the best: the reader drags arrows, each bias follows at its best value, and the loss is compared with the
// lowest known.
const game = (() => {
  const { short, gap: gapOf, above, clamp } = format, LEVEL = 1e-5, FAR = 3, { here } = plane, $ = id => document.getElementById(id);
  function scattered() { // arrows of length 0.8, in an order that is not the best one
    const n = state.n, x = new Float64Array(3 * n);
    for (let j = 0; j < n; j++) {
      const angle = 2 * Math.PI * j / n + 0.5 * Math.sin(5 * j + 1);
      x[j] = 0.8 * Math.cos(angle);
      x[n + j] = 0.8 * Math.sin(angle);
    }
    model.fitBiases(x, search.M, n, search.densities());
    return x;
  }
  function neighbours(x) { // of arrow 1: the two that point most its way
    const along = j => (x[0] * x[j] + x[state.n] * x[state.n + j]) / Math.hypot(x[j], x[state.n + j]);
    const list = Array.from({ length: state.n - 1 }, (_, j) => j + 1).sort((i, j) => along(j) - along(i)).slice(0, 2);
    return list.sort().map(j => j + 1).join(' and ');
  }
  function begin() {
    plane.stop();
    here.moves = 0;
    state.game = 'on';
    plane.set(scattered());
    plane.keep();
    redraw.change({}, 'all');
  }
  function draw() {
    const on = state.game === 'on';
    $('game').hidden = !on;
    $('loss').hidden = on; // the meter takes its place
    $('beat').setAttribute('aria-pressed', on);
    $('best').disabled = on;
    if (!on) {
      $('descend').disabled = false;
      return;
    }
    const best = search.best().loss, loss = search.lossOf(here.net), gap = gapOf(loss, best);
    const closeness = 1 - Math.log(clamp(gap, LEVEL, FAR) / LEVEL) / Math.log(FAR / LEVEL), beside = neighbours(search.best().x);
    $('descend').disabled = gap > 0.1;
    $('closeness').style.width = `${100 * closeness}%`;
    const praise = gap <= LEVEL ? 'You are level with the lowest loss known.'
      : here.settled ? 'A valley: no small step leads lower. Try other neighbours.'
      : gap < 0.1 ? 'Close. Press \u201cDescend\u201d for the last bit.'
      : here.moves > 5 ? `Who stands beside 1? In the best known, its neighbours are ${beside}.`
      : 'Which arrows should be neighbours?';
    const place = gap <= LEVEL ? '' : `${above(loss, best)} above. `;
    redraw.fill($('score'), ['Best known ', [short(best, 4), 1], '. You: ', [short(loss, 4), 1], `. ${place}${praise}`]);
  }
  $('beat').onclick = () => state.game === 'on' ? plane.showBest() : begin();
  return { begin, draw };
})();
