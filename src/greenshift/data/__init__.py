"""Datasets in memory, their splits, and batches of them.

A dataset is a function from a folder to a `Dataset`, marked with `register`, in a module named here.
"""

from greenshift.data import cifar, digits, fashion
from greenshift.data.batches import augment, batches, evaluation_batches, normalise, training_steps
from greenshift.data.dataset import Dataset, ImageSet
from greenshift.data.registry import dataset_names, load_dataset
from greenshift.data.resize import check_resolution, resized
from greenshift.data.splits import Splits, split, train_and_validation

__all__ = [
    "Dataset",
    "ImageSet",
    "Splits",
    "augment",
    "batches",
    "check_resolution",
    "cifar",
    "dataset_names",
    "digits",
    "evaluation_batches",
    "fashion",
    "load_dataset",
    "normalise",
    "resized",
    "split",
    "train_and_validation",
    "training_steps",
]
