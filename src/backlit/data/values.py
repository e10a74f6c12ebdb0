"""One canonical text for a value, whatever file it stood in; and texts that are numbers or moments.

"True" and true, 3 and 3.0, 2024-01-05 and 2024-01-05 00:00:00 are the same value in every format. A column of a
table is either Float64 or String; a String holds canonical texts, so that categories and labels can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

#: Texts that stand for a missing value. `NA` only in capitals, as R writes it: "Na" may be sodium.
#: `NaN` and `null` in the three ways that programs write them.
MISSING_TEXTS: Final = ("", "NA", "NaN", "nan", "NAN", "null", "NULL", "Null", "?")

#: From here on not every whole number has a Float64 of its own.
EXACT: Final = 2.0**53

#: A column of numbers that holds one of this size cannot be averaged: the squares leave the numbers.
LARGEST: Final = 1e150

NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
CODE: Final = r"^[+-]?0\d+$"  # "00000" and "02208" are codes, "0" and "0.5" are numbers
_WHOLE: Final = r"^[+-]?\d{16,}(\.0*)?$"
_ISO: Final = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
_SIGNS: Final = r"^([+-]?)\s*([$€£¥]?)\s*([+-]?)([\d., \u00a0\u202f]*\d)\s*([$€£¥%]?)$"


def plain_numbers(texts: pl.Series) -> pl.Series:
    """Texts as Float64: null where missing, no number, or NaN; infinite where infinite."""
    import polars as pl

    return texts.cast(pl.Float64, strict=False).fill_nan(None)


def number_texts(numbers: pl.Series) -> pl.Series:
    """Numbers as their canonical texts: 3.0 is "3", and so is 1e18 "1000000000000000000".

    Examples
    --------
    >>> import polars as pl
    >>> number_texts(pl.Series([3.0, 0.5, -0.0, 1e18, None])).to_list()
    ['3', '0.5', '0', '1000000000000000000', None]
    """
    import polars as pl

    whole = ((numbers == numbers.floor()) & (numbers.abs() < 2.0**63)).fill_null(value=False)
    texts = numbers.cast(pl.Int64, strict=False).cast(pl.String)
    return texts.zip_with(whole, numbers.cast(pl.String)).alias(numbers.name)


def canonical(texts: pl.Series) -> pl.Series:
    """Each text in the form that its value has in every file; what is no number, truth value or moment stays.

    Examples
    --------
    >>> import polars as pl
    >>> canonical(pl.Series(["3.0", "1e3", "007", "TRUE", "2024-01-05T00:00:00Z", "9007199254740993.0", "x"])).to_list()
    ['3', '1000', '007', 'true', '2024-01-05', '9007199254740993', 'x']
    """
    distinct = texts.unique(maintain_order=True).drop_nulls()
    forms = _canonical(distinct)
    if (distinct == forms).all():
        return texts
    if len(distinct) * 2 > len(texts):
        return _canonical(texts)
    return texts.replace(distinct, forms)


def _canonical(texts: pl.Series) -> pl.Series:
    import polars as pl

    text = pl.col("text")
    number = text.cast(pl.Float64, strict=False)
    code, whole = text.str.contains(CODE), text.str.contains(_WHOLE)
    low = text.str.to_lowercase()
    truth = low.is_in(["true", "false"]) & text.is_in(["True", "TRUE", "true", "False", "FALSE", "false"])
    frame = pl.DataFrame({"text": texts}).select(
        text,
        low=low,
        truth=truth,
        whole=whole,
        number=pl.when(number.is_finite() & ~code & text.str.contains(NUMBER)).then(number),
    )
    forms = number_texts(frame.get_column("number"))
    frame = frame.with_columns(forms.alias("form"))
    digits = text.str.strip_prefix("+").str.replace(r"\.0*$", "")
    result = (
        pl.when(pl.col("truth"))
        .then(pl.col("low"))
        .when(pl.col("whole") & pl.col("form").is_not_null())
        .then(digits)
        .otherwise(pl.coalesce("form", "text"))
    )
    plain = frame.select(result.alias(texts.name)).to_series()
    if not texts.str.contains(_ISO).any():
        return plain
    dates = moment_texts(iso_moments(texts))  # null where it is no day of the calendar
    return dates.zip_with(dates.is_not_null(), plain)


def holds_large_whole_numbers(texts: pl.Series, numbers: pl.Series) -> bool:
    """Whether a column of numbers in texts holds a whole one that Float64 would round."""
    large = numbers.abs() >= EXACT
    return bool(large.any()) and bool(texts.filter(large.fill_null(value=False)).str.contains(_WHOLE).any())


def has_codes(texts: pl.Series) -> bool:
    """Whether a column of texts holds a code with leading zeros, such as "007"."""
    return bool(texts.str.contains(CODE).any())


# ── moments ──────────────────────────────────────────────────────────────────────────────────────────────────


def iso_moments(texts: pl.Series) -> pl.Series:
    """ISO dates and times as Datetime (µs, without a zone: those that name one are turned to UTC), else null."""
    import polars as pl

    parts = pl.DataFrame({"t": texts}).select(pl.col("t").str.extract_groups(_ISO).alias("p")).unnest("p")
    day, clock, second, fraction, zone = (pl.col(name) for name in parts.columns)
    text = pl.concat_str(
        [
            day,
            pl.lit(" "),
            clock.fill_null("00:00"),
            pl.lit(":"),
            second.fill_null("00"),
            pl.lit("."),
            fraction.fill_null("0").str.slice(0, 6).str.pad_end(6, "0"),
        ]
    )
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    hours = zone.str.extract(r"^[+-](\d{2})").cast(pl.Int64)
    minutes = zone.str.extract(r"(\d{2})$").cast(pl.Int64)
    offset = pl.duration(minutes=(sign * (60 * hours + minutes)).fill_null(0))
    moments = text.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S%.f", strict=False)
    return parts.select((moments - offset).alias(texts.name)).to_series()


def moment_texts(moments: pl.Series) -> pl.Series:
    """Moments as canonical texts: "2024-01-05", or "2024-01-05 10:30:00" where a time stands beside the day."""
    import polars as pl

    m = pl.col("m")
    day, clock = m.dt.strftime("%Y-%m-%d"), m.dt.strftime(" %H:%M:%S")
    micro = m.dt.microsecond()
    fraction = pl.when(micro > 0).then(m.dt.strftime("%.6f").str.strip_chars_end("0")).otherwise(pl.lit(""))
    at_midnight = (m.dt.hour() == 0) & (m.dt.minute() == 0) & (m.dt.second() == 0) & (micro == 0)
    form = pl.when(at_midnight).then(day).otherwise(day + clock + fraction)
    return pl.DataFrame({"m": moments}).select(form.alias(moments.name)).to_series()


#: How people write a day; the canonical text is the first. What fits several is read by the first that fits all rows.
DAY_FORMATS: Final = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
)
TWO_WAYS: Final = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y"}
_DAYLIKE: Final = (
    r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{4}"
    r"|[A-Za-z]{3,9} \d{1,2}, \d{4})([T ].*)?$"
)
#: So many values at the head of a column tell whether it is worth a longer look.
DAY_HEAD: Final = 20
_CLOCK: Final = r"[T ](\d{1,2}:\d{2}(?::\d{2})?)(?:\.\d+)?$"


def day_format(texts: pl.Series) -> tuple[str, bool] | None:
    """The format in which every text is a day (with a time or not), and whether day and month could change places.

    Examples
    --------
    >>> import polars as pl
    >>> day_format(pl.Series(["5/1/2024", "31/12/2024"])), day_format(pl.Series(["5/1/2024"]))
    (('%d/%m/%Y', False), ('%d/%m/%Y', True))
    >>> day_format(pl.Series(["5/1/2024", "soon"])) is None
    True
    """
    present = texts.drop_nulls()
    if not looks_like_days(present.head(DAY_HEAD)):
        return None
    distinct = present.unique()
    for form in DAY_FORMATS:
        if not moments(distinct, form).has_nulls():
            other = TWO_WAYS.get(form)
            return form, other is not None and not moments(distinct, other).has_nulls()
    return None


def looks_like_days(present: pl.Series) -> bool:
    """Whether texts, none of them missing, have the looks of days; what the first of a column have not, it has not."""
    return bool(len(present)) and bool(present.str.contains(_DAYLIKE).all())


def moments(texts: pl.Series, form: str) -> pl.Series:
    """Texts in one of `DAY_FORMATS`, with a time or not, as Datetime; null where they are not."""
    import polars as pl

    if form == "%Y-%m-%d":
        return iso_moments(texts)
    t = pl.col("t")
    clock = t.str.extract(_CLOCK)
    day = t.str.replace(_CLOCK, "")
    full = pl.when(clock.str.len_bytes() < 6).then(clock + ":00").otherwise(clock).fill_null("00:00:00")
    whole = pl.concat_str([day, pl.lit(" "), full])
    parsed = whole.str.strptime(pl.Datetime("us"), f"{form} %H:%M:%S", strict=False)
    return pl.DataFrame({"t": texts}).select(parsed.alias(texts.name)).to_series()


# ── money, percent, commas ───────────────────────────────────────────────────────────────────────────────────


def dressed_numbers(texts: pl.Series) -> pl.Series:
    """Numbers with a currency or percent sign, or with their thousands set apart; null where a text is neither.

    Examples
    --------
    >>> import polars as pl
    >>> dressed_numbers(pl.Series(["$5", "-$1,234.50", "5 %", "1 000", "7", "1,5", "x"])).to_list()
    [5.0, -1234.5, 5.0, 1000.0, 7.0, None, None]
    """
    import polars as pl

    parts = pl.DataFrame({"t": texts}).select(pl.col("t").str.extract_groups(_SIGNS).alias("p")).unnest("p")
    first, before, second, body, after = (pl.col(name) for name in parts.columns)
    apart = body.str.contains(r"^\d{1,3}(?:[, \u00a0\u202f]\d{3})+(?:\.\d+)?$")
    bare = pl.when(apart).then(body.str.replace_all(r"[, \u00a0\u202f]", "")).otherwise(body)
    minus = (first == "-") | (second == "-")
    doubled = ((first != "") & (second != "")) | ((before != "") & (after != ""))
    number = bare.cast(pl.Float64, strict=False)
    value = pl.when(~doubled).then(pl.when(minus).then(-number).otherwise(number))
    dressed = parts.select(value.alias(texts.name)).to_series()
    plain = plain_numbers(texts)
    return plain.zip_with(plain.is_not_null(), dressed)


def with_point(texts: pl.Expr) -> pl.Expr:
    """Texts of a file with decimal commas: 1.234,50 becomes 1234.50, with signs of money around it too."""
    import polars as pl

    around = r"^([+-]?\s*[$€£¥]?\s*[+-]?)({})(\s*[$€£¥%]?|[eE][+-]?\d+)$"
    grouped = texts.str.contains(around.format(r"[1-9]\d{0,2}(?:[. ]\d{3})+(?:,\d+)?"))
    decimal = texts.str.contains(around.format(r"\d*,\d+|\d+,"))
    return (
        pl.when(grouped)
        .then(texts.str.replace_all(r"(\d)[. ](\d)", "${1}${2}").str.replace(",", ".", literal=True))
        .when(decimal)
        .then(texts.str.replace(",", ".", literal=True))
        .otherwise(texts)
    )
