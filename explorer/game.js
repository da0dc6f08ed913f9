// Beat the best: the reader drags arrows, each bias follows at its best value, and the loss is compared with the
// lowest known.
const game = (() => {
  const { short, above, clamp } = format, LEVEL = 1e-5, $ = id => document.getElementById(id);
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
  function begin() {
    plane.stop();
    state.game = 'on';
    plane.set(scattered());
    plane.keep();
    redraw.change({}, 'all');
  }
  function draw() {
    const on = state.game === 'on';
    $('game').hidden = !on;
    $('beat').setAttribute('aria-pressed', on);
    if (!on) return;
    const best = search.best().loss, loss = search.lossOf(plane.here.net), gap = loss / best - 1;
    const closeness = clamp(-Math.log10(Math.max(gap, LEVEL)) / 5, 0, 1); // 0 from twice the best loss, 1 at the best
    $('closeness').style.width = `${100 * closeness}%`;
    const praise = gap <= LEVEL ? 'You are level with the lowest loss known.'
      : plane.here.settled ? 'A valley: no small step leads lower. Try other neighbours.'
      : gap < 0.01 ? 'Within 1 %. Press \u201cDescend\u201d for the last bit.'
      : gap < 0.1 ? 'Close. Try other neighbours for the most important feature, 1.'
      : 'Which arrows should be neighbours?';
    const place = gap <= LEVEL ? '' : `${above(loss, best)} above. `;
    redraw.fill($('score'), ['Best known ', [short(best, 4), 1], '. You: ', [short(loss, 4), 1], `. ${place}${praise}`]);
  }
  $('beat').onclick = () => state.game === 'on' ? plane.showBest() : begin();
  return { begin, draw };
})();
