"""Train networks."""

from greenshift.train.device import Compute, Precision, choose_compute
from greenshift.train.distillation import check_teacher, soft_divergence
from greenshift.train.gradual import train_while_cutting
from greenshift.train.loop import (
    DivergedError,
    Training,
    calibrate_network,
    error_rate,
    reestimate_normalisation,
    train,
)

__all__ = [
    "Compute",
    "DivergedError",
    "Precision",
    "Training",
    "calibrate_network",
    "check_teacher",
    "choose_compute",
    "error_rate",
    "reestimate_normalisation",
    "soft_divergence",
    "train",
    "train_while_cutting",
]
