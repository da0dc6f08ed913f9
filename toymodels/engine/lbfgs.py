"""L-BFGS for every loss, each instance to convergence on its own.

`training.train` is the loop to study training with; this is for when only the minimum near a start matters. It knows
nothing of losses: it proposes a point for each instance of a window, is told loss and gradient there, and proposes the
next. An instance that has converged makes room for one that waits. So what an instance does depends on its start and
its loss alone, never on its neighbours or the number of threads.
L-BFGS: Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 7.5, with a backtracking line search.
"""

import math
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from toymodels.engine import threads
from toymodels.engine.compiled import fast
from toymodels.engine.kernel import Kernel

MEMORY = 10  # pairs of steps and gradient changes kept
LONGEST_STEP = 0.5  # of any single weight: keeps a start in the basin that it begins in
SUFFICIENT = 1e-4  # Armijo constant
SHORTEST_STEP = 1e-9  # of the largest weight's step, at which a line search gives up
# The frame of the Fourier series (range and number of terms of each output) stays as it is for REFRESH iterations, with
# a MARGIN for ranges that grow: the truncated loss jumps where the frame changes, and line searches fail there.
REFRESH, MARGIN = 20, 0.05
WINDOW = 1 << 20  # bytes of the instances that are worked on together: they stay in the cache
ROUND = 50_000.0  # nanoseconds of work for a window, below which what Python does between its steps would count

# what an instance waits for: the loss at its start, the loss in a fresh frame, that of a step, the last one; or nothing
START, AFRESH, STEP, LAST, DONE = range(5)


class Window(NamedTuple):
    """Instances at work, by slot."""

    theta: np.ndarray  # [slot, d]: where it is
    gradient: np.ndarray
    step: np.ndarray  # the direction of the line search
    trial: np.ndarray  # [slot, d]: where the loss is asked for
    trial_gradient: np.ndarray
    trial_loss: np.ndarray  # [slot]
    steps: np.ndarray  # [slot, MEMORY, d]: the last steps
    changes: np.ndarray  # and what the gradient did in them
    products: np.ndarray  # [slot, MEMORY]: step · change
    squares: np.ndarray  # change · change
    weight: np.ndarray
    value: np.ndarray  # [slot, 4]: loss, slope along the step, largest entry of the step, its scale
    state: np.ndarray  # [slot, 5]: what it waits for, pairs stored, quiet steps, iterations used, has a search failed
    some: np.ndarray  # [slot]: number of the instance

    @staticmethod
    def of(slots: int, d: int) -> "Window":
        rows = [np.empty((slots, d)) for _ in range(5)]
        pairs = [np.empty((slots, MEMORY, d)) for _ in range(2)] + [np.empty((slots, MEMORY)) for _ in range(3)]
        numbers = np.zeros((slots, 4)), np.zeros((slots, 5), np.int64), np.zeros(slots, np.int64)
        return Window(*rows, np.empty(slots), *pairs, *numbers)


LOSS, SLOPE, LARGEST, SCALE = range(4)
WAITS, STORED, QUIET, USED, FAILED = range(5)


@fast
def _dot(a, b, k):
    total = 0.0
    for i in range(a.shape[1]):
        total += a[k, i] * b[k, i]
    return total


@fast
def _dot_pair(rows, k, pair, a):
    total = 0.0
    for i in range(a.shape[1]):
        total += rows[k, pair, i] * a[k, i]
    return total


@fast
def _add_pair(out, factor, rows, k, pair):
    for i in range(out.shape[1]):
        out[k, i] += factor * rows[k, pair, i]


@fast
def _direction(w, k):
    """step = -H gradient by the two-loop recursion over the last pairs (a ring buffer)."""
    stored = w.state[k, STORED]
    pairs = min(stored, MEMORY)
    for i in range(w.step.shape[1]):
        w.step[k, i] = -w.gradient[k, i]
    for back in range(pairs):
        pair = (stored - 1 - back) % MEMORY
        w.weight[k, pair] = _dot_pair(w.steps, k, pair, w.step) / w.products[k, pair]
        _add_pair(w.step, -w.weight[k, pair], w.changes, k, pair)
    if pairs:
        pair = (stored - 1) % MEMORY
        size = w.products[k, pair] / w.squares[k, pair]
        for i in range(w.step.shape[1]):
            w.step[k, i] *= size
    for back in range(pairs - 1, -1, -1):
        pair = (stored - 1 - back) % MEMORY
        factor = w.weight[k, pair] - _dot_pair(w.changes, k, pair, w.step) / w.products[k, pair]
        _add_pair(w.step, factor, w.steps, k, pair)


@fast
def _shorter(scale, slope, rise):
    """The next step of the line search after one of length scale that changed the loss by rise."""
    if not rise < np.inf:
        return 0.1 * scale  # not a number, or infinite
    curved = -0.5 * slope * scale * scale / (rise - slope * scale)  # minimum of the parabola
    return min(max(curved, 0.1 * scale), 0.5 * scale)


@fast
def _try(w, k):
    """Asks for the loss a step of the present scale away."""
    for i in range(w.theta.shape[1]):
        w.trial[k, i] = w.theta[k, i] + w.value[k, SCALE] * w.step[k, i]
    w.state[k, WAITS] = STEP


@fast
def _ask_again(w, k, why):
    """Asks for the loss where the instance is, in a fresh frame."""
    for i in range(w.theta.shape[1]):
        w.trial[k, i] = w.theta[k, i]
    w.state[k, WAITS] = why


@fast
def _finish(w, k, frames):
    if frames and w.state[k, USED] > 0:
        _ask_again(w, k, LAST)
    else:
        w.state[k, WAITS] = DONE


@fast
def _propose(w, k, iterations, tolerance, frames):
    """Begins a line search along a new direction, or ends."""
    if w.state[k, USED] >= iterations or w.state[k, QUIET] >= 5:
        _finish(w, k, frames)
        return
    _direction(w, k)
    slope = _dot(w.step, w.gradient, k)
    if slope >= 0.0:  # not a descent direction: forget the past
        w.state[k, STORED] = 0
        for i in range(w.step.shape[1]):
            w.step[k, i] = -w.gradient[k, i]
        slope = -_dot(w.gradient, w.gradient, k)
    largest = 0.0
    for i in range(w.step.shape[1]):
        largest = max(largest, abs(w.step[k, i]))
    if not -slope > 1e-3 * tolerance * w.value[k, LOSS] or largest == 0.0:
        _finish(w, k, frames)
        return
    w.state[k, USED] += 1
    scale = min(1.0, LONGEST_STEP / largest)
    if w.state[k, STORED] == 0:
        scale = min(scale, 0.1 / largest)
    w.value[k, SLOPE], w.value[k, LARGEST], w.value[k, SCALE] = slope, largest, scale
    _try(w, k)


@fast
def _accept(w, k, tolerance):
    """Moves to the new point, and keeps step and change of gradient where the curvature is positive."""
    pair = w.state[k, STORED] % MEMORY
    length = product = square = 0.0
    for i in range(w.theta.shape[1]):
        step, change = w.trial[k, i] - w.theta[k, i], w.trial_gradient[k, i] - w.gradient[k, i]
        w.steps[k, pair, i], w.changes[k, pair, i] = step, change
        w.theta[k, i], w.gradient[k, i] = w.trial[k, i], w.trial_gradient[k, i]
        length += step * step
        product += step * change
        square += change * change
    w.products[k, pair], w.squares[k, pair] = product, square
    if product > 1e-12 * math.sqrt(length * square):
        w.state[k, STORED] += 1
        if w.state[k, STORED] == 2 * MEMORY:
            w.state[k, STORED] = MEMORY  # the ring repeats
    loss, new_loss = w.value[k, LOSS], w.trial_loss[k]
    w.state[k, QUIET] = w.state[k, QUIET] + 1 if loss - new_loss <= tolerance * loss else 0
    w.value[k, LOSS] = new_loss


@fast
def _advance_one(w, k, iterations, tolerance, frames):
    waits, loss, new_loss = w.state[k, WAITS], w.value[k, LOSS], w.trial_loss[k]
    if waits == STEP:
        scale, slope = w.value[k, SCALE], w.value[k, SLOPE]
        if not new_loss <= loss + SUFFICIENT * scale * slope and scale * w.value[k, LARGEST] >= SHORTEST_STEP:
            w.value[k, SCALE] = _shorter(scale, slope, new_loss - loss)
            _try(w, k)
        elif new_loss < loss:
            w.state[k, FAILED] = 0
            _accept(w, k, tolerance)
            used, quiet = w.state[k, USED], w.state[k, QUIET]
            if frames and used % REFRESH == REFRESH - 1 and used < iterations and quiet < 5:
                _ask_again(w, k, AFRESH)
            else:
                _propose(w, k, iterations, tolerance, frames)
        elif w.state[k, FAILED]:
            _finish(w, k, frames)
        else:  # once more from here, without the past
            w.state[k, FAILED], w.state[k, STORED] = 1, 0
            _ask_again(w, k, AFRESH)
        return
    w.value[k, LOSS] = new_loss
    if waits == LAST:
        w.state[k, WAITS] = DONE
        return
    for i in range(w.theta.shape[1]):
        w.gradient[k, i] = w.trial_gradient[k, i]
    _propose(w, k, iterations, tolerance, frames)


@fast
def _advance(w, active, iterations, tolerance, frames):
    """Takes in the losses at the trial points of the first `active` slots, and proposes the next ones.

    Returns the number of instances that are done, and of those that ask for a fresh frame.
    """
    done = afresh = 0
    for k in range(active):
        _advance_one(w, k, iterations, tolerance, frames)
        done += w.state[k, WAITS] == DONE
        afresh += w.state[k, WAITS] in (AFRESH, LAST)
    return done, afresh


@fast
def _load(w, k, theta, number):
    for i in range(theta.shape[1]):
        w.theta[k, i] = w.trial[k, i] = theta[number, i]
    for i in range(5):
        w.state[k, i] = 0
    w.some[k] = number


@fast
def _move(w, source, to):
    """The instance in one slot goes to another."""
    for i in range(w.theta.shape[1]):
        w.theta[to, i], w.gradient[to, i], w.step[to, i] = w.theta[source, i], w.gradient[source, i], w.step[source, i]
        w.trial[to, i] = w.trial[source, i]
        for pair in range(MEMORY):
            w.steps[to, pair, i], w.changes[to, pair, i] = w.steps[source, pair, i], w.changes[source, pair, i]
    for pair in range(MEMORY):
        w.products[to, pair], w.squares[to, pair] = w.products[source, pair], w.squares[source, pair]
    for i in range(4):
        w.value[to, i] = w.value[source, i]
    for i in range(5):
        w.state[to, i] = w.state[source, i]
    w.trial_loss[to] = w.trial_loss[source]
    w.some[to] = w.some[source]


@fast
def _replace(w, active, theta, loss, used, waiting, until):
    """Writes the results of those that are done; numbers waiting ... until - 1 take their slots, then the last ones.

    Returns the number of slots in use.
    """
    k = 0
    while k < active:
        if w.state[k, WAITS] == DONE:
            number = w.some[k]
            for i in range(theta.shape[1]):
                theta[number, i] = w.theta[k, i]
            loss[number], used[number] = w.value[k, LOSS], w.state[k, USED]
            if waiting < until:
                _load(w, k, theta, waiting)
                waiting += 1
            else:
                active -= 1
                if k < active:
                    _move(w, active, k)
                continue  # what has come here may be done as well
        k += 1
    return active


@fast
def _fill(w, theta, first, until):
    for k in range(until - first):
        _load(w, k, theta, first + k)


class Queue:
    """Numbers of the instances that wait, for several threads."""

    def __init__(self, count: int):
        self.count, self.next, self.lock = count, 0, threading.Lock()

    def take(self, wanted: int) -> tuple[int, int]:
        """The next so many numbers, or what is left of them: first and end."""
        with self.lock:
            first, self.next = self.next, min(self.next + wanted, self.count)
            return first, self.next


def minimise(
    kernel: Kernel,
    theta: np.ndarray,
    iterations: int,
    tolerance: float,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the kernel's loss from theta [instance, d] (float64), in place; loss and iterations used [instance].

    An instance stops when five steps in a row lower its loss by less than the fraction `tolerance`, or after
    `iterations`. tick: is told whenever some instances are done how many.
    """
    kernel = kernel.with_frames(MARGIN)
    count, d = theta.shape
    loss, used, queue = np.empty(count), np.empty(count, np.int64), Queue(count)
    fitting = max(1, WINDOW // (8 * d * (2 * MEMORY + 5)))
    worth = math.ceil(ROUND / kernel.cost)
    many = min(threads.number(count, 20 * kernel.cost), math.ceil(count / worth))
    slots = min(fitting, max(worth, math.ceil(count / (8 * many))), math.ceil(count / many))

    def work() -> None:
        w = Window.of(slots, d)
        first, until = queue.take(slots)
        _fill(w, theta, first, until)
        kernel.refresh(np.arange(first, until))
        active = until - first
        while active:
            kernel.evaluate(w.trial[:active], w.trial_gradient[:active], w.trial_loss[:active], w.some[:active])
            done, afresh = _advance(w, active, iterations, tolerance, kernel.has_frames)
            if afresh:
                asks = w.state[:active, WAITS]
                kernel.refresh(w.some[:active][(asks == AFRESH) | (asks == LAST)])
            if done:
                first, until = queue.take(done)
                active = _replace(w, active, theta, loss, used, first, until)
                kernel.refresh(np.arange(first, until))
                tick(done)

    threads.run(work, *[()] * many)
    return loss, used
