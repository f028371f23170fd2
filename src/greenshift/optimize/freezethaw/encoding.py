"""Configurations as rows of numbers that a kernel can compare, conditional and categorical ones included."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ConfigSpace import Configuration as Sample
from ConfigSpace import ConfigurationSpace
from ConfigSpace.hyperparameters import CategoricalHyperparameter, Constant, OrdinalHyperparameter
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """Where one hyperparameter's value is found in ConfigSpace's vectors, and what it becomes in a row.

    Attributes:
        index: Its place in the vectors.
        scale: What its values are divided by.
        inactive: What stands for it where it is inactive: its default, or a category after the last one.
    """

    index: int
    scale: float
    inactive: float


@dataclass(frozen=True)
class Encoding:
    """The columns of a row: numbers first, then categories.

    Numbers (and ordinals, by their place) lie in 0..1. A category is its index, to be compared for equality only.
    A number that can be inactive also has a category that says whether it is, and then the value of its default, so
    that two configurations without it are equal there.

    Attributes:
        numbers: Numeric and ordinal hyperparameters.
        categories: Categorical hyperparameters.
        conditional: Places in the vectors of the numbers that can be inactive.
        size: Length of the vectors.
    """

    numbers: tuple[Column, ...]
    categories: tuple[Column, ...]
    conditional: tuple[int, ...]
    size: int

    @property
    def category_columns(self) -> int:
        """Columns, at the end of a row, that hold categories."""
        return len(self.categories) + len(self.conditional)

    def rows(self, samples: Sequence[Sample]) -> Matrix:
        """Return one row per configuration, shape (n, columns)."""
        vectors = np.array([sample.get_array() for sample in samples], dtype=float).reshape(len(samples), self.size)
        parts = [np.zeros((len(samples), 0))]
        for column in self.numbers:
            part = vectors[:, [column.index]] / column.scale
            parts.append(np.where(np.isnan(part), column.inactive, part))
        parts += [np.nan_to_num(vectors[:, [column.index]], nan=column.inactive) for column in self.categories]
        parts.append(np.isfinite(vectors[:, list(self.conditional)]).astype(float))
        return np.hstack(parts)

    def features(self, rows: Matrix) -> Matrix:
        """Return rows for a linear model, where every category has a column of its own."""
        first = len(self.numbers)
        parts = [rows[:, :first], rows[:, first + len(self.categories) :]]
        for place, column in enumerate(self.categories, start=first):
            parts.append((rows[:, [place]] == np.arange(column.inactive + 1)).astype(float))
        return np.hstack(parts)


def make_encoding(space: ConfigurationSpace) -> Encoding:
    """Return the encoding of a space; a hyperparameter of one value has no column unless it can be inactive."""
    numbers, categories, conditional = [], [], []
    can_be_inactive = set(space.conditional_hyperparameters)
    for index, (name, hyperparameter) in enumerate(space.items()):
        if isinstance(hyperparameter, CategoricalHyperparameter):
            if len(hyperparameter.choices) > 1:
                count = float(len(hyperparameter.choices))
                categories.append(Column(index, 1.0, count))
        elif not isinstance(hyperparameter, Constant):
            last = len(hyperparameter.sequence) - 1 if isinstance(hyperparameter, OrdinalHyperparameter) else 1
            middle = float(hyperparameter.to_vector(hyperparameter.default_value)) / max(last, 1)
            numbers.append(Column(index, float(max(last, 1)), middle))
            if name in can_be_inactive:
                conditional.append(index)
    return Encoding(tuple(numbers), tuple(categories), tuple(conditional), len(space))
