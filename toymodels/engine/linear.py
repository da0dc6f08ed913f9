"""The exact loss of a linear model with its gradient, from the first two moments of x; one instance at a time."""

from toymodels.engine.compiled import inner, part


@inner
def linear_loss_and_gradient(W, b, p, importance, mean_on, square_on, d_W, d_b, gram, d_gram):
    """loss_and_gradient of a linear model. mean_on, square_on: mean and mean square of a feature that is on."""
    n, loss = b.size, 0.0
    gram_of(W, gram)
    for i in range(n):
        gram[i, i] -= 1.0
        mean = b[i]
        for j in range(n):
            mean += gram[i, j] * (p[j] * mean_on)
        loss += importance[i] * mean * mean
        d_b[i] = 2.0 * importance[i] * mean
        for j in range(n):
            variance = p[j] * square_on - (p[j] * mean_on) * (p[j] * mean_on)
            loss += importance[i] * gram[i, j] * gram[i, j] * variance
            d_gram[i, j] = importance[i] * (2.0 * mean * (p[j] * mean_on) + 2.0 * gram[i, j] * variance)
    gram_to_weights(W, d_gram, d_W)
    return loss


@part
def gram_of(W, gram):
    """gram = WᵀW."""
    hidden, n = W.shape
    for i in range(n):
        for j in range(n):
            total = 0.0
            for h in range(hidden):
                total += W[h, i] * W[h, j]
            gram[i, j] = total


@part
def gram_to_weights(W, d_gram, d_W):
    """d_W from the gradient by G = WᵀW."""
    hidden, n = W.shape
    for h in range(hidden):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += W[h, j] * (d_gram[i, j] + d_gram[j, i])
            d_W[h, i] = total
