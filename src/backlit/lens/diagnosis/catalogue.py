"""Every named mistake: what was done, how training shows it, the line that makes it.

`docs/mistakes.md` is made of this, by `mistakes_page`.
"""

from __future__ import annotations

from typing import Final

from .catalogue_arrays import BIASES, FACTORS, LEFTS, PENALTIES, STEPS
from .catalogue_delta import DOWN, OUTPUT, SLOPES
from .catalogue_passes import EVIDENCE, FORWARDS
from .named import Named

UNKNOWN_NAMED: Final = Named(
    "unknown", "both", "{which_v} wrong in a way that no known mistake explains.{hint} {compare}", "", ""
)

GROUPS: Final = {
    "The error and the targets": OUTPUT,
    "Constant factors and rows": FACTORS,
    "The slope": SLOPES,
    "The way down": DOWN,
    "The left factor of dL/dW": LEFTS,
    "The bias": BIASES,
    "The penalty": PENALTIES,
    "Time and place": STEPS,
    "The forward pass": FORWARDS,
    "What activations, the loss and the update show": EVIDENCE,
}

CATALOGUE: Final = {named.name: named for group in GROUPS.values() for named in group} | {"unknown": UNKNOWN_NAMED}

#: Every name a finding can have.
NAMES: Final = tuple(CATALOGUE)


_CURES: Final = {
    "output": "`delta = a - Y` for a pair of loss and activation, else `delta = da * slope(z)`, `da` of the loss",
    "delta": "`delta = da * slope(z)`",
    "down": "`da_in = delta @ W.T`",
    "weight": "`dW = a_in.T @ delta / n`",
    "bias": "`db = delta.sum(axis=0) / n`",
    "both": "`dW = a_in.T @ delta / n`, `db = delta.sum(axis=0) / n`",
    "mean": "`dW = a_in.T @ delta / n`, `db = delta.sum(axis=0) / n`, divided once",
    "penalty": "`dW = a_in.T @ delta / n + l2 * W + l1 * np.sign(W)`, and nothing on `b`",
    "step": "`dW = a_in.T @ delta / n`, written anew in every step",
    "forward": "`z = a_in @ W + b`, `a = f(z)`, softmax over the units of each row",
    "dropout": "`a = a_in * mask`, `da_in = da * mask` with the same mask of 0 and 1/(1 − rate)",
    "loss": "the mean over the rows of the loss of each, plus the penalty",
    "update": "one step of the optimiser, as its docstring has it, with gradients that are all taken before it",
}
_PLACES: Final = {
    "where": "the layer", "which_p": "the gradients", "which_v": "The gradients are", "which_s": "The gradients have",
    "m": "the n rows", "f": "its activation", "rate": "", "hint": "", "compare": "",
}  # fmt: skip


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"


def mistakes_page() -> str:
    """The page of every named mistake, `docs/mistakes.md`."""
    lines = [
        "# The mistakes that `diagnose` names",
        "",
        f"{len(NAMES) - 1} of them, each with what was done, what training shows of it, the line that makes it, and",
        "the line that cures it. `a_in` is what a layer takes, (n, inputs); `delta` is dL/dz, (n, units), of each row",
        "by itself; `da` is dL/da. A finding says the same with the shapes of your own network. What nothing here",
        "explains is `unknown`: the array is named, with the factor where it is constant.",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"## {title}"]
        for named in group:
            done = named.done.format_map(_Blank(_PLACES))
            lines += [
                "", f"### `{named.name}`", "", done, "", f"- Symptom: {named.symptom}", f"- Wrong: `{named.wrong}`",
                f"- Right: {_CURES[named.cure]}",
            ]  # fmt: skip
    return "\n".join(lines) + "\n"
