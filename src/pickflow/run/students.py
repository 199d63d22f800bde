"""Names of compressed pickers: the students of each teacher of a run, resolved before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pickflow.models.registry import compressible
from pickflow.run.configuration import ConfigError
from pickflow.run.grid import Candidate

METHODS = ("safe", "magnitude")
# First letter of a level, by key of compress.target.
_LETTERS = {"macs": "s", "parameters": "p", "max_f1_loss": "f"}
_LEVEL = r"f\d+(\.\d+)?|s\d+(\.\d+)?|p\d+(\.\d+)?|s\d+(\.\d+)?p\d+(\.\d+)?"
_STUDENT = re.compile(rf"(?P<method>{'|'.join(METHODS)})-(?P<level>{_LEVEL})(?P<int8>-int8)?")


class Student(NamedTuple):
    """
    Contents of the name of a student.

    Parameters
    ----------
    method : str
        ``safe`` or ``magnitude``.
    target : tuple of (str, float)
        Keys of ``compress.target`` with their values: ``macs`` and ``parameters``, the share of the teacher's that is
        kept, one or both; or ``max_f1_loss``, the largest loss of F1.
    int8 : bool
        Whether the student computes in 8-bit integers.
    """

    method: str
    target: tuple[tuple[str, float], ...]
    int8: bool

    @property
    def level(self) -> str:
        """Short name of the target, such as ``s93``."""
        return level_name(dict(self.target))


def level_name(target: Mapping[str, float]) -> str:
    """
    Short name of a target.

    Parameters
    ----------
    target : mapping of str to float
        ``macs`` and ``parameters`` give the percentage that is removed after ``s`` and ``p`` (at least two digits),
        ``max_f1_loss`` the loss after ``f``. Values are between 0 and 1.

    Returns
    -------
    str
        Such as ``s93`` for 0.07 of the MACs, and ``s93p88`` if there are to be 0.12 of the parameters at most, too.
    """
    parts = []
    for key in (key for key in _LETTERS if key in target):
        exact = Decimal(str(target[key]))
        number = exact if key == "max_f1_loss" else 100 * (1 - exact)
        whole, _, fraction = format(number, "f").partition(".")
        fraction = fraction.rstrip("0")
        digits = whole if key == "max_f1_loss" else whole.zfill(2)
        parts.append(_LETTERS[key] + digits + (f".{fraction}" if fraction else ""))
    return "".join(parts)


def read_student(name: str) -> Student:
    """
    Read the name of a student, the part behind its teacher's: ``safe-s93`` or ``magnitude-p88-int8``.

    Raises
    ------
    ValueError
        If it is not such a name.
    """
    match = _STUDENT.fullmatch(name)
    if not match:
        raise ValueError(f"student {name!r} is not METHOD-LEVEL or METHOD-LEVEL-int8, such as safe-s93")
    target = []
    for letter, digits in re.findall(r"([spf])([\d.]+)", match["level"]):
        key = next(key for key, prefix in _LETTERS.items() if prefix == letter)
        number = Decimal(digits)
        target.append((key, float(number if key == "max_f1_loss" else 1 - number / 100)))
    return Student(match["method"], tuple(target), match["int8"] is not None)


def is_student(weights: str) -> bool:
    """Whether weights are named like a student's, ``<teacher>-<method>-<level>``."""
    return re.fullmatch(rf".+-{_STUDENT.pattern}", weights) is not None


def student_names(section: Mapping[str, Any]) -> list[str]:
    """
    Names of the students of each teacher, without the teacher's.

    Parameters
    ----------
    section : mapping
        Completed section ``compress`` of a configuration.

    Returns
    -------
    list of str
        By method, then by target; with ``int8`` each is followed by its quantised version. Empty without a target.

    Raises
    ------
    ConfigError
        If a target has an unknown key or a value outside of 0 to 1, or two of them have the same name.
    """
    target = section["target"]
    targets = [] if target is None else target if isinstance(target, list) else [target]
    levels = [_level(entry) for entry in targets]
    for level in levels:
        if levels.count(level) > 1:
            raise ConfigError(f"config key compress.target: {level} is asked for twice; remove one of the two")
    endings = ("", "-int8") if section["int8"] else ("",)
    return [f"{method}-{level}{ending}" for method in section["methods"] for level in levels for ending in endings]


def _level(entry: Any) -> str:
    key = "config key compress.target"
    if not isinstance(entry, Mapping) or not entry:
        raise ConfigError(
            f"{key}: {entry!r} does not say what a student must keep, such as {{macs: 0.07}};"
            " write several as a list: [{macs: 0.5}, {macs: 0.07}]"
        )
    for target, value in entry.items():
        if target not in _LETTERS:
            raise ConfigError(f"{key}: {target!r} is not known; it is one of {', '.join(_LETTERS)}")
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1:
            loss = target == "max_f1_loss"
            meaning = "the loss of F1 that is allowed" if loss else f"the share of {target} that is kept"
            raise ConfigError(
                f"{key}.{target}: {value!r} does not lie between 0 and 1 (both excluded); it is {meaning}"
            )
    if "max_f1_loss" in entry and len(entry) > 1:
        raise ConfigError(f"{key}: max_f1_loss finds its own size and stands alone; make it an entry of a list")
    return level_name(entry)


def resolve_students(section: Mapping[str, Any], candidates: Sequence[Candidate]) -> dict[Candidate, list[Candidate]]:
    """
    Students by their teacher.

    Parameters
    ----------
    section : mapping
        Completed section ``compress`` of a configuration.
    candidates : sequence of Candidate
        Models and weights that the run picks with.

    Returns
    -------
    dict of Candidate to list of Candidate
        In the order of the candidates; empty if no target is set.

    Raises
    ------
    ConfigError
        If a target cannot be used, a pattern of ``compress.teachers`` fits nothing, a teacher has no compression or is
        a student itself, or a student has the name of another picker of the run.
    """
    names = student_names(section)
    if not names:
        return {}
    students: dict[Candidate, list[Candidate]] = {}
    for teacher in _teachers(section["teachers"], candidates):
        _check_teacher(teacher)
        students[teacher] = [Candidate(teacher.model, f"{teacher.weights}-{name}") for name in names]
        for student in students[teacher]:
            if student in candidates:
                raise ConfigError(
                    f"config key pick.weights: {student} would also be a student of {teacher};"
                    " give those weights another name in weights.files, or leave out the target"
                )
    return students


def _teachers(patterns: Sequence[str], candidates: Sequence[Candidate]) -> list[Candidate]:
    for pattern in patterns:
        if not any(fnmatchcase(str(pair), pattern) for pair in candidates):
            names = ", ".join(map(str, candidates))
            raise ConfigError(f"config key compress.teachers: no picker of the run fits {pattern!r}; it has {names}")
    return [pair for pair in candidates if not patterns or any(fnmatchcase(str(pair), entry) for entry in patterns)]


def _check_teacher(teacher: Candidate) -> None:
    way_out = "name those that should be compressed in compress.teachers as MODEL/WEIGHTS (with * and ?)"
    if teacher.model not in compressible():
        raise ConfigError(
            f"config key compress.teachers: {teacher} cannot be compressed, only {', '.join(compressible())}; {way_out}"
        )
    if is_student(teacher.weights):
        raise ConfigError(f"config key compress.teachers: {teacher} is a student itself and is no teacher; {way_out}")
