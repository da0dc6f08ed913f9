// The model x̂ = ReLU(WᵀWx + b) and its exact expected loss, in the notation of the package:
// W [hidden][feature], b [feature].
// Output i sees its own feature and the others only through v + Σ_j a_j x_j with a_j = W_i·W_j, so its loss is made of
// moments M(α, m; S, v) = E[ xᵅ (v + Σ_{j∈S} a_j x_j)₊ᵐ / m! ], x_j uniform on [0, 1], S the features that are on.
// Integration by parts gives a recurrence that never divides by a small overlap:
//   (m + |S| + |α|) M(α, m; S, v) = v M(α, m-1; S, v) + Σ_{l∈S} M(α without l, m; S - l, v + a_l),
// and where it needs m = -1 the same integration by parts over the largest |a_l| alone. No series, no sampling.
const model = (() => {
  const NODE = 0.5 / Math.sqrt(3);

  // ---- one other feature: two features in any number of dimensions ----
  // out: loss, ∂/∂b, ∂/∂G, ∂/∂a of E (x - ReLU(G x + a y + b))², densities p of x and q of y.
  const pair = new Float64Array(4);
  function addPair(weight, u, y, G, p) {
    const on = u > 0 ? u : 0;
    const r = u >= 0 ? 1 : u <= -G ? 0 : 1 + u / G;
    const slope = p * r * ((1 + G) * r - 2) + 2 * on;
    pair[0] += weight * (p * (1 / 3 - G * r * r + G * (1 + G) * r * r * r / 3) + on * on - p * (1 - G) * on);
    pair[1] += weight * slope;
    pair[2] += weight * p * r * gainSlope(u, r, G);
    pair[3] += weight * slope * y;
  }
  // ∂g/∂G divided by p r: -2 ∫ x (x - Gx - u) dx over the part [1 - r, 1] of x on which the ReLU is on
  function gainSlope(u, r, G) {
    if (r === 0) return 0;
    const s = 1 - r;
    return -2 * ((1 - G) * (1 + s + s * s) / 3 - u * (1 + s) / 2);
  }
  function pairLoss(b, G, a, p, q) {
    pair.fill(0);
    if (q < 1) addPair(1 - q, b, 0, G, p);
    let c1 = 0, c2 = 0; // where the ReLU's two kinks lie in y
    if (a !== 0) {
      c1 = Math.min(1, Math.max(0, -(b + G) / a));
      c2 = Math.min(1, Math.max(0, -b / a));
      if (c1 > c2) [c1, c2] = [c2, c1];
    }
    let left = 0;
    for (let k = 0; k < 3; k++) {
      const right = k === 0 ? c1 : k === 1 ? c2 : 1, width = right - left;
      if (width > 0) {
        const middle = (left + right) / 2, half = NODE * width;
        addPair(q * width / 2, b + a * (middle - half), middle - half, G, p);
        addPair(q * width / 2, b + a * (middle + half), middle + half, G, p);
      }
      left = right;
    }
    return pair[0];
  }

  // ---- any number of features, by the recurrence ----
  // A state gives each feature one of: 0 left out, 1 averaged over, 2 at x = 1; coded in base 3.
  const plans = {};
  function plan(n) {
    if (plans[n]) return plans[n];
    const size = 3 ** n, power = Array.from({ length: n }, (_, j) => 3 ** j), members = [], tops = [];
    for (let s = 0; s < size; s++) {
      members.push(power.map((t, j) => [Math.floor(s / t) % 3, j]).filter(d => d[0] === 1).map(d => d[1]));
      tops.push(power.map((t, j) => [Math.floor(s / t) % 3, j]).filter(d => d[0] === 2).map(d => d[1]));
    }
    const order = Array.from({ length: size }, (_, s) => s);
    order.sort((s, t) => members[s].length - members[t].length || s - t);
    const start = new Int32Array(size + 1), list = [];
    order.forEach((s, k) => { start[k] = list.length; list.push(...members[s]); });
    start[size] = list.length;
    const table = () => new Float64Array(size);
    return plans[n] = {
      size, power, order: Int32Array.from(order), start, list: Int32Array.from(list),
      last: Int32Array.from(tops, t => t.length ? t[t.length - 1] : -1),
      v: table(), A0: table(), A1: table(), A2: table(),
      X0: new Float64Array(n * size), X1: new Float64Array(n * size), XX: new Float64Array(n * size),
      da: new Float64Array(n),
    };
  }

  // Loss of output i with overlaps a [feature] (a[i] its own gain) and bias b; slopes, if asked for, stay in the plan.
  function outputLoss(i, a, b, p, slopes) {
    const n = a.length, P = plan(n), { size, power, order, start, list, last, v, A0, A1, A2, X0, X1, XX, da } = P;
    v[0] = b;
    for (let s = 1; s < size; s++) if (last[s] >= 0) v[s] = v[s - 2 * power[last[s]]] + a[last[s]]; else v[s] = b;
    for (let at = 0; at < size; at++) {
      const s = order[at], from = start[at], to = start[at + 1], k = to - from, u = v[s];
      if (k === 0) {
        const on = u > 0 ? u : 0;
        A0[s] = u > 0 ? 1 : 0; A1[s] = on; A2[s] = on * on / 2;
        continue;
      }
      let low = u, high = u, J = list[from];
      for (let c = from; c < to; c++) {
        const l = list[c];
        if (a[l] < 0) low += a[l]; else high += a[l];
        if (Math.abs(a[l]) > Math.abs(a[J])) J = l;
      }
      if (high <= 0) {
        A0[s] = A1[s] = A2[s] = 0;
        for (let c = from; c < to; c++) { const t = list[c] * size + s; X0[t] = X1[t] = XX[t] = 0; }
        continue;
      }
      const full = low >= 0, up = s + power[J], down = s - power[J];
      let sum0 = 0, sum1 = 0, sum2 = 0, mine = false;
      for (let c = from; c < to; c++) {
        const t = s + power[list[c]];
        sum0 += A0[t]; sum1 += A1[t]; sum2 += A2[t];
        if (list[c] === i) mine = true;
      }
      const a0 = full ? 1 : (u * (A0[up] - A0[down]) / a[J] + sum0) / k;
      const a1 = (u * a0 + sum1) / (k + 1);
      A0[s] = a0; A1[s] = a1; A2[s] = (u * a1 + sum2) / (k + 2);
      for (let c = from; c < to; c++) { // moments with x_j
        const j = list[c];
        if (!slopes && j !== i) continue;
        const row = j * size, above = s + power[j];
        let s0 = A0[above], s1 = A1[above];
        for (let d = from; d < to; d++) if (d !== c) { const t = row + s + power[list[d]]; s0 += X0[t]; s1 += X1[t]; }
        const density = full ? 0 : (J === j ? A0[up] - a0 : X0[row + up] - X0[row + down]) / a[J];
        const x0 = full ? 0.5 : (u * density + s0) / (k + 1);
        X0[row + s] = x0; X1[row + s] = (u * x0 + s1) / (k + 2);
      }
      if (!slopes || !mine) continue;
      const own = i * size, aboveOwn = s + power[i];
      for (let c = from; c < to; c++) { // moments with x_i x_j
        const j = list[c], row = j * size;
        if (full) { XX[row + s] = j === i ? 1 / 3 : 1 / 4; continue; }
        const above = s + power[j];
        let s0 = j === i ? A0[above] : X0[own + above] + X0[row + aboveOwn];
        for (let d = from; d < to; d++) { const l = list[d]; if (l !== i && l !== j) s0 += XX[row + s + power[l]]; }
        let density;
        if (J === i && j === i) density = A0[up] - 2 * X0[own + s];
        else if (J === j) density = X0[own + up] - X0[own + s];
        else if (J === i) density = X0[row + up] - X0[row + s];
        else density = XX[row + up] - XX[row + down];
        XX[row + s] = (u * density / a[J] + s0) / (k + 2);
      }
    }
    // mixture over which of the other features are on
    let loss = p[i] / 3, db = 0;
    if (slopes) da.fill(0);
    const ti = power[i], own = i * size;
    for (let set = 0; set < 1 << n; set++) {
      if (set >> i & 1) continue;
      let chance = 1, s = 0;
      for (let j = 0; j < n; j++) {
        if (j === i) continue;
        chance *= set >> j & 1 ? p[j] : 1 - p[j];
        if (set >> j & 1) s += power[j];
      }
      if (chance === 0) continue;
      const off = 2 * (1 - p[i]) * chance, on = 2 * p[i] * chance, t = s + ti;
      loss += off * A2[s] + on * (A2[t] - X1[own + t]);
      if (!slopes) continue;
      db += off * A1[s] + on * (A1[t] - X0[own + t]);
      da[i] += on * (X1[own + t] - XX[own + t]);
      for (let j = 0; j < n; j++) {
        const row = j * size;
        if (j !== i && set >> j & 1) da[j] += off * X1[row + s] + on * (X1[row + t] - XX[row + t]);
      }
    }
    P.db = db;
    return loss;
  }

  // The same, written out: E P_m(v + Σ a_j x_j) = Σ_T Σ_k w_T,k P_{m+k}(v + Σ_{j∈T} a_j) with P_m(u) = u₊ᵐ/m! and
  // w_T(z) the product of z q_j/a_j over T and of 1 - q_j - z q_j/a_j over the rest. Ten times as fast, but it divides
  // by the overlaps. Returns NaN where that costs digits; with `rough` (training) it replaces a small a_j x_j by two
  // points of the same mean and variance instead.
  const FACTORIAL = [1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880], SMALL = 0.02, THIN = 1e-4, DEGREE = 10;
  const floats = size => new Float64Array(size);
  const close = {
    a: floats(5), q: floats(5), t0: floats(5), t1: floats(5), index: new Int32Array(5), plain: new Uint8Array(5),
    w: floats(8), Q: floats(8), e: floats(DEGREE), f: floats(DEGREE), lambda: floats(8),
  };
  function closedLoss(i, overlap, b, p, slopes, rough) {
    const n = overlap.length, K = n - 1, P = plan(n), da = P.da;
    const { a, q, t0, t1, index, plain, w, Q, e, f, lambda } = close;
    const G = overlap[i], pi = p[i], thin = rough && G < THIN;
    let reach = b + G, least = 1;
    for (let j = 0, c = 0; j < n; j++) {
      if (j === i) continue;
      index[c] = j; a[c] = overlap[j]; q[c++] = p[j];
      if (overlap[j] > 0) reach += overlap[j];
    }
    if (!rough) {
      if (reach > 0) {
        let noise = 2e-15 * (2 * pi * (1 + G) / (G * G)) * reach ** 3, k = 3;
        for (let c = 0; c < K; c++) {
          const size = Math.abs(a[c]);
          if (size < reach) { noise *= reach / size; k++; }
          if (size < least) least = size;
        }
        noise /= FACTORIAL[k];
        if (!(noise < 1e-11) || slopes && !(noise / Math.min(least, G) < 1e-8)) return NaN;
      } else for (let c = 0; c < K; c++) if (a[c] === 0) return NaN;
    }
    for (let c = 0; c < K; c++) {
      plain[c] = rough && Math.abs(a[c]) < SMALL ? 0 : 1;
      const spread = plain[c] ? 0 : Math.sqrt(q[c] / 3 - q[c] * q[c] / 4);
      t0[c] = plain[c] ? 0 : q[c] / 2 - spread; t1[c] = plain[c] ? 1 : q[c] / 2 + spread;
    }
    let c2a, c3a, c2b, c3b;
    if (!thin) { c2a = -2 * pi / G; c3a = 2 * pi * (1 + G) / (G * G); c2b = 2 - 2 * pi; c3b = -c3a; }
    const d2 = 2 * pi / (G * G), d3 = -2 * pi * (2 / G + 1) / (G * G);
    let loss = pi / 3, db = 0;
    if (slopes) da.fill(0);
    for (let T = 0; T < 1 << K; T++) {
      let v = b;
      for (let c = 0; c < K; c++) v += a[c] * (T >> c & 1 ? t1[c] : t0[c]);
      const u = v + G;
      if (u <= 0) continue;
      let degree = 0;
      w[0] = 1;
      for (let c = 0; c < K; c++) {
        if (!plain[c]) { for (let k = 0; k <= degree; k++) w[k] *= 0.5; continue; }
        const ratio = q[c] / a[c];
        if (T >> c & 1) { for (let k = degree; k >= 0; k--) w[k + 1] = w[k] * ratio; w[0] = 0; }
        else { w[degree + 1] = 0; for (let k = degree; k >= 0; k--) { w[k + 1] -= w[k] * ratio; w[k] *= 1 - q[c]; } }
        degree++;
      }
      e[0] = u > 0 ? 1 : 0; f[0] = v > 0 || thin ? 1 : 0;
      for (let k = 1; k < degree + 4; k++) { e[k] = e[k - 1] * u / k; f[k] = f[k - 1] * v / k; }
      let value = 0, slope = 0, gain = 0;
      for (let k = 0; k <= degree; k++) {
        let l, mu, nu;
        if (thin) {
          l = -2 / 3 * pi * G * f[k] - pi * (1 - G) * f[k + 1] + 2 * f[k + 2];
          mu = (k ? -2 / 3 * pi * G * f[k - 1] : 0) - pi * (1 - G) * f[k] + 2 * f[k + 1];
          nu = -2 / 3 * pi * f[k] + pi * f[k + 1];
        } else {
          l = c2a * e[k + 2] + c3a * e[k + 3] + c2b * f[k + 2] + c3b * f[k + 3];
          mu = c2a * e[k + 1] + c3a * e[k + 2] + c2b * f[k + 1] + c3b * f[k + 2];
          nu = d2 * e[k + 2] + d3 * (e[k + 3] - f[k + 3]) + c2a * e[k + 1] + c3a * e[k + 2];
        }
        lambda[k] = l; value += w[k] * l; slope += w[k] * mu; gain += w[k] * nu;
      }
      loss += value;
      if (!slopes) continue;
      db += slope; da[i] += gain;
      for (let c = 0; c < K; c++) {
        const inside = T >> c & 1;
        let sum = slope * (inside ? t1[c] : t0[c]);
        if (plain[c]) { // the polynomial without factor c
          let top = 0, moment = 0;
          Q[0] = 1;
          for (let d = 0; d < K; d++) if (d !== c) {
            if (!plain[d]) { for (let k = 0; k <= top; k++) Q[k] *= 0.5; continue; }
            const ratio = q[d] / a[d];
            if (T >> d & 1) { for (let k = top; k >= 0; k--) Q[k + 1] = Q[k] * ratio; Q[0] = 0; }
            else { Q[top + 1] = 0; for (let k = top; k >= 0; k--) { Q[k + 1] -= Q[k] * ratio; Q[k] *= 1 - q[d]; } }
            top++;
          }
          for (let k = 0; k <= top; k++) moment += Q[k] * lambda[k + 1];
          sum += (inside ? -1 : 1) * moment * q[c] / (a[c] * a[c]);
        }
        da[index[c]] += sum;
      }
    }
    P.db = db;
    return loss;
  }

  const dense = (p, n) => typeof p === 'number' ? new Array(n).fill(p) : p;
  const flat = W => Float64Array.from([].concat(...W));
  function unpack(x, m, n) {
    const row = h => Array.from(x.slice(h * n, h * n + n));
    return { W: Array.from({ length: m }, (_, h) => row(h)), b: Array.from(x.slice(m * n)) };
  }

  // Loss of x = [W row after row, b]; its gradient is written into slope if given.
  const overlaps = [];
  function lossAt(x, m, n, p, importance, slope, rough) {
    if (slope) slope.fill(0);
    let total = 0;
    const b = m * n;
    for (let i = 0; i < n; i++) {
      const a = overlaps[n] || (overlaps[n] = new Float64Array(n));
      a.fill(0);
      for (let j = 0; j < n; j++) for (let h = 0; h < m; h++) a[j] += x[h * n + i] * x[h * n + j];
      let loss, da, db;
      if (n === 2) {
        loss = pairLoss(x[b + i], a[i], a[1 - i], p[i], p[1 - i]);
        if (slope) { da = plan(2).da; da[i] = pair[2]; da[1 - i] = pair[3]; db = pair[1]; }
      } else {
        loss = closedLoss(i, a, x[b + i], p, !!slope, rough);
        if (loss !== loss) loss = outputLoss(i, a, x[b + i], p, !!slope);
        da = plan(n).da; db = plan(n).db;
      }
      total += importance[i] * loss;
      if (!slope) continue;
      slope[b + i] += importance[i] * db;
      for (let j = 0; j < n; j++) for (let h = 0; h < m; h++) {
        const d = importance[i] * da[j];
        slope[h * n + i] += d * x[h * n + j];
        slope[h * n + j] += d * x[h * n + i];
      }
    }
    return total;
  }
  function loss(W, b, p, importance) {
    const n = b.length;
    return lossAt(Float64Array.from([...flat(W), ...b]), W.length, n, dense(p, n), importance);
  }
  function gradient(W, b, p, importance) {
    const n = b.length, m = W.length, slope = new Float64Array(m * n + n);
    const value = lossAt(Float64Array.from([...flat(W), ...b]), m, n, dense(p, n), importance, slope);
    return { loss: value, ...unpack(slope, m, n) };
  }

  // ---- training: Adam or plain gradient descent, cosine schedule, as the package's train() ----
  function trainer(x, m, n, p, importance, { steps = 600, lr = 0.03, optimizer = 'adam' } = {}) {
    const size = x.length, slope = floats(size), first = floats(size), second = floats(size);
    let t = 0;
    return {
      x, steps,
      get done() { return t >= steps; },
      step() {
        const rate = lr * 0.5 * (1 + Math.cos(Math.PI * t / steps));
        const value = lossAt(x, m, n, p, importance, slope, true);
        t++;
        const c1 = 1 - 0.9 ** t, c2 = 1 - 0.999 ** t;
        for (let k = 0; k < size; k++) {
          const d = slope[k];
          if (optimizer === 'adam') {
            first[k] += 0.1 * (d - first[k]); second[k] += 0.001 * (d * d - second[k]);
            x[k] -= rate * first[k] / c1 / (Math.sqrt(second[k] / c2) + 1e-8);
          } else x[k] -= rate * d;
        }
        return value;
      },
    };
  }
  function train(W, b, p, importance, options = {}) {
    const n = b.length, m = W.length, x = Float64Array.from([...flat(W), ...b]), weights = dense(p, n);
    const run = trainer(x, m, n, weights, importance, options);
    while (!run.done) run.step();
    return { ...unpack(x, m, n), loss: lossAt(x, m, n, weights, importance) };
  }

  // ---- to the bottom of the valley: BFGS with a backtracking line search; never raises the loss ----
  function polish(x, m, n, p, importance, iterations = 200) {
    const size = x.length, H = floats(size * size), d = floats(size), y = floats(size), Hy = floats(size);
    let slope = floats(size), next = floats(size), trial = floats(size);
    const reset = () => { H.fill(0); for (let k = 0; k < size; k++) H[k * size + k] = 1; };
    let value = lossAt(x, m, n, p, importance, slope), fresh = true, quiet = 0;
    reset();
    for (let it = 0; it < iterations; it++) {
      let down = 0, norm = 0;
      for (let k = 0; k < size; k++) {
        let sum = 0;
        for (let l = 0; l < size; l++) sum -= H[k * size + l] * slope[l];
        d[k] = sum;
        down += sum * slope[k];
        norm = Math.max(norm, Math.abs(slope[k]));
      }
      if (norm < 1e-9) break;
      if (!(down < 0)) { if (fresh) break; reset(); fresh = true; continue; }
      let step = 1, after, found = false;
      for (let tries = 0; tries < 30; tries++, step *= 0.5) {
        for (let k = 0; k < size; k++) trial[k] = x[k] + step * d[k];
        after = lossAt(trial, m, n, p, importance, next);
        if (after <= value + 1e-4 * step * down) { found = true; break; }
      }
      if (!found) { if (fresh) break; reset(); fresh = true; continue; }
      let sy = 0, yHy = 0;
      for (let k = 0; k < size; k++) { y[k] = next[k] - slope[k]; sy += y[k] * (trial[k] - x[k]); }
      if (sy > 1e-18) {
        if (fresh) {
          let yy = 0;
          for (let k = 0; k < size; k++) yy += y[k] * y[k];
          for (let k = 0; k < size; k++) H[k * size + k] = sy / yy;
        }
        for (let k = 0; k < size; k++) {
          let sum = 0;
          for (let l = 0; l < size; l++) sum += H[k * size + l] * y[l];
          Hy[k] = sum;
          yHy += sum * y[k];
        }
        const scale = (1 + yHy / sy) / sy;
        for (let k = 0; k < size; k++) for (let l = 0; l < size; l++) {
          const sk = trial[k] - x[k], sl = trial[l] - x[l];
          H[k * size + l] += scale * sk * sl - (Hy[k] * sl + sk * Hy[l]) / sy;
        }
        fresh = false;
      }
      quiet = value - after < 1e-13 * Math.abs(value) ? quiet + 1 : 0;
      x.set(trial); [slope, next] = [next, slope]; value = after;
      if (quiet > 4) break;
    }
    return value;
  }

  // ---- two features, one neuron: the landscape with each bias at its best ----
  // min over b of E(b; w², w w'): every minimum between the points of a scan, the lowest of them. bestBias.b: where.
  const reached = (u, G) => u >= 0 ? 1 : u <= -G ? 0 : 1 + u / G; // the part of x on which the ReLU is on
  function level(u, G, p) {
    const on = u > 0 ? u : 0, r = reached(u, G);
    return p * (1 / 3 - G * r * r + G * (1 + G) * r * r * r / 3) + on * on - p * (1 - G) * on;
  }
  function incline(u, G, p) {
    const r = reached(u, G);
    return p * r * ((1 + G) * r - 2) + (u > 0 ? 2 * u : 0);
  }
  function biasSlope(b, G, a, p, q) {
    const mean = a < 1e-5 && a > -1e-5 ? incline(b + a / 2, G, p) : (level(b + a, G, p) - level(b, G, p)) / a;
    return (1 - q) * incline(b, G, p) + q * mean;
  }
  function bestBias(w, other, p, q) {
    const G = w * w, a = w * other, N = 14;
    const low = -G - Math.max(a, 0) - 1e-9, high = Math.max(0.5, 0.5 - Math.min(a, 0)) + 1e-9; // below low all is off
    let best = pairLoss(low, G, a, p, q), at = low, left = low + 1e-6 * (high - low);
    let before = biasSlope(left, G, a, p, q);
    for (let k = 1; k <= N; k++) {
      const right = low + (high - low) * k / N, after = biasSlope(right, G, a, p, q);
      if (before < 0 && after >= 0) { // regula falsi, Illinois
        let x0 = left, f0 = before, x1 = right, f1 = after, side = 0, x = right;
        for (let it = 0; it < 40 && x1 - x0 > 1e-10; it++) {
          x = f1 === f0 ? (x0 + x1) / 2 : (x0 * f1 - x1 * f0) / (f1 - f0);
          const f = biasSlope(x, G, a, p, q);
          if (Math.abs(f) < 1e-11) break;
          if (f > 0) {
            x1 = x; f1 = f;
            if (side === 1) f0 /= 2;
            side = 1;
          } else {
            x0 = x; f0 = f;
            if (side === -1) f1 /= 2;
            side = -1;
          }
        }
        const value = pairLoss(x, G, a, p, q);
        if (value < best) { best = value; at = x; }
      }
      left = right; before = after;
    }
    bestBias.b = at;
    return best;
  }
  let kept = {};
  function branchTable(p, points, extent) { // H(w₁, w₂) over the square; H(-w) = H(w) halves the work
    const key = `${p} ${points} ${extent}`;
    if (kept.key === key) return kept.H;
    const H = floats(points * points), at = k => extent * (2 * k / (points - 1) - 1), last = points * points - 1;
    for (let k = 0; k <= last >> 1; k++) {
      H[last - k] = H[k] = bestBias(at(k % points), at(Math.floor(k / points)), p, p);
    }
    kept = { key, H };
    return H;
  }
  // L [w₂][w₁] row after row, w from -extent to extent
  function landscape(p, r, points = 61, extent = 1.5) {
    const H = branchTable(p, points, extent), L = new Float64Array(H.length);
    for (let y = 0; y < points; y++) for (let x = 0; x < points; x++) {
      L[y * points + x] = H[y * points + x] + r * H[x * points + y];
    }
    return L;
  }

  const norm = v => Math.hypot(...v);
  // Phase of the last feature as in toymodels.metrics: 0 ignored, 1 dedicated, 2 superposition
  function phase(W, superposed = 0.25) {
    const n = W[0].length, column = j => W.map(row => row[j]), mine = column(n - 1), size = norm(mine);
    if (!(size > 0.5)) return 0;
    let overlap = 0;
    for (let j = 0; j < n - 1; j++) overlap += (column(j).reduce((sum, w, h) => sum + w * mine[h], 0) / size) ** 2;
    return overlap > superposed ? 2 : 1;
  }
  // Output i of one neuron that is never on: no slope moves it any more, so this is a plateau and no minimum.
  // 1, 2, or 0 if there is none.
  function dead(x) {
    for (let i = 0; i < 2; i++) {
      const reach = x[2 + i] + x[i] * x[i] + Math.max(0, x[0] * x[1]);
      if (reach < 1e-3 && Math.abs(x[i]) < 0.2) return i + 1;
    }
    return 0;
  }
  const SAME = 0.03, PUSHES = [[0.02, 0.01], [-0.02, 0.01], [0.02, -0.01], [-0.02, -0.01]];
  // Every local minimum up to the sign of W, lowest first: {W, b, loss, phase}
  function minima(p, r, points = 61, extent = 1.5) {
    const L = landscape(p, r, points, extent), found = [], importance = [1, r], densities = [p, p];
    const at = k => extent * (2 * k / (points - 1) - 1);
    const seeds = [[1, -1], [1, 0.12], [0.12, 1], [1, -0.02], [-0.02, 1]];
    for (let y = 1; y < points - 1; y++) for (let x = 0; x <= points >> 1; x++) {
      const k = y * points + x;
      const around = [-1, 0, 1].flatMap(dy => [-1, 0, 1].map(dx => x + dx < 0 ? Infinity : L[k + dy * points + dx]));
      if (L[k] <= Math.min(...around)) seeds.push([at(x), at(y)]);
    }
    for (const [w1, w2] of seeds) {
      bestBias(w1, w2, p, p); const b1 = bestBias.b;
      bestBias(w2, w1, p, p); const b2 = bestBias.b;
      const x = Float64Array.of(w1, w2, b1, b2);
      let value = polish(x, 1, 2, densities, importance, 60);
      if (dead(x) || nearest(x, found, SAME) >= 0) continue;
      for (let tries = 0; tries < 6; tries++) { // pushes: what moves on was a saddle, or the slow floor of a valley
        let lower = value, next = null;
        for (const [dx, dy] of PUSHES) {
          const y = Float64Array.of(x[0] + dx, x[1] + dy, x[2], x[3]), after = polish(y, 1, 2, densities, importance);
          if (after < lower - 1e-10) { lower = after; next = y; }
        }
        if (!next) break;
        value = lower; x.set(next);
      }
      if (Math.abs(x[0]) > Math.abs(x[1]) ? x[0] < 0 : x[1] < 0) { x[0] = -x[0]; x[1] = -x[1]; }
      if (dead(x) || nearest(x, found, SAME) >= 0) continue;
      found.push({ W: [[x[0], x[1]]], b: [x[2], x[3]], loss: value });
    }
    for (const f of found) f.phase = phase(f.W);
    return found.sort((f, g) => f.loss - g.loss);
  }
  // Which minimum a start ends in: index into found, by distance up to sign; -1 if it is none of them
  function nearest(x, found, within = 0.3) {
    let best = -1, far = within;
    found.forEach((f, k) => {
      for (const sign of [1, -1]) {
        const d = Math.hypot(x[0] - sign * f.W[0][0], x[1] - sign * f.W[0][1]);
        if (d < far) { far = d; best = k; }
      }
    });
    return best;
  }

  // ---- random numbers: mulberry32 and Box-Muller ----
  function normals(seed) {
    let s = seed >>> 0;
    const uniform = () => {
      s = s + 0x6D2B79F5 >>> 0;
      let t = Math.imul(s ^ s >>> 15, s | 1);
      t ^= t + Math.imul(t ^ t >>> 7, t | 61);
      return ((t ^ t >>> 14) >>> 0) / 4294967296;
    };
    return () => Math.sqrt(-2 * Math.log(uniform() + 2e-10)) * Math.cos(2 * Math.PI * uniform());
  }
  function start(m, n, seed) { // Xavier-normal weights, b = 0
    const x = new Float64Array(m * n + n), draw = normals(Math.imul(seed + 1, 0x9E3779B1));
    for (let k = 0; k < m * n; k++) x[k] = Math.sqrt(2 / (m + n)) * draw();
    return x;
  }

  // The bias of each output at its best for the weights in x: a scan, then golden sections. Changes x.
  function fitBiases(x, m, n, p) {
    const golden = (Math.sqrt(5) - 1) / 2, N = 24;
    for (let i = 0; i < n; i++) {
      const a = new Float64Array(n);
      let low = 0, high = 0.5;
      for (let j = 0; j < n; j++) {
        for (let h = 0; h < m; h++) a[j] += x[h * n + i] * x[h * n + j];
        low -= Math.max(a[j], 0);
        high -= Math.min(a[j], 0);
      }
      const at = b => closedLoss(i, a, b, p, false, true);
      const scan = Array.from({ length: N + 1 }, (_, k) => low + (high - low) * k / N), losses = scan.map(at);
      const best = scan[losses.indexOf(Math.min(...losses))];
      let from = best - (high - low) / N, to = best + (high - low) / N;
      while (to - from > 1e-7) {
        const left = to - golden * (to - from), right = from + golden * (to - from);
        if (at(left) < at(right)) to = right; else from = left;
      }
      x[m * n + i] = (from + to) / 2;
    }
  }
  // What the model makes of one input: h [hidden], u before the ReLU and out after it [feature].
  function answer(x, m, n, input) {
    const h = Array.from({ length: m }, (_, k) => input.reduce((sum, value, j) => sum + x[k * n + j] * value, 0));
    const u = input.map((_, i) => h.reduce((sum, value, k) => sum + x[k * n + i] * value, x[m * n + i]));
    return { h, u, out: u.map(value => Math.max(0, value)) };
  }

  return {
    loss, gradient, lossAt, train, trainer, polish, start, unpack, dense, fitBiases, answer,
    landscape, minima, phase, nearest, dead,
  };
})();
