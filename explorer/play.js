// The density falls by itself from dense to sparse, and the arrows follow the best model.
const play = (() => {
  const SECONDS = 14, PAUSE = 1000, STOPS = [1, 0.63, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01];
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
    const first = state.p < 0.0101 ? 1 : state.p;
    if (!plane.here.following) plane.followBest(plane.glide);
    if (redraw.still()) jump(first); else glide(first);
  }
  function glide(first) {
    const rate = Math.log(100) / SECONDS, began = performance.now();
    const step = now => {
      if (!running) return;
      const p = Math.max(0.01, first * Math.exp(-rate * Math.max(0, now - began) / 1000));
      plane.setDensity(Number(p.toPrecision(5)), true);
      if (p > 0.01) requestAnimationFrame(step); else stop();
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
  }
  button.onclick = () => running ? stop() : start();
  return { start, stop, get running() { return running; } };
})();
