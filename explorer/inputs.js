// What goes in and what comes out: one slider for each feature, h = Wx in the plane, and the outputs as bars.
const inputs = (() => {
  const { fixed } = format, $ = id => document.getElementById(id);
  const values = () => state.x || Array.from({ length: state.n }, (_, k) => k ? 0 : 1);
  const answer = () => model.answer(plane.here.net, search.M, state.n, values());
  const shown = () => !$('inputs').closest('.away') && values().some(value => value > 0);
  function element(tag, properties, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  }
  function build() { // one row for each feature
    const rows = Array.from({ length: state.n }, (_, k) => {
      const slider = element('input', { type: 'range', min: 0, max: 1, step: 0.01, id: `x${k + 1}` });
      slider.setAttribute('aria-label', `input ${k + 1}`);
      slider.oninput = () => {
        redraw.change({ x: values().map((value, j) => j === k ? Number(slider.value) : value) }, 'net');
      };
      const bar = element('span', { className: 'bar' }, element('i', {}));
      const number = element('b', {}, String(k + 1)), given = element('output', {}), made = element('output', {});
      return element('div', { className: 'row' }, number, slider, given, bar, made);
    });
    $('inputs').replaceChildren(...rows);
  }
  function draw() {
    const box = $('inputs'), x = values(), { u, out } = answer();
    if (box.childElementCount !== state.n) build();
    [...box.children].forEach((row, k) => {
      const [, slider, given, bar, made] = row.children;
      if (Math.abs(slider.value - x[k]) > 1e-9) slider.value = x[k];
      given.textContent = x[k].toFixed(2);
      made.textContent = out[k].toFixed(2);
      redraw.bar(bar, u[k] / 1.25);
      bar.title = `${fixed(u[k])} before the ReLU`;
    });
  }
  function only(k) { // feature k alone, fully on
    redraw.change({ x: Array.from({ length: state.n }, (_, j) => j === k ? 1 : 0) }, 'net');
  }
  $('single').onclick = () => {
    const x = values(), on = x.findIndex(value => value > 0);
    only(x.filter(value => value > 0).length === 1 ? (on + 1) % state.n : 0);
  };
  $('every').onclick = () => redraw.change({ x: new Array(state.n).fill(1) }, 'net');
  return { values, answer, shown, draw };
})();
