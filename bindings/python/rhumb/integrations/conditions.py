"""Conditions on the metadata of documents, as SQL over a column of JSON.

A condition is a pair of SQL and its parameters. Each looks at one name of the metadata, an object of JSON: missing
names and null are alike, comparisons hold between numbers or between texts, and what is negated holds where the name is
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Condition = tuple[str, list[Any]]

_NUMBERS = "m.type IN ('integer', 'real', 'true', 'false')"
_SCALARS = "m.type NOT IN ('array', 'object', 'null')"
_COMPARISONS = {"==": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


def always(truth: bool) -> Condition:
    """A condition that holds for all documents, or for none."""
    return str(int(truth)), []


def every(conditions: Iterable[Condition]) -> Condition:
    """All of the conditions hold."""
    return _joined("AND", conditions) or always(True)


def some(conditions: Iterable[Condition]) -> Condition:
    """At least one of the conditions holds."""
    return _joined("OR", conditions) or always(False)


def negated(condition: Condition) -> Condition:
    """The condition does not hold."""
    return f"NOT ({condition[0]})", condition[1]


def _joined(word: str, conditions: Iterable[Condition]) -> Condition | None:
    parts = list(conditions)
    if not parts:
        return None
    return f" {word} ".join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]


def compare(name: str, operator: str, value: Any) -> Condition:
    """The value of a name compared with a text or a number: by ==, !=, >, >=, < or <=."""
    if operator == "!=":
        return negated(compare(name, "==", value))
    if value is None and operator == "==":
        return missing(name)
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"{name} {operator}: a text or a number expected, found {value!r}")
    kind = "m.type = 'text'" if isinstance(value, str) else _NUMBERS
    return _holds(name, f"{kind} AND m.value {_COMPARISONS[operator]} ?", [value])


def among(name: str, values: Sequence[Any]) -> Condition:
    """The value of a name is one of those listed."""
    return some(compare(name, "==", value) for value in _listed(name, values))


def contains(name: str, value: Any) -> Condition:
    """The value of a name is a list with the value in it, or a text with that text in it."""
    inside = "CASE m.type WHEN 'array' THEN m.value ELSE '[]' END"
    sql, values = f"EXISTS (SELECT 1 FROM json_each({inside}) AS e WHERE e.value = ?)", [value]
    if isinstance(value, str):
        sql, values = f"{sql} OR (m.type = 'text' AND instr(m.value, ?) > 0)", [value, value]
    return _holds(name, f"({sql})", values)


def contains_some(name: str, values: Sequence[Any]) -> Condition:
    """At least one of the values is contained."""
    return some(contains(name, value) for value in _listed(name, values))


def contains_every(name: str, values: Sequence[Any]) -> Condition:
    """All of the values are contained."""
    return every(contains(name, value) for value in _listed(name, values))


def has_text(name: str, text: str, *, ignore_case: bool = False) -> Condition:
    """The value of a name is a text with that text in it. Needs the SQL function `lower_case`."""
    if not isinstance(text, str):
        raise TypeError(f"{name}: a text expected, found {text!r}")
    if ignore_case:
        return _holds(name, "m.type = 'text' AND instr(lower_case(m.value), ?) > 0", [text.lower()])
    return _holds(name, "m.type = 'text' AND instr(m.value, ?) > 0", [text])


def missing(name: str) -> Condition:
    """There is no such name, or its value is null."""
    return negated(_holds(name, "m.type <> 'null'", []))


def empty(name: str) -> Condition:
    """There is no such name, or its value is null, an empty text or an empty list."""
    return some([missing(name), _holds(name, "m.value = '' OR (m.type = 'array' AND m.value = '[]')", [])])


def _holds(name: str, sql: str, values: list[Any]) -> Condition:
    return f"EXISTS (SELECT 1 FROM json_each(metadata) AS m WHERE m.key = ? AND ({sql}))", [name, *values]


def _listed(name: str, values: Any) -> Sequence[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: a list expected, found {values!r}")
    return list(values)


# ---- conditions as a dict, as stores for LangChain take them ---------------------------------------------------------


_OPERATORS: dict[str, Callable[[str, Any], Condition]] = {
    "$eq": lambda name, value: compare(name, "==", value),
    "$ne": lambda name, value: compare(name, "!=", value),
    "$gt": lambda name, value: compare(name, ">", value),
    "$gte": lambda name, value: compare(name, ">=", value),
    "$lt": lambda name, value: compare(name, "<", value),
    "$lte": lambda name, value: compare(name, "<=", value),
    "$in": among,
    "$nin": lambda name, value: negated(among(name, value)),
    "$contains": contains,
    "$exists": lambda name, value: negated(missing(name)) if value else missing(name),
}


def from_dict(conditions: Mapping[str, Any]) -> Condition:
    """The condition of a dict: ``{"year": {"$gte": 1990}, "lang": "de"}``, with "$and", "$or" and "$not" around it."""
    return every(_entry(name, value) for name, value in conditions.items())


def _entry(name: str, value: Any) -> Condition:
    if name == "$and":
        return every(from_dict(each) for each in value)
    if name == "$or":
        return some(from_dict(each) for each in value)
    if name == "$not":
        return negated(from_dict(value))
    if name.startswith("$"):
        raise ValueError(f"filter: there is no {name!r}")
    if isinstance(value, Mapping):
        for operator in value:
            if operator not in _OPERATORS:
                raise ValueError(f"filter: there is no {operator!r}; there are {', '.join(_OPERATORS)}")
        return every(_OPERATORS[operator](name, operand) for operator, operand in value.items())
    return compare(name, "==", value)
