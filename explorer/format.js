// Numbers as text.
const format = (() => {
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const minus = text => String(text).replace(/-/g, '\u2212');
  function short(x, digits = 3) {
    const text = Number(x).toPrecision(digits);
    return text.includes('e') ? Number(x).toExponential(digits - 1) : text;
  }
  function fixed(x, digits = 2) {
    const text = x.toFixed(digits);
    return minus(Number(text) === 0 ? (0).toFixed(digits) : text);
  }
  function percent(share) { // halves to even, as in the figures' numbers
    const value = 100 * share, whole = Math.floor(value);
    return `${Math.abs(value - whole - 0.5) < 1e-6 ? whole + whole % 2 : Math.round(value)} %`;
  }
  function above(loss, lowest) { // how far a loss lies above another, in percent
    const value = 100 * (loss / lowest - 1);
    return `${value < 1 ? value.toPrecision(1) : value < 10 ? value.toFixed(1) : Math.round(value)} %`;
  }
  const bytes = text => Uint8Array.from(atob(text), char => char.charCodeAt(0)); // of base64
  return { clamp, minus, short, fixed, percent, above, bytes };
})();
