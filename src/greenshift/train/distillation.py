"""Learn from a teacher: the loss of Hinton, Vinyals and Dean (arXiv 1503.02531), and what a teacher must be."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.data import Dataset
from greenshift.design import Recipe
from greenshift.errors import InputError

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over a batch of T^2 KL(teacher_T || student_T), in nat (arXiv 1503.02531, section 2).

    Args:
        student: Logits [N, classes].
        teacher: Logits of the same shape.
        temperature: T, by which both are divided before the softmax.
    """
    expected = functional.log_softmax(teacher / temperature, dim=1)
    found = functional.log_softmax(student / temperature, dim=1)
    return temperature**2 * functional.kl_div(found, expected, reduction="batchmean", log_target=True)


def make_loss(recipe: Recipe, teacher: nn.Module | None) -> Loss:
    """Return the loss of a recipe as a function of a batch's images, the student's logits and the labels.

    Args:
        recipe: Label smoothing, which acts on the cross-entropy only, and distillation.
        teacher: A network that `check_teacher` let pass. It stays in evaluation mode and gets no gradient.
    """
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    distillation = recipe.distillation
    if distillation is None or teacher is None:
        return lambda _, logits, labels: cross_entropy(logits.float(), labels)

    def distilled(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            target = teacher(images).float()
        soft = soft_divergence(logits.float(), target, distillation.temperature)
        plain: Tensor = cross_entropy(logits.float(), labels)
        return (1 - distillation.weight) * plain + distillation.weight * soft

    return distilled


def check_teacher(recipe: Recipe, teacher: nn.Module | None, dataset: Dataset, device: torch.device) -> None:
    """Put a teacher into evaluation mode and check on one blank image that it fits.

    Args:
        recipe: The student's.
        teacher: The teacher on `device`, or None.
        dataset: Gives classes and image shape.
        device: Where the training runs.

    Raises:
        InputError: If a recipe with distillation has no teacher, or one without has one, or the teacher
            takes no such images or tells another number of classes apart.
    """
    if (recipe.distillation is None) != (teacher is None):
        missing = "a teacher is given, but no distillation" if teacher is not None else "distillation needs a teacher"
        raise InputError(f"recipe: {missing}; give both or neither")
    if teacher is None:
        return
    shape = (dataset.in_channels, dataset.image_size, dataset.image_size)
    size = "x".join(map(str, shape))
    teacher.eval()
    try:
        with torch.no_grad():
            logits = teacher(torch.zeros(1, *shape, device=device))
    except (RuntimeError, ValueError) as error:
        problem = " ".join(str(error).split())[:150]
        raise InputError(f"teacher: does not take {size} images of {dataset.name} ({problem}); name another") from error
    if tuple(logits.shape) != (1, dataset.num_classes):
        raise InputError(
            f"teacher: gives {tuple(logits.shape[1:])} outputs for an image, and {dataset.name} has "
            f"{dataset.num_classes} classes; name one that was trained on its classes"
        )
