"""Steps of a network from the JSON objects and arrays of a packed file, none of which is taken on trust."""

from collections.abc import Callable, Mapping, Sequence

from greenshift.deploy.codes import STORAGES, packed_size, unpack_multipliers, unpack_weights
from greenshift.deploy.encoding import ARRAYS, Array
from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Grid,
    Input,
    Lookup,
    MaxPooling,
    Step,
    Subsampling,
)
from greenshift.deploy.validity import (
    MAX_CHANNELS,
    MAX_SCALE,
    MAX_SIDE,
    MAX_STEPS,
    check_channels,
    describe_name,
    window_count,
)
from greenshift.errors import InputError

_STORAGES = {storage.name: storage for storage in STORAGES}


class _Arrays:
    """The flat arrays of a file, taken piece by piece."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self.taken = dict.fromkeys(ARRAYS, 0)

    def take(self, name: str, count: int) -> Array:
        start = self.taken[name]
        if count > len(self.arrays[name]) - start:
            raise InputError(f"needs {count} {name}, but {len(self.arrays[name]) - start} are left in the file")
        self.taken[name] = start + count
        return self.arrays[name][start : start + count]

    def check_all_taken(self) -> None:
        for name, array in self.arrays.items():
            if self.taken[name] != len(array):
                raise InputError(f"{len(array) - self.taken[name]} {name} in the file belong to no step")


class _Fields:
    """The values of one JSON object, each checked as it is taken."""

    def __init__(self, entry: object) -> None:
        if not isinstance(entry, dict):
            raise InputError("is no JSON object")
        self.left = dict(entry)

    def text(self, key: str) -> str:
        value = self.left.pop(key, None)
        if not isinstance(value, str):
            raise InputError(f"{key} is no text")
        return value

    def whole(self, key: str, low: int, high: int, usual: int | None = None) -> int:
        return _whole(key, self.left.pop(key, usual), low, high)

    def several(self, key: str, count: int, low: int, high: int, usual: int | None = None) -> tuple[int, ...]:
        value = self.left.pop(key, usual)
        values = value if isinstance(value, list) else [value] * count
        if len(values) != count:
            raise InputError(f"{key} has {len(values)} numbers instead of {count}")
        return tuple(_whole(key, each, low, high) for each in values)

    def sources(self, index: int, steps: Sequence[Step]) -> tuple[int, ...]:
        values = self.left.pop("sources", [index - 1] if index else [])
        if not isinstance(values, list) or len(values) > MAX_STEPS:
            raise InputError("sources is no list of steps")
        found = tuple(_whole("sources", each, 0, index - 1) for each in values)
        if any(steps[source].grid is None for source in found):
            raise InputError(f"reads steps {found}, one of which gives logits")
        return found

    def grid(self) -> Grid:
        return Grid(self.whole("exponent", -1000, 1000), self.whole("zero", 0, 255, 0))

    def end(self) -> None:
        if self.left:
            raise InputError(f"unknown key {describe_name(min(self.left))}")


def _whole(key: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:  # a bool is no number here
        raise InputError(f"{key} is no whole number from {low} to {high}")
    return value


def decode_steps(entries: object, arrays: Mapping[str, Array]) -> tuple[Step, ...]:
    """Return the steps of JSON objects and arrays: the inverse of `encoding.encode_steps`.

    Args:
        entries: As read from a file; nothing about them is taken for granted.
        arrays: One-dimensional, of the names and types of `ARRAYS`.

    Raises:
        InputError: If they describe no steps; whether the steps make a valid network is for `validity.check`.
    """
    if not isinstance(entries, list) or len(entries) > MAX_STEPS:
        raise InputError(f"steps is no list of at most {MAX_STEPS} steps")
    rest = _Arrays(arrays)
    steps: list[Step] = []
    for index, entry in enumerate(entries):
        try:
            fields = _Fields(entry)
            name, kind = fields.text("name"), fields.text("kind")
            if kind not in _DECODE:
                raise InputError(f"unknown kind of step {describe_name(kind)}")
            sources = fields.sources(index, steps)
            if len(sources) != _SOURCES.get(kind, len(sources)):
                raise InputError(f"reads {len(sources)} steps; {kind} reads {_SOURCES[kind]}")
            steps.append(_DECODE[kind](name, sources, [steps[source] for source in sources], fields, rest))
            fields.end()
        except InputError as error:
            raise InputError(f"step {index}: {error}") from error
    rest.check_all_taken()
    return tuple(steps)


def _decode_input(name: str, _s: tuple[int], _m: Sequence[Step], fields: _Fields, rest: _Arrays) -> Step:
    height, width, channels = fields.several("shape", 3, 1, MAX_CHANNELS)
    table = rest.take("tables", channels * 256).reshape(channels, 256)
    return Input(name, (height, width, channels), fields.grid(), table)


def _decode_convolution(name: str, sources: tuple[int], maps: Sequence[Step], fields: _Fields, rest: _Arrays) -> Step:
    storage = _STORAGES.get(text := fields.text("storage"))
    if storage is None:
        raise InputError(f"unknown storage {describe_name(text)}")
    outputs = fields.whole("outputs", 1, MAX_CHANNELS)
    groups = fields.whole("groups", 1, MAX_CHANNELS, 1)
    kernel, stride, padding = _windows(fields)
    inputs = maps[0].shape[2]
    check_channels(outputs, inputs, groups)
    shape = (outputs, *kernel, inputs // groups)
    count = outputs * kernel[0] * kernel[1] * shape[3]
    return Convolution(
        name,
        sources,
        (*window_count(maps[0].shape, kernel, stride, padding), outputs),
        fields.grid() if "exponent" in fields.left else None,
        unpack_weights(rest.take("codes", packed_size(count, storage)), shape, storage),
        rest.take("biases", outputs),
        unpack_multipliers(rest.take("multipliers", outputs), fields.whole("scale", -MAX_SCALE, MAX_SCALE)),
        storage,
        stride,
        padding,
        groups,
        fields.whole("low", 0, 255, 0),
        fields.whole("high", 0, 255, 255),
    )


def _windows(fields: _Fields) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    kernel = fields.several("kernel", 2, 1, MAX_SIDE)
    stride = fields.several("stride", 2, 1, MAX_SIDE, 1)
    top, left, bottom, right = fields.several("padding", 4, 0, MAX_SIDE, 0)
    return (kernel[0], kernel[1]), (stride[0], stride[1]), (top, left, bottom, right)


def _decode_addition(name: str, sources: tuple[int, int], maps: Sequence[Step], fields: _Fields, _: _Arrays) -> Step:
    clip = fields.whole("low", 0, 255, 0), fields.whole("high", 0, 255, 255)
    return Addition(name, sources, maps[0].shape, fields.grid(), *clip)


def _decode_max_pooling(name: str, sources: tuple[int], maps: Sequence[Step], fields: _Fields, _: _Arrays) -> Step:
    windows = _windows(fields)
    shape = (*window_count(maps[0].shape, *windows), maps[0].shape[2])
    return MaxPooling(name, sources, shape, _grid_of(maps), *windows)


def _decode_average_pooling(name: str, sources: tuple[int], maps: Sequence[Step], fields: _Fields, _: _Arrays) -> Step:
    kernel, stride, padding = _windows(fields)
    if padding != (0, 0, 0, 0):
        raise InputError("an average has no padding")
    shape = (*window_count(maps[0].shape, kernel, stride, padding), maps[0].shape[2])
    return AveragePooling(name, sources, shape, fields.grid(), kernel, stride)


def _decode_lookup(name: str, sources: tuple[int], maps: Sequence[Step], fields: _Fields, rest: _Arrays) -> Step:
    return Lookup(name, sources, maps[0].shape, fields.grid(), rest.take("tables", 256))


def _decode_subsampling(name: str, sources: tuple[int], maps: Sequence[Step], fields: _Fields, _: _Arrays) -> Step:
    stride = fields.whole("stride", 1, MAX_SIDE, 1)
    height, width, _channels = maps[0].shape
    shape = (-(-height // stride), -(-width // stride), fields.whole("channels", 1, MAX_CHANNELS))
    return Subsampling(name, sources, shape, _grid_of(maps), stride, fields.whole("before", 0, MAX_CHANNELS, 0))


def _decode_concatenation(name: str, sources: tuple[int, ...], maps: Sequence[Step], _f: _Fields, _: _Arrays) -> Step:
    if not maps:
        raise InputError("reads no step")
    shape = (*maps[0].shape[:2], sum(source.shape[2] for source in maps))
    return Concatenation(name, sources, shape, _grid_of(maps))


def _grid_of(maps: Sequence[Step]) -> Grid:
    grid = maps[0].grid
    assert grid is not None, "sources are never logits"
    return grid


_SOURCES = {"input": 0, "conv": 1, "add": 2, "max_pool": 1, "average_pool": 1, "lookup": 1, "subsample": 1}
_DECODE: dict[str, Callable[..., Step]] = {
    "input": _decode_input,
    "conv": _decode_convolution,
    "add": _decode_addition,
    "max_pool": _decode_max_pooling,
    "average_pool": _decode_average_pooling,
    "lookup": _decode_lookup,
    "subsample": _decode_subsampling,
    "concat": _decode_concatenation,
}
