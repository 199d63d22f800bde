"""Names of sets of picks and of catalogs."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True)
class PickSetKey:
    """
    The picks that a picker made of a signal; its text is ``signal/model/weights``.

    Parameters
    ----------
    signal : str
        Method of denoising, ``none`` for the waveforms as they were downloaded.
    model, weights : str
        The picker.
    """

    signal: str
    model: str
    weights: str

    def __str__(self) -> str:
        return f"{self.signal}/{self.model}/{self.weights}"

    @property
    def label(self) -> str:
        """For people."""
        signal = "" if self.signal in ("", "none") else f"{self.signal} · "
        return f"{signal}{self.model} {self.weights}".strip()


@dataclass(frozen=True, order=True)
class CatalogKey:
    """
    A catalog: a set of picks and an associator; its text is ``signal/model/weights/associator``.

    Parameters
    ----------
    pick_set : PickSetKey
        Its picks.
    associator : str
        Method of association; empty for picks alone.
    """

    pick_set: PickSetKey
    associator: str

    @classmethod
    def parse(cls, text: str) -> CatalogKey:
        """
        Read the text of a key.

        Raises
        ------
        ValueError
            If it is not ``signal/model/weights/associator``.
        """
        parts = text.split("/")
        if len(parts) != 4 or not all(parts):
            raise ValueError(
                f"catalog {text!r} is not SIGNAL/MODEL/WEIGHTS/ASSOCIATOR, such as none/PhaseNet/stead/gamma"
            )
        return cls(PickSetKey(*parts[:3]), parts[3])

    @classmethod
    def foreign(cls, name: str) -> CatalogKey:
        """Key of a catalog that no run of pickflow made, by its name, which is also its text."""
        return cls(PickSetKey("", name, ""), "")

    def __str__(self) -> str:
        return f"{self.pick_set}/{self.associator}" if not self.is_foreign else self.pick_set.model

    def parts(self) -> dict[str, str]:
        """The four names, as tables and summaries have them."""
        return {**asdict(self.pick_set), "associator": self.associator}

    @property
    def is_foreign(self) -> bool:
        """Whether no run of pickflow made the catalog."""
        return not self.pick_set.signal

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.pick_set.label} · {self.associator}" if self.associator else self.pick_set.label
