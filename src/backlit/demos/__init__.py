"""The five networks that Backlit grew from, each as `backlit demo NAME` prints it.

Every module has the same three functions: `run` computes and returns the results, `show` prints them as a page, and
`draw` makes their picture; `as_json` on the results gives them in the form of `--json`.
"""

from __future__ import annotations

from typing import Final

#: Name of each demo, and what it is in one line.
DEMOS: Final = {
    "line": "y = w·x + b learnt without calculus, by nudging w and b, beside back-propagation",
    "two-two-one": "nine gradients by the chain rule, and why equal weights stay equal",
    "digits": "handwritten digits with SGD, and six improvements one by one",
    "admissions": "one sigmoid unit on 400 real applicants; sum against mean of squared errors",
    "planar": "a flower of two colours that no line parts: 2-4-1 with tanh, hidden sizes 1 to 50",
}
