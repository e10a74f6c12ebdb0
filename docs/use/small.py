"""A neural network by hand, in NumPy alone: 2 → 3 tanh → 1 identity.

It starts from the values below. Trained on the same rows with the same seed and batch
size, it goes through the same numbers as Backlit, whose export_numpy wrote it.

    python small.py            train on made-up rows
    python small.py data.npz   train on the arrays X, (n, 2), and y of a file

The symbols, for a batch of n rows; layer l takes a_l and gives a_(l+1):

    W, b     weights (inputs, units) and biases (units,) of a layer
    z        pre-activation, z = a_in W + b            (n, units)
    a        activation, a = f(z)                      (n, units)
    delta    dL/dz = dL/da ⊙ f′(z)                     (n, units)
    dW, db   gradients: dL/dW = a_inᵀ delta / n, dL/db = Σ_rows delta / n
    da       dL/da_in = delta Wᵀ, handed to the layer below

    loss     L = ½ Σ_k (a_k − y_k)², the mean over the rows
    update   θ ← θ − η g
"""

import math
import sys

import numpy as np

# ── settings ──────────────────────────────────────────────────────────────────────────

FLOAT = np.float32    # precision of all that follows
SEED = 0              # key of the order of the rows
LEARNING_RATE = 0.01  # η


# ── parameters ────────────────────────────────────────────────────────────────────────

# W: a row for each input of the layer, a column for each unit. b: a number for each unit.
W0 = np.array([  # (2, 3)
    [0.68652433, 0.55063957, 0.3760642],
    [-0.036973506, 0.4495602, -0.49717188],
], dtype=FLOAT)
b0 = np.array([0.0, 0.0, 0.0], dtype=FLOAT)  # (3,)
W1 = np.array([  # (3, 1)
    [-0.7937527],
    [-0.76346105],
    [0.8726602],
], dtype=FLOAT)
b1 = np.array([0.0], dtype=FLOAT)  # (1,)


# ── forward: from the rows to the outputs ─────────────────────────────────────────────

def forward_pass(X):
    """Every z and a for the rows of X, from the first layer to the last."""
    a0 = np.asarray(X, dtype=FLOAT)  # (n, 2)

    # layer 0: Dense, 2 → 3, tanh: a = tanh z
    z0 = a0 @ W0 + b0  # (n, 2) (2, 3) + (3,) = (n, 3)
    a1 = np.tanh(z0)   # (n, 3)

    # layer 1: Dense, 3 → 1, identity: a = z
    z1 = a1 @ W1 + b1  # (n, 3) (3, 1) + (1,) = (n, 1)
    a2 = z1            # (n, 1)

    return a0, z0, a1, z1, a2


def forward(X):
    """The outputs for the rows of X, shape (n, 1)."""
    return forward_pass(X)[-1]


# ── loss ──────────────────────────────────────────────────────────────────────────────

def targets(y):
    """The target values as rows, shape (n, 1)."""
    return np.asarray(y, dtype=FLOAT).reshape(-1, 1)


def loss(X, y):
    """The mean of L over the rows of X."""
    Y = targets(y)   # (n, 1)
    a2 = forward(X)  # (n, 1)

    # L = ½ Σ_k (a_k − y_k)²
    rows = 0.5 * ((a2 - Y) ** 2).sum(axis=1)  # (n,)

    return rows.mean()


# ── backward: from the loss to the gradients ──────────────────────────────────────────

def gradients(X, y):
    """dL/dW and dL/db of every layer, by back-propagation: means over the rows of X."""
    Y = targets(y)  # (n, 1)
    a0, _, a1, _, a2 = forward_pass(X)
    n = len(a0)

    # the loss: dL/da = a − y
    da2 = a2 - Y  # (n, 1)

    # layer 1, identity: delta = dL/da ⊙ f′(z), f′(z) = 1
    delta1 = da2                  # (n, 1)
    dW1 = a1.T @ delta1 / n       # (3, n) (n, 1) = (3, 1), like W1
    db1 = delta1.sum(axis=0) / n  # (1,), like b1
    da1 = delta1 @ W1.T           # (n, 1) (1, 3) = (n, 3), like a1

    # layer 0, tanh: delta = dL/da ⊙ f′(z), f′(z) = 1 − a²
    delta0 = da1 * (1 - a1**2)    # (n, 3)
    dW0 = a0.T @ delta0 / n       # (2, n) (n, 3) = (2, 3), like W0
    db0 = delta0.sum(axis=0) / n  # (3,), like b0

    return dW0, db0, dW1, db1


def finite_difference(X, y, theta, index, epsilon=1e-3):
    """Is my gradient right? The slope of the loss at one number, measured.

    theta is W0 or another parameter, index the place in it: the number is nudged up
    and down, and dL/dθ ≈ (L(θ + ε) − L(θ − ε)) / 2ε.
    """
    value = theta[index]
    theta[index] = value + epsilon
    above = loss(X, y)
    theta[index] = value - epsilon
    below = loss(X, y)
    theta[index] = value
    return (above - below) / (2 * epsilon)


# ── update ────────────────────────────────────────────────────────────────────────────

def update(g):
    """One step of gradient descent, in place; g are the gradients."""
    dW0, db0, dW1, db1 = g
    # θ ← θ − η g; [:] changes the array itself
    W0[:] -= LEARNING_RATE * dW0  # (2, 3)
    b0[:] -= LEARNING_RATE * db0  # (3,)
    W1[:] -= LEARNING_RATE * dW1  # (3, 1)
    b1[:] -= LEARNING_RATE * db1  # (1,)


# ── training ──────────────────────────────────────────────────────────────────────────

SHUFFLE = 2  # what random numbers are for


def generator(seed, purpose, first, second=0):
    """Random numbers for one purpose at one place: the same key gives the same numbers.

    The place is an epoch. What was drawn before plays no part.
    """
    key = np.array([seed, purpose], dtype=np.uint64)
    place = np.array([0, 0, first, second], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=place))


def train(X, y, epochs=10, batch_size=32, seed=SEED):
    """Train in place; return the loss over all rows after each epoch.

    An epoch takes all rows once, in a new order, in batches of which the last may be
    smaller. Every batch is one step of the update.
    """
    X, Y = np.asarray(X), targets(y)
    n = len(X)
    steps = math.ceil(n / batch_size)  # of an epoch
    losses = []
    for epoch in range(epochs):
        order = np.arange(n)
        if steps > 1:  # one batch of all rows takes them as they stand
            order = generator(seed, SHUFFLE, epoch).permutation(n)
        for i in range(steps):
            rows = order[i * batch_size : (i + 1) * batch_size]
            g = gradients(X[rows], Y[rows])
            update(g)
        losses.append(float(loss(X, Y)))
    return losses


# ── a first run ───────────────────────────────────────────────────────────────────────

def made_up_rows(n=64):
    """Random rows X, (n, 2), and targets with a rule to learn."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 2))
    Y = np.tanh(X @ rng.standard_normal((2, 1)))  # (n, 1)
    return X, Y


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with np.load(sys.argv[1], allow_pickle=False) as data:
            X, Y = data["X"], targets(data["y"])
    else:
        X, Y = made_up_rows()

    # Is my gradient right? Look at the weight of the first layer where it is largest.
    dW0 = gradients(X, Y)[0]
    i, j = np.unravel_index(np.abs(dW0).argmax(), dW0.shape)
    slope, measured = dW0[i, j], finite_difference(X, Y, W0, (i, j))
    print(f"dL/dW0[{i}, {j}]: {slope:.6g} by back-propagation, {measured:.6g} measured")

    print(f"before training  loss {loss(X, Y):.6f}")
    for epoch, value in enumerate(train(X, Y), start=1):
        print(f"epoch {epoch:>2}         loss {value:.6f}")
