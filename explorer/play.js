// The density falls by itself from dense to sparse, and the arrows follow the best model.
const play = (() => {
  // seconds and densities on the way: slow where arrow 3 grows, 4 comes and 5 comes
  const WAY = [[0, 1], [0.6, 1], [2.1, 0.8], [7.1, 0.55], [10.1, 0.2], [12.6, 0.12], [14.6, 0.05]].map(([t, p]) => [t, Math.log(p)]);
  const PAUSE = 1000, STOPS = [1, 0.63, 0.4, 0.2, 0.1, 0.05], END = 0.05;
  function between(value, from, to) { // along WAY, read by one column and answered by the other
    const k = Math.max(1, WAY.findIndex(point => from ? point[1] <= value : point[0] >= value)), [a, b] = [WAY[k - 1], WAY[k]];
    return a[to] + (value - a[from]) / (b[from] - a[from] || 1) * (b[to] - a[to]);
  }
  const button = document.getElementById('play');
  let running = false, timer = 0;
  function show() {
    button.textContent = running ? 'Pause' : 'Play';
    button.setAttribute('aria-pressed', running);
  }
  function start() {
    plane.stop();
    running = true;
    show();
    const first = state.p < 1.01 * END ? 1 : state.p;
    if (!plane.here.following) plane.followBest(plane.glide);
    if (redraw.still()) jump(first); else glide(first);
  }
  function glide(first) {
    const began = performance.now(), skipped = first < 1 ? between(Math.log(first), 1, 0) : 0;
    const step = now => {
      if (!running) return;
      const t = Math.min(WAY[WAY.length - 1][0], skipped + Math.max(0, now - began) / 1000);
      const p = Math.exp(between(t, 0, 1));
      plane.setDensity(Number(p.toPrecision(5)), true);
      if (p > 1.0001 * END) requestAnimationFrame(step); else stop();
    };
    requestAnimationFrame(step);
  }
  function jump(first) { // without motion: a few densities, one after the other
    const list = [first, ...STOPS.filter(p => p < first)];
    const next = () => {
      plane.setDensity(list.shift(), true);
      if (list.length) timer = setTimeout(next, PAUSE); else stop();
    };
    next();
  }
  function stop() {
    clearTimeout(timer);
    if (!running) return;
    running = false;
    show();
    story.draw(); // its answer waited
  }
  button.onclick = () => running ? stop() : start();
  return { start, stop, get running() { return running; } };
})();
