"""Common parts of all sections of a configuration: declaration of keys, and allowed values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("unique", "{value} has non-unique elements", {"value": repr(list(values))})
    return values


def _in_order(values: dict[str, Any]) -> dict[str, Any]:
    """Names in order, so that equivalent configurations are equal, and no job runs again."""
    return {name: values[name] for name in sorted(values)}


Number = Annotated[float, Strict()]
Whole = Annotated[int, BeforeValidator(_whole), Strict()]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
Names = AfterValidator(_in_order)
Unique = AfterValidator(_unique)


def key(default: Any, description: str, *, affects: str | tuple[str, ...] = (), **bounds: Any) -> Any:
    """
    Declare a key of a configuration.

    Parameters
    ----------
    default
        ``...`` for a key that must be given.
    description : str
        Its meaning, with unit and allowed values, for the reference and for messages.
    affects : str or tuple of str
        Rules whose results it changes; ``paths`` for a key that determines the jobs, by their paths and windows,
        and ``nothing``. Without it the rules of the section.
    **bounds
        Of `pydantic.Field`, such as ``ge``, ``lt`` and ``min_length``.
    """
    schema: dict[str, Any] = {"affects": [affects] if isinstance(affects, str) else list(affects)} if affects else {}
    return Field(default, description=description, json_schema_extra=schema, **bounds)


def refusal(key: str, problem: str) -> PydanticCustomError:
    """Error of a section whose keys contradict one another; ``key`` is the one to change."""
    return PydanticCustomError("refusal", "{key}: {problem}", {"key": key, "problem": problem})


class Section(BaseModel):
    """
    A section of a configuration, or a part of one; the defaults hold in a REPL as well.

    Attributes
    ----------
    AFFECTS : tuple of str
        Rules whose results its keys change, where a key has no ``affects``; see `key`.
    ORDERED : tuple of tuple of str
        Pairs of keys of which the first must be smaller than the second, where both are set.
    """

    # A value may be a secret, so errors do not repeat it.
    model_config = ConfigDict(frozen=True, extra="forbid", regex_engine="python-re", hide_input_in_errors=True)
    AFFECTS: ClassVar[tuple[str, ...]] = ()
    ORDERED: ClassVar[tuple[tuple[str, str], ...]] = ()

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for lower, upper in self.ORDERED:
            low, high = getattr(self, lower), getattr(self, upper)
            if low is not None and high is not None and low >= high:
                raise refusal(lower, f"{low:g} must be smaller than {upper}, {high:g}")
        return self

    def changed(self, **changes: Any) -> Self:
        """The same with other values for some keys, checked like those of a configuration."""
        return type(self)(**{**dict(self), **changes})


def affects_of(field: FieldInfo) -> tuple[str, ...]:
    """Rules that a key says it affects; empty: those of its section."""
    schema = field.json_schema_extra
    return tuple(map(str, cast(dict[str, Any], schema).get("affects", ()))) if isinstance(schema, dict) else ()


def description_of(field: FieldInfo) -> str:
    """Description of a key, or of the section that it holds."""
    section = section_of(field)
    return " ".join((field.description or (section.__doc__ if section else None) or "").split())


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a key holds, once or in a list; None for a value."""
    kinds = [field.annotation]
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
        kinds += get_args(kind)
    return None


def is_list(field: FieldInfo) -> bool:
    """Whether a key holds a list."""
    return get_origin(field.annotation) is tuple
