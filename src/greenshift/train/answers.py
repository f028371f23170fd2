"""A teacher that is asked about every batch once: what it said is kept in a file.

Trainings with the same seed, batch size and augmentation show a teacher the same batches, whatever the student is.
Kept answers make distillation as cheap as plain training from the second of them on.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn

from greenshift.errors import InputError

_PATIENCE_S = 60.0  # how long one training waits while another one writes


class KeptAnswers(nn.Module):
    """A teacher in evaluation mode that looks a batch up before it computes.

    Answers are found by a BLAKE2 digest of the batch itself, so that no other images can get them, and kept as
    float16: finer than the bfloat16 that trainings run in. The file belongs to one teacher and may be shared by
    processes.

    Args:
        teacher: The network that answers what has not been asked yet.
        file: SQLite file to read and to add to; made if it is not there.

    Raises:
        InputError: If the file is no such file, or holds the answers of another teacher.
    """

    def __init__(self, teacher: nn.Module, file: Path) -> None:
        super().__init__()
        self.teacher = teacher.eval()
        self.file = file
        self.computed = 0
        own = _weights_digest(self.teacher)
        try:
            with self._open() as answers:
                answers.execute("create table if not exists teacher (digest blob primary key)")
                answers.execute("create table if not exists answers (batch blob primary key, logits blob)")
                answers.execute("insert into teacher select ? where not exists (select 1 from teacher)", (own,))
                known = answers.execute("select digest from teacher").fetchone()[0]
        except sqlite3.Error as error:
            raise InputError(f"{file}: cannot keep a teacher's answers there ({error}); name another file") from error
        if known != own:
            raise InputError(f"{file}: holds the answers of another teacher; name another file")

    def forward(self, images: Tensor) -> Tensor:
        """Return the teacher's logits [N, classes] for images [N, C, H, W], as float32."""
        batch = _digest(images)
        with self._open() as answers:
            found = answers.execute("select logits from answers where batch = ?", (batch,)).fetchone()
        if found is not None:
            logits = numpy.frombuffer(found[0], numpy.float16).reshape(len(images), -1)
            return torch.from_numpy(logits.astype(numpy.float32)).to(images.device)
        computed: Tensor = self.teacher(images).to(torch.float16)
        self.computed += 1
        with self._open() as answers:
            row = (batch, computed.cpu().numpy().tobytes())
            answers.execute("insert or ignore into answers values (?, ?)", row)
        return computed.float()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, timeout=_PATIENCE_S)) as connection, connection:
            yield connection


def _weights_digest(teacher: nn.Module) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in teacher.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.digest()


def _digest(images: Tensor) -> bytes:
    whole = images.detach().cpu().contiguous().numpy()
    return hashlib.blake2b(whole.tobytes(), digest_size=16).digest()
