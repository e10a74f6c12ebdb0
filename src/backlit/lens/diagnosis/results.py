"""What a diagnosis says: its findings, and the comparison of every array."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, final

from ...pages import Cell, Page, Table, Tone, Words, count, number, plain, shown


@final
@dataclass(frozen=True)
class Finding:
    """One mistake.

    Attributes
    ----------
    name : str
        One of ``backlit.lens.diagnosis.catalogue.NAMES``; "unknown" where no known mistake fits.
    layer : int or None
        Where it was made: the layer's index in the network's list; None is the whole network. Of weights updated too
        early, and of W used for Wᵀ, it is the layer whose weights they are; of a missing mask, the Dropout layer.
    evidence : dict
        The numbers: where the mistake shows first, `relative_error`, ‖given − right‖ / ‖right‖, `cosine` and `ratio` of
        the gradients given to the right ones; and what was measured of the mistake itself.
    explanation : str
        What was done, and what to change.
    right : str
        The line of NumPy that would be right, with the shapes of this network and batch.
    array : str
        The one array that it is in, "0.bias"; empty where it is in more.
    """

    name: str
    layer: int | None
    evidence: dict[str, float | str]
    explanation: str
    right: str = ""
    array: str = ""


@final
@dataclass(frozen=True)
class Comparison:
    """One array of gradients, of the shape it was given in, beside the right one.

    `relative_error` is ‖given − right‖ / ‖right‖, `cosine` that of the angle between the two; `ok` says whether they
    are equal to rounding; `points` are some of its numbers, (right, given) each, for the picture.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    cosine: float
    ok: bool = False
    points: tuple[tuple[float, float], ...] = field(default=(), repr=False)


@shown
@final
@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. Printing it shows a page.

    Attributes
    ----------
    findings : tuple of Finding
        From the output down; empty where every gradient is right.
    comparisons : tuple of Comparison
        Every array that was given.
    precision : str
        The floating-point type to whose rounding the gradients, or the findings, were compared.
    rows : int
        Of the batch.
    places : tuple of str
        Where each finding is, in words.
    alternatives : tuple of tuple of str
        Other explanations that this data cannot tell apart from the findings.
    told_apart_by : str
        The batch that would tell them apart.
    notes : tuple of str
        How what was given has been read.
    missing : tuple of str
        Parameters of which no gradient was given.
    layers : tuple of str
        The network's layers, for the picture.
    """

    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    precision: str
    rows: int
    places: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    told_apart_by: str = ""
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every gradient given is right."""
        return not self.findings

    def page(self) -> Page:
        """The diagnosis as a page."""
        if self.ok and not self.comparisons:
            title = "Diagnosis: what was given is right"
        elif self.ok:
            title = "Diagnosis: every gradient " + ("given is right" if self.missing else "is right")
        else:
            title = f"Diagnosis: {count(len(self.findings), 'mistake')}"
        given = count(len(self.comparisons), "array")
        judged = f"{given} of gradients judged on" if self.comparisons else "Judged on"
        blocks: list[Words | Table] = [
            Words(f"{judged} {count(self.rows, 'row')}, to the rounding of {self.precision}.")
        ]
        blocks += [Words(f"{note}.") for note in self.notes]
        if self.missing:
            blocks.append(Words(f"Not given, and not judged: {', '.join(self.missing)}.", "poor"))
        if self.comparisons:
            blocks += [Words(""), self._comparison_table()]
        for position, (finding, place) in enumerate(zip(self.findings, self.places, strict=True), 1):
            evidence: list[list[Cell | str]] = [
                [Cell(key.replace("_", " "), "dim"), value if isinstance(value, str) else number(value)]
                for key, value in finding.evidence.items()
            ]
            array = f", in {finding.array}" if finding.array else ""
            blocks += [
                Words(""),
                Words(f"{position}. {finding.name} in {place}{array}", "bad"),
                Words(finding.explanation, indent=3),
            ]
            if finding.right:
                blocks += [Words("Right would be:", indent=3), Words(finding.right, "good", indent=5)]
            blocks.append(Table(["", ""], evidence, "ll", indent=5))
        if self.alternatives:
            others = "; or ".join(" and ".join(names) for names in self.alternatives)
            more = f" {self.told_apart_by}" if self.told_apart_by else ""
            blocks += [Words(""), Words(f"On this data the same numbers would come of {others}.{more}", "poor")]
        return Page(title, blocks)

    def _comparison_table(self) -> Table:
        rows: list[list[Cell | str]] = []
        for one in self.comparisons:
            tone: Tone = "good" if one.ok else "bad"
            rows.append([one.name, str(one.shape), Cell(f"{one.relative_error:.1e}", tone), f"{one.cosine:.6f}"])
        return Table(["gradient", "shape", "relative error", "cosine"], rows, "llrr")

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        result: dict[str, Any] = plain({"ok": self.ok, **asdict(self)})
        for one in result["comparisons"]:
            del one["points"]
        return result
