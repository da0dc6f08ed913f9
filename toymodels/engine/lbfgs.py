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
from toymodels.engine.compiled import fast, inner, part
from toymodels.engine.kernel import Kernel

MEMORY = 10  # pairs of steps and gradient changes kept
LONGEST_STEP = 0.5  # of any single weight: keeps a start in the basin that it begins in
SUFFICIENT = 1e-4  # Armijo constant
SHORTEST_STEP = 1e-9  # of the largest weight's step, at which a line search gives up
# The frame of the Fourier series (range and number of terms of each output) stays as it is for REFRESH iterations, with
# a MARGIN for ranges that grow: the truncated loss jumps where the frame changes, and line searches fail there.
REFRESH, MARGIN = 20, 0.05
WINDOW = 1 << 20  # bytes of the instances that are worked on together: they stay in the cache
CROWDED = 16  # slots are cleared when more than one in so many holds an instance that is done
ROUND = 50_000.0  # nanoseconds of work for a window, below which what Python does between its steps would count

# what an instance waits for: the loss at its start, the loss in a fresh frame, that of a step, the last one; or nothing
START, AFRESH, STEP, LAST, DONE = range(5)
ACCEPT, PROPOSE = 5, 6  # steps on the way to one of these


class Window(NamedTuple):
    """Instances at work, by slot. Few arrays: to take one over from Python is code that has to be compiled."""

    rows: np.ndarray  # [slot, row, d]: where it is, the gradient, the direction of the line search; steps and changes
    trial: np.ndarray  # [slot, d]: where the loss is asked for
    trial_gradient: np.ndarray
    trial_loss: np.ndarray  # [slot]
    value: np.ndarray  # [slot, number]: loss, slope along the step, largest entry of the step, its scale; of the pairs
    state: np.ndarray  # [slot, 5]: what it waits for, pairs stored, quiet steps, iterations used, has a search failed
    some: np.ndarray  # [slot]: number of the instance

    @staticmethod
    def of(slots: int, d: int) -> "Window":
        trials = np.empty((slots, d)), np.empty((slots, d)), np.empty(slots)
        numbers = np.zeros((slots, 4 + 3 * MEMORY)), np.zeros((slots, 5), np.int64), np.zeros(slots, np.int64)
        return Window(np.empty((slots, 3 + 2 * MEMORY, d)), *trials, *numbers)


HERE, GRADIENT, ALONG, STEPS = range(4)  # rows; the last steps, and what the gradient did in them
CHANGES = STEPS + MEMORY
LOSS, SLOPE, LARGEST, SCALE, PRODUCTS = range(5)  # step · change
SQUARES, WEIGHTS = PRODUCTS + MEMORY, PRODUCTS + 2 * MEMORY  # change · change
WAITS, STORED, QUIET, USED, FAILED = range(5)


# Below, functions take the rows of one instance and not the window: handing all of its arrays on costs more than a
# step of a small model.
@inner
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@inner
def _add(out, factor, row):
    for i in range(out.size):
        out[i] += factor * row[i]


@part
def _direction(rows, value, stored):
    """Direction -H gradient by the two-loop recursion over the last pairs (a ring buffer)."""
    step, gradient, pairs = rows[ALONG], rows[GRADIENT], stored if stored < MEMORY else MEMORY
    for i in range(step.size):
        step[i] = -gradient[i]
    for back in range(pairs):
        pair = (stored - 1 - back) % MEMORY
        weight = _dot(rows[STEPS + pair], step) / value[PRODUCTS + pair]
        value[WEIGHTS + pair] = weight
        _add(step, -weight, rows[CHANGES + pair])
    if pairs:
        pair = (stored - 1) % MEMORY
        size = value[PRODUCTS + pair] / value[SQUARES + pair]
        for i in range(step.size):
            step[i] *= size
    for back in range(pairs - 1, -1, -1):
        pair = (stored - 1 - back) % MEMORY
        share = _dot(rows[CHANGES + pair], step) / value[PRODUCTS + pair]
        _add(step, value[WEIGHTS + pair] - share, rows[STEPS + pair])


@part
def _shorter(scale, slope, rise):
    """The next step of the line search after one of length scale that changed the loss by rise."""
    if not rise < np.inf:
        return 0.1 * scale  # not a number, or infinite
    curved = -0.5 * slope * scale * scale / (rise - slope * scale)  # minimum of the parabola
    if curved > 0.5 * scale:
        return 0.5 * scale
    return curved if curved > 0.1 * scale else 0.1 * scale


@part
def _aim(rows, value, state, tolerance):
    """Length of the first step along a new direction, and the next thing to do: a line search, or none."""
    step, gradient = rows[ALONG], rows[GRADIENT]
    slope = _dot(step, gradient)
    if slope >= 0.0:  # not a descent direction: forget the past
        state[STORED] = 0
        for i in range(step.size):
            step[i] = -gradient[i]
        slope = -_dot(gradient, gradient)
    largest = 0.0
    for i in range(step.size):
        if abs(step[i]) > largest:
            largest = abs(step[i])
    if not -slope > 1e-3 * tolerance * value[LOSS] or largest == 0.0:
        return LAST
    state[USED] += 1
    scale, longest = 1.0, (0.1 if state[STORED] == 0 else LONGEST_STEP) / largest
    if longest < scale:
        scale = longest
    value[SLOPE], value[LARGEST], value[SCALE] = slope, largest, scale
    return STEP


@part
def _accept(rows, value, state, trial, trial_gradient):
    """Moves to the new point, and keeps step and change of gradient where the curvature is positive."""
    pair = state[STORED] % MEMORY
    theta, gradient, steps, changes = rows[HERE], rows[GRADIENT], rows[STEPS + pair], rows[CHANGES + pair]
    length = product = square = 0.0
    for i in range(theta.size):
        step, change = trial[i] - theta[i], trial_gradient[i] - gradient[i]
        steps[i], changes[i] = step, change
        theta[i], gradient[i] = trial[i], trial_gradient[i]
        length += step * step
        product += step * change
        square += change * change
    value[PRODUCTS + pair], value[SQUARES + pair] = product, square
    if product > 1e-12 * math.sqrt(length * square):
        state[STORED] += 1
        if state[STORED] == 2 * MEMORY:
            state[STORED] = MEMORY  # the ring repeats


@part
def _judged(value, state, new_loss, tolerance):
    """What the loss of a step means: take it (ACCEPT), try a shorter one (STEP), begin afresh, or end (LAST)."""
    loss, slope, scale = value[LOSS], value[SLOPE], value[SCALE]
    if not new_loss <= loss + SUFFICIENT * scale * slope and scale * value[LARGEST] >= SHORTEST_STEP:
        value[SCALE] = _shorter(scale, slope, new_loss - loss)
        return STEP
    if new_loss < loss:
        state[FAILED] = 0
        state[QUIET] = state[QUIET] + 1 if loss - new_loss <= tolerance * loss else 0
        return ACCEPT
    if state[FAILED]:
        return LAST
    state[FAILED], state[STORED] = 1, 0  # once more from here, without the past
    return AFRESH


@fast
def _advance(all_rows, trials, trial_gradients, trial_losses, values, states, active, iterations, tolerance, frames):
    """Takes in the losses at the trial points of the first `active` slots, and proposes the next ones.

    Returns the number of instances that are done, and of those that ask for a fresh frame.
    """
    done = afresh = 0
    for k in range(active):
        rows, value, state = all_rows[k], values[k], states[k]
        trial, trial_gradient, new_loss = trials[k], trial_gradients[k], trial_losses[k]
        theta, gradient, step = rows[HERE], rows[GRADIENT], rows[ALONG]
        if state[WAITS] == DONE:
            done += 1
            continue
        if state[WAITS] == STEP:
            then = _judged(value, state, new_loss, tolerance)
            if then == ACCEPT:
                _accept(rows, value, state, trial, trial_gradient)
                value[LOSS] = new_loss
                ends = state[USED] >= iterations or state[QUIET] >= 5
                then = AFRESH if frames and state[USED] % REFRESH == REFRESH - 1 and not ends else PROPOSE
        elif state[WAITS] == LAST:
            value[LOSS], then = new_loss, DONE
        else:
            value[LOSS], then = new_loss, PROPOSE
            for i in range(theta.size):
                gradient[i] = trial_gradient[i]
        if then == PROPOSE and (state[USED] >= iterations or state[QUIET] >= 5):
            then = LAST
        elif then == PROPOSE:
            _direction(rows, value, state[STORED])
            then = _aim(rows, value, state, tolerance)
        if then == LAST and not (frames and state[USED] > 0):
            then = DONE  # its loss is known
        scale = value[SCALE] if then == STEP else 0.0
        for i in range(theta.size):
            trial[i] = theta[i] + scale * step[i] if then == STEP else theta[i]
        state[WAITS] = then
        done += then == DONE
        afresh += then in (AFRESH, LAST)
    return done, afresh


def _take_out(w: Window, active: int, theta: np.ndarray, loss: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Writes the results of those that are done; their slots."""
    slots = np.flatnonzero(w.state[:active, WAITS] == DONE)
    numbers = w.some[slots]
    theta[numbers], loss[numbers], used[numbers] = w.rows[slots, HERE], w.value[slots, LOSS], w.state[slots, USED]
    return slots


def _close(w: Window, active: int, empty: np.ndarray) -> int:
    """The last instances move into the empty slots; the number of slots in use."""
    left = active - len(empty)
    moving = left + np.flatnonzero(w.state[left:active, WAITS] != DONE)
    for values in w:
        values[empty[: len(moving)]] = values[moving]
    return left


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
    loss, used = np.empty(count), np.empty(count, np.int64)
    given, lock = 0, threading.Lock()  # how many instances a thread has taken
    fitting = max(1, WINDOW // (8 * d * (2 * MEMORY + 5)))
    worth = math.ceil(ROUND / kernel.cost) if kernel.cost else count
    many = min(threads.number(count, 20 * kernel.cost), math.ceil(count / worth))
    slots = min(fitting, max(worth, math.ceil(count / (8 * many))), math.ceil(count / many))

    def load(w: Window, slots: np.ndarray) -> np.ndarray:
        """The next instances take these slots; those that stay empty."""
        nonlocal given
        with lock:
            numbers = np.arange(given, min(given + len(slots), count))
            given += len(numbers)
        taken = slots[: len(numbers)]
        w.some[taken], w.state[taken] = numbers, 0
        w.rows[taken, HERE] = w.trial[taken] = theta[numbers]
        kernel.refresh(numbers)
        return slots[len(numbers) :]

    def work() -> None:
        w = Window.of(slots, d)
        active = slots - len(load(w, np.arange(slots)))
        while active:
            kernel.evaluate(w.trial[:active], w.trial_gradient[:active], w.trial_loss[:active], w.some[:active])
            done, afresh = _advance(*w[:6], active, iterations, tolerance, kernel.has_frames)
            if afresh:
                asks = w.state[:active, WAITS]
                kernel.refresh(w.some[:active][(asks == AFRESH) | (asks == LAST)])
            if done > active // CROWDED:
                active = _close(w, active, load(w, _take_out(w, active, theta, loss, used)))
                tick(done)

    threads.run(work, *[()] * many)
    return loss, used
