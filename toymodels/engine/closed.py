"""The exact loss of a ReLU model of few features and its gradient (float64), without a series, one instance at a time.

Output i sees u + Σ_j a_j x_j, u = b_i, a_j = G_ij, x_j on with chance q_j. With E_k(u) = E[(u + Σ_j a_j x_j)₊ᵏ/k!],
    E (x_i - x̂_i)² = q_i/3 - 2 E[x_i x̂_i] + E[x̂_i²] = q_i/3 - 2 ∂E₂/∂a_i + 2 E₂.
Feature after feature is integrated out, as a difference between two places that its overlap a lies apart:
    E_k(u) = (1-q) E'_k(u) + q/a (E'_{k+1}(u + a) - E'_{k+1}(u)),  E' without that feature,
in order of falling |a|, and only while the kink of the ReLU is within reach of the features that are left: below it all
is 0, above it a polynomial whose coefficients are their moments. So what is divided by a is of the size of a power of
a, and small or vanishing overlaps cost no accuracy.
Let T_k be E_k where feature i is integrated out already, and 2 E_k - 2 ∂E_{k-1}/∂a_i where it is not: the loss is
q_i/3 + T₂, and integrating any feature out is T_k(u) = α T'_k(u) + β T'_k(u + a) + γ (T'_{k+1}(u + a) - T'_{k+1}(u)).
The places are nodes of a tree. Values are found from the leaves to the root, the gradient on the way back.
"""

import numpy as np

from toymodels.engine.compiled import inner, part
from toymodels.engine.linear import gram_of, gram_to_weights

MOST = 6  # features: the cost doubles with each
NOTHING = 1e-60  # a kink farther out than this is out of reach: nothing is divided by what underflows
OFF, ON = -2, -1  # nodes at which the ReLU is off, or on, whatever the rest does; of others the number of a child
_TOP = MOST + 3  # powers
_NODES = 2 ** (MOST + 1)
SPACE = np.dtype(
    [
        ("order", np.int64, MOST),  # features that take part, by falling |a|: one is integrated out on each level
        ("low", np.float64, MOST + 1),  # least Σ_j a_j x_j of the features from a level on
        ("high", np.float64, MOST + 1),  # and greatest
        ("factor", np.float64, (MOST, _TOP)),  # of the moments below a level in those from it on
        ("factor_slope", np.float64, (MOST, _TOP)),  # derivative by a
        ("moment", np.float64, (MOST + 1, _TOP)),  # T_k(0)/k! of the features from a level on, where the ReLU is on
        ("by_moment", np.float64, (MOST + 1, _TOP)),  # derivative of the loss
        ("power", np.float64, _TOP),  # uᵏ/k!
        ("level", np.int64, _NODES),
        ("child", np.int64, _NODES),  # at u; the one at u + a comes next
        ("place", np.float64, _NODES),
        ("value", np.float64, (_NODES, _TOP)),  # T_k
        ("by_value", np.float64, (_NODES, _TOP)),  # derivative of the loss
    ]
)


@part
def _sort(a, p, f):
    """The features that are ever on, by falling |a|, and their reach. Returns their number."""
    count = 0
    for j in range(a.size):
        if p[j] > 0.0:
            place = count
            while place > 0 and abs(a[f.order[place - 1]]) < abs(a[j]):
                f.order[place] = f.order[place - 1]
                place -= 1
            f.order[place] = j
            count += 1
    f.low[count] = f.high[count] = 0.0
    for r in range(count - 1, -1, -1):
        reach = a[f.order[r]]
        f.low[r] = f.low[r + 1] + (0.0 if reach > 0.0 else reach)  # what is no number stays so
        f.high[r] = f.high[r + 1] + (0.0 if reach < 0.0 else reach)
    return count


@part
def _moments(a, p, own, count, f):
    """Moments of the features from each level on, those from level r on up to power r + 2."""
    for k in range(count + 3):
        f.moment[count, k] = 0.0
    f.moment[count, 0] = 1.0
    for r in range(count - 1, -1, -1):
        j = f.order[r]
        h, slope = p[j], 0.0  # p aᵏ/(k+1)! and its derivative by a
        f.factor[r, 0], f.factor_slope[r, 0] = 2.0 if j == own else 1.0, 0.0
        for k in range(1, r + 3):
            before, share = slope, k / (k + 1.0)
            h, slope = h * a[j] / (k + 1.0), h * share
            f.factor[r, k] = 2.0 * (h - slope) if j == own else h
            f.factor_slope[r, k] = 2.0 * (slope - before * share) if j == own else slope
        for k in range(r + 3):
            total = 0.0
            for m in range(k + 1):
                total += f.factor[r, m] * f.moment[r + 1, k - m]
            f.moment[r, k] = total
            f.by_moment[r, k] = f.by_moment[r + 1, k] = 0.0


@part
def _grow(u, a, f):
    """The tree of places; returns the number of nodes."""
    nodes, node = 1, 0
    f.place[0], f.level[0] = u, 0
    while node < nodes:
        r, there = f.level[node], f.place[node]
        if not there + f.low[r] < 0.0:  # no number, too; on the kink of a feature without direction: the way down
            f.child[node] = ON
        elif there + f.high[r] <= NOTHING:
            f.child[node] = OFF
        else:
            f.child[node] = nodes
            f.level[nodes] = f.level[nodes + 1] = r + 1
            f.place[nodes], f.place[nodes + 1] = there, there + a[f.order[r]]
            nodes += 2
        node += 1
    return nodes


@inner
def _powers(u, most, f):
    f.power[0] = 1.0
    for k in range(1, most + 1):
        f.power[k] = f.power[k - 1] * u / k


@inner
def _split(a, p, own):
    """α, β, γ and the derivatives of β and γ by a."""
    if own:
        beta, gamma = -2.0 * p / a, 2.0 * p * (1.0 + a) / (a * a)
        return 2.0 * (1.0 - p), beta, gamma, 2.0 * p / (a * a), -2.0 * p * (2.0 + a) / (a * a * a)
    return 1.0 - p, 0.0, p / a, 0.0, -p / (a * a)


@part
def _find_values(nodes, a, p, own, f):
    """T_k, k = 1 ... level + 2, of every node."""
    for node in range(nodes - 1, -1, -1):
        r, child = f.level[node], f.child[node]
        if child == OFF:
            for k in range(1, r + 3):
                f.value[node, k] = 0.0
        elif child == ON:
            _powers(f.place[node], r + 2, f)
            for k in range(1, r + 3):
                total = 0.0
                for m in range(k + 1):
                    total += f.power[k - m] * f.moment[r, m]
                f.value[node, k] = total
        else:
            j = f.order[r]
            alpha, beta, gamma, _, _ = _split(a[j], p[j], j == own)
            for k in range(1, r + 3):
                rise = f.value[child + 1, k + 1] - f.value[child, k + 1]
                f.value[node, k] = alpha * f.value[child, k] + beta * f.value[child + 1, k] + gamma * rise


@part
def _find_slopes(nodes, a, p, own, count, f, d_a):
    """Adds the derivative of T₂ at the root by each overlap to d_a."""
    f.by_value[0, 2] = 1.0
    for node in range(nodes):
        r, child = f.level[node], f.child[node]
        if child == ON:
            _powers(f.place[node], r + 2, f)
            for k in range(2, r + 3):
                for m in range(k + 1):
                    f.by_moment[r, m] += f.by_value[node, k] * f.power[k - m]
        elif child != OFF:
            j = f.order[r]
            alpha, beta, gamma, d_beta, d_gamma = _split(a[j], p[j], j == own)
            before = total = 0.0
            for k in range(2, r + 3):
                by, up = f.by_value[node, k], f.value[child + 1, k]
                rise = f.value[child + 1, k + 1] - f.value[child, k + 1]
                total += by * (d_beta * up + d_gamma * rise + beta * f.value[child + 1, k - 1] + gamma * up)
                f.by_value[child, k] = alpha * by - gamma * before
                f.by_value[child + 1, k] = beta * by + gamma * before
                before = by
            f.by_value[child, r + 3], f.by_value[child + 1, r + 3] = -gamma * before, gamma * before
            d_a[j] += total
    for r in range(count):
        total = 0.0
        for k in range(r + 3):
            for m in range(k + 1):
                total += f.by_moment[r, k] * f.factor_slope[r, m] * f.moment[r + 1, k - m]
                f.by_moment[r + 1, k - m] += f.by_moment[r, k] * f.factor[r, m]
        d_a[f.order[r]] += total


@inner
def loss_and_gradient(W, b, p, importance, d_W, d_b, gram, d_gram, f):
    """Population loss of one ReLU model of at most MOST features; writes its gradient into d_W and d_b.

    W [hidden, feature]; b, p, importance [feature]; gram, d_gram [feature, feature] and f of SPACE are working space.
    """
    n, loss = b.size, 0.0
    gram_of(W, gram)
    d_gram[:] = 0.0
    for i in range(n):
        a, weight = gram[i], importance[i] if p[i] > 0.0 else 2.0 * importance[i]  # never on: the loss is 2 E₂
        count = _sort(a, p, f)
        _moments(a, p, i, count, f)
        nodes = _grow(b[i], a, f)
        _find_values(nodes, a, p, i, f)
        _find_slopes(nodes, a, p, i, count, f, d_gram[i])
        loss += importance[i] * p[i] / 3.0 + weight * f.value[0, 2]
        d_b[i] = weight * f.value[0, 1]
        for j in range(n):
            d_gram[i, j] *= weight
    gram_to_weights(W, d_gram, d_W)
    return loss
