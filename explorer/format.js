// Numbers as text.
const format = (() => {
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const minus = text => String(text).replace(/-/g, '\u2212');
  const TINY = 1e-9; // what differs by less is rounding
  function short(x, digits = 3) {
    if (Math.abs(x) < TINY) return '0';
    const text = Number(x).toPrecision(digits);
    return minus(text.includes('e') ? Number(x).toExponential(digits - 1) : text);
  }
  function fixed(x, digits = 2) {
    const text = x.toFixed(digits);
    return minus(Number(text) === 0 ? (0).toFixed(digits) : text);
  }
  function percent(share) { // halves to even, as in the figures' numbers
    const value = 100 * share, whole = Math.floor(value);
    return `${Math.abs(value - whole - 0.5) < 1e-6 ? whole + whole % 2 : Math.round(value)}\u00a0%`;
  }
  // how far a loss lies above another, as a share of it
  const gap = (loss, lowest) => loss - lowest < TINY ? 0 : (loss - lowest) / Math.max(lowest, TINY);
  function above(loss, lowest) { // the same in percent; above a loss of 0 as a difference
    if (lowest < TINY) return short(loss - lowest);
    const value = 100 * gap(loss, lowest);
    return `${value < 1 ? Number(value.toPrecision(1)) : value < 10 ? value.toFixed(1) : Math.round(value)}\u00a0%`;
  }
  // text that breaks neither before % nor at an equals sign
  const tied = text => text.replace(/ %/g, '\u00a0%').replace(/ = /g, '\u00a0=\u00a0');
  const bytes = text => Uint8Array.from(atob(text), char => char.charCodeAt(0)); // of base64
  return { clamp, minus, short, fixed, percent, gap, above, tied, bytes };
})();
