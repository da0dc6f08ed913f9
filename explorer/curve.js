// The loss on the way down: a logarithmic axis of losses over the steps, and the lowest loss that is known.
const curve = (() => {
  const { theme } = canvas;
  const HIGH = 124, LOW = 40; // of the canvas: with a curve, without one
  const place = id => canvas.surface(id, [10, 20, 36, 72], () => HIGH);
  function draw(plot, losses, known, empty) {
    const lowest = Math.max(known, 1e-9), positive = losses.filter(loss => loss > 0); // a loss of 0 has no logarithm
    const none = positive.length < 2 || !losses.every(Number.isFinite);
    const g = plot.fit(none ? LOW : HIGH);
    if (none) {
      g.note(empty, g.w / 2, g.h / 2, { align: 'center' });
      return;
    }
    const low = Math.log10(Math.min(lowest, ...positive)), high = Math.log10(Math.max(lowest * 1.02, ...positive));
    Object.assign(g, { x0: 0, x1: losses.length - 1, y0: low - 0.45 * (high - low), y1: high + 0.08 * (high - low) });
    g.frame();
    g.ticks('x', [0, losses.length - 1]);
    g.lossTicks();
    g.titles('steps', 'loss');
    const y = g.y(Math.log10(lowest));
    g.path([[g.left, y], [g.right, y]], theme.soft, 1.2, [4, 3]);
    g.note('lowest known', g.right - 6, y + 13, { align: 'right', halo: theme.paper });
    const line = losses.map((loss, k) => [g.x(k), g.y(Math.log10(loss))]).filter(([, v]) => Number.isFinite(v));
    g.clip(() => g.path(line, theme.good, 2.2));
    if (line.length) g.dot(...line[line.length - 1], 4.5, theme.good, theme.paper);
  }
  return { place, draw };
})();
