// What the page shows, and the same as text behind the # of the address: key=value pairs joined by &.
const address = (() => {
  const EXTENT = 1.5; // the landscape's weights run from -EXTENT to EXTENT
  const DEFAULTS = {
    view: 'one', preset: '', p: 0.2, r: 0.5, layer: 'phase', ground: 'loss', start: [0.5, 0.9], optimizer: 'adam',
    lr: 0.03, n: 5, ratio: 0.9, game: 'off', x: null, W: null, b: null,
    density: '0.1', penalty: 0.3, point: null, ask: '',
  };
  const PRESETS = {
    input: { view: 'two', p: 0.1 },
    dense: { view: 'two', p: 1 },
    triangle: { view: 'two', p: 0.63 },
    pairs: { view: 'two', p: 0.2 },
    pentagon: { view: 'two', p: 0.1 },
    sweep: { view: 'two', p: 0.05 },
    starts: { view: 'two', p: 0.2 },
    beat: { view: 'two', p: 0.1, game: 'on' },
    superposition: {},
    trap: { ground: 'basins', optimizer: 'gd', lr: 0.1 },
    read: { view: 'dictionary', penalty: 0.05 },
  };

  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)$/;
  const number = (low, high) => text => {
    const value = Number(text);
    return isNumber.test(text) && value >= low && value <= high ? value : undefined;
  };
  const whole = (low, high) => text => {
    const value = number(low, high)(text);
    return Number.isInteger(value) ? value : undefined;
  };
  const one = (...names) => text => names.includes(text) ? text : undefined;
  const list = (low, high) => text => {
    const values = text.split(',').map(number(low, high));
    return values.every(value => value !== undefined) ? values : undefined;
  };
  const point = text => {
    const values = list(-3, 3)(text);
    return values && values.length === 2 ? values.map(w => format.clamp(w, -EXTENT, EXTENT)) : undefined;
  };
  const READ = {
    view: text => Object.hasOwn(redraw.views, text) ? text : undefined, preset: one(...Object.keys(PRESETS)),
    p: number(0.01, 1), r: number(0.1, 10), n: whole(2, 6), ratio: number(0.5, 1), lr: number(0.001, 1),
    layer: one('phase', 'success'), ground: one('loss', 'basins'), optimizer: one('adam', 'gd'), game: one('on', 'off'),
    start: point, x: list(0, 1), W: list(-3, 3), b: list(-3, 3),
    density: one('0.1', '0.001'), penalty: number(0.01, 0.5), point, ask: one('on'),
  };

  function given(text) { // the pairs of an address that the page knows, with values in their ranges
    const values = {};
    for (const part of text.replace(/^#/, '').split('&')) {
      const [key, coded] = part.split('=');
      if (!Object.hasOwn(READ, key) || coded === undefined) continue;
      let plain;
      try { plain = decodeURIComponent(coded); } catch { continue; }
      const value = READ[key](plain);
      if (value !== undefined) values[key] = value;
    }
    return values;
  }
  function read(text) { // an address that says nothing opens the story
    const values = given(text), { n = DEFAULTS.n, W, b, x } = values;
    if (!W || !b || W.length !== 2 * n || b.length !== n) {
      delete values.W;
      delete values.b;
    }
    if (x && x.length !== n) delete values.x;
    if (!Object.keys(values).length) Object.assign(values, { preset: 'input', ask: 'on' });
    return { ...DEFAULTS, start: [...DEFAULTS.start], ...PRESETS[values.preset], ...values };
  }
  const textOf = value => Array.isArray(value) ? value.map(v => +v.toFixed(4)).join(',')
    : typeof value === 'number' ? String(+value.toPrecision(5)) : value;
  function write(state) {
    if (story.here.asking) return `preset=${story.preset}&ask=on`;
    const base = { ...DEFAULTS, ...PRESETS[state.preset], preset: '' };
    return Object.keys(DEFAULTS)
      .filter(key => state[key] !== null && state[key] !== '' && String(state[key]) !== String(base[key]))
      .map(key => `${key}=${textOf(state[key])}`).join('&') || 'view=one';
  }
  return { EXTENT, PRESETS, read, write };
})();

const state = address.read('');
