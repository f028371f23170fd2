"""When each row of each map is computed, and where it lives: rings of rows in one static arena.

Rows are computed when a later row first needs them, each once. A map then keeps only the rows that are still needed,
and maps whose rows do not live at the same time share memory. A mean over a whole map takes its rows one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from greenshift.deploy.c_export.signs import Signs, pixel_bytes
from greenshift.deploy.network import AveragePooling, Convolution, MaxPooling, Network, Step, Subsampling
from greenshift.errors import InputError

_MOST_STEPS = 256


@dataclass(frozen=True)
class Ring:
    """Memory of one map.

    Attributes:
        depth: Rows that live at the same time.
        row_bytes: Bytes from one row to the next, a multiple of 4.
        offset: Of the first row in the arena, a multiple of 4.
        pixel_bytes: Bytes of one pixel.
    """

    depth: int
    row_bytes: int
    offset: int
    pixel_bytes: int

    @property
    def end(self) -> int:
        """Offset behind the last row."""
        return self.offset + self.depth * self.row_bytes


@dataclass(frozen=True)
class Plan:
    """Order of rows and memory of maps.

    Attributes:
        order: Step index of every row in the order in which rows are computed; the rows of a step come in order. A
            mean over a whole map has a turn for each row that it reads.
        rings: Memory of every step but the last, which gives the logits.
        arena_bytes: Memory of all rings.
        signs: The maps that are kept as bits, by step index.
    """

    order: tuple[int, ...]
    rings: tuple[Ring, ...]
    arena_bytes: int
    signs: Mapping[int, Signs]


def is_whole_mean(step: Step) -> bool:
    """Say whether a step gives one mean for each channel."""
    return isinstance(step, AveragePooling) and step.shape[:2] == (1, 1)


def _turns(step: Step, rows: int) -> int:
    """Turns that a step takes for its first rows."""
    return step.kernel[0] if isinstance(step, AveragePooling) and is_whole_mean(step) else rows


def rows_needed(step: Step, row: int, height: int) -> range:
    """Rows of a source of some height that a row of a step reads, or a turn of a mean over a whole map."""
    if is_whole_mean(step):
        return range(row, row + 1)
    if isinstance(step, Convolution | MaxPooling | AveragePooling):
        top = 0 if isinstance(step, AveragePooling) else step.padding[0]
        first = row * step.stride[0] - top
        return range(max(first, 0), min(first + step.kernel[0], height))
    if isinstance(step, Subsampling):
        return range(row * step.stride, row * step.stride + 1)
    return range(row, row + 1)


def plan_rows(network: Network, signs: Mapping[int, Signs]) -> Plan:
    """Plan a network's rows and memory.

    Args:
        network: The network.
        signs: The maps that are kept as bits, by step index.

    Raises:
        InputError: If the network has more than 256 steps.
    """
    steps = network.steps
    if len(steps) > _MOST_STEPS:
        raise InputError(f"the network has {len(steps)} steps, C code runs at most {_MOST_STEPS}")
    order = _order(steps)
    written: list[list[int]] = [[] for _ in steps]
    last_read: list[list[int]] = [[] for _ in steps]
    turns = [0] * len(steps)
    for time, index in enumerate(order):
        step = steps[index]
        for source in step.sources:
            for needed in rows_needed(step, turns[index], steps[source].shape[0]):
                last_read[source][needed] = time
        turns[index] += 1
        if turns[index] >= _turns(step, 1):
            written[index].append(time)
            last_read[index].append(time)
    rings: list[Ring] = []
    lives: list[set[int]] = []
    for index, (step, times, reads) in enumerate(zip(steps[:-1], written[:-1], last_read[:-1], strict=True)):
        each = pixel_bytes(step, bits=index in signs)
        rings.append(Ring(_depth(times, reads), -(-step.shape[1] * each // 4) * 4, 0, each))
        rows = zip(times, reads, strict=False)  # rows that nothing needs are never written
        lives.append({time for first, last in rows for time in range(first, last + 1)})
    placed = _place(rings, lives)
    return Plan(order, placed, max(ring.end for ring in placed), signs)


def _order(steps: Sequence[Step]) -> tuple[int, ...]:
    """Rows in the order of need: what the logits need, what that needs, and so on."""
    done = [0] * len(steps)
    order: list[int] = []
    waiting = [len(steps) - 1]
    while waiting:
        index = waiting[-1]
        step = steps[index]
        missing = [
            source
            for source in step.sources
            if done[source] < _turns(steps[source], rows_needed(step, done[index], steps[source].shape[0]).stop)
        ]
        if missing:
            waiting.append(missing[0])
        else:
            order.append(index)
            done[index] += 1
            waiting.pop()
    return tuple(order)


def _depth(written: Sequence[int], last_read: Sequence[int]) -> int:
    """Most rows between the oldest that is still needed and the newest, while the newest is written."""
    depth, oldest = 1, 0
    for row, time in enumerate(written):
        while oldest < row and last_read[oldest] < time:
            oldest += 1
        depth = max(depth, row - oldest + 1)
    return depth


def _place(rings: Sequence[Ring], lives: Sequence[set[int]]) -> tuple[Ring, ...]:
    """Give every ring the lowest place that no ring has while any of its rows is needed, the largest ring first."""
    placed: dict[int, Ring] = {}
    for index in sorted(range(len(rings)), key=lambda at: -rings[at].end):
        others = [ring for at, ring in placed.items() if not lives[at].isdisjoint(lives[index])]
        offset = 0
        for other in sorted(others, key=lambda ring: ring.offset):
            if offset + rings[index].end <= other.offset:
                break
            offset = max(offset, other.end)
        placed[index] = replace(rings[index], offset=offset)
    return tuple(placed[index] for index in range(len(rings)))
