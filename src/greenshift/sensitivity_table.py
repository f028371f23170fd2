"""What each layer loses by itself under each scheme: the values, without what measures them."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenshift.errors import InputError
from greenshift.schemes import Scheme, scheme_from_json, scheme_to_json


@dataclass(frozen=True)
class Sensitivity:
    """One scheme on one layer, or on one group of layers, of an otherwise float network.

    Attributes:
        layers: The layer's name, or the key of the group.
        scheme: What was put on it.
        loss_increase: Mean cross-entropy above the float network's, in nat; below 0 if it fell.
        standard_error: Of that mean over the images, in nat.
    """

    layers: str
    scheme: Scheme
    loss_increase: float
    standard_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {**dataclasses.asdict(self), "scheme": scheme_to_json(self.scheme)}


@dataclass(frozen=True)
class SensitivityTable:
    """Sensitivities of a network.

    Attributes:
        float_loss: Mean cross-entropy of the float network in nat, its batch norms re-estimated like the others'.
        images: Images of the training split that losses are means over.
        rows: One per layer, or group, and scheme, in the order of the network.
    """

    float_loss: float
    images: int
    rows: tuple[Sensitivity, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the table as a JSON object."""
        rows = [row.to_json() for row in self.rows]
        return {"float_loss": self.float_loss, "images": self.images, "rows": rows}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SensitivityTable":
        """Return the table of a JSON object; the inverse of `to_json`.

        Raises:
            InputError: If a row has a scheme that is unknown.
            KeyError, TypeError: If it is no such object.
        """
        rows = tuple(Sensitivity(**{**row, "scheme": scheme_from_json(row["scheme"])}) for row in value["rows"])
        return cls(float(value["float_loss"]), int(value["images"]), rows)


def load_sensitivity(file: Path) -> SensitivityTable:
    """Read a table that `greenshift sensitivity --json` wrote.

    Args:
        file: The JSON file.

    Raises:
        InputError: If it cannot be read or is something else.
    """
    try:
        return SensitivityTable.from_json(json.loads(file.read_text()))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: is no table of `greenshift sensitivity --json`; write one with it") from error
