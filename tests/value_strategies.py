"""Random designs and schemes for property tests."""

from typing import get_args

from hypothesis import strategies as st

from greenshift.activations import ACTIVATIONS, Activation
from greenshift.design import Design, Distillation, Optimization, OptimizerName, Pruning, Recipe, ScheduleName
from greenshift.schemes import Binary, Depth, PowerOfTwo, Shift, Ternary, Uniform

shifts = st.builds(
    Shift,
    kind=st.sampled_from(["Q", "PS"]),
    weight_bits=st.integers(2, 8),
    act_integer_bits=st.integers(1, 32),
    act_fraction_bits=st.integers(0, 32),
    rounding=st.sampled_from(["deterministic", "stochastic"]),
    original=st.booleans(),
)
ternaries = st.builds(Ternary, st.integers(2, 8), st.floats(0, 1, exclude_max=True), st.booleans())
uniforms = st.builds(
    Uniform, st.integers(2, 8), st.integers(2, 8), st.booleans(), st.sampled_from(["range", "learned"])
)
powers_of_two = st.builds(
    lambda width, *rest: PowerOfTwo(width[0], terms=width[1], act_bits=rest[0], scale=rest[1], step=rest[2]),
    st.sampled_from([(2, 1), (3, 1), (4, 1), (4, 2), (5, 2), (6, 2), (7, 2)]),
    st.integers(2, 8),
    st.sampled_from(["mse", "max"]),
    st.sampled_from(["range", "learned"]),
)
binaries = st.builds(Binary, st.integers(1, 8), st.sampled_from(["approx", "clipped"]))
schemes = st.one_of(shifts, uniforms, ternaries, powers_of_two, binaries)
depths = st.builds(Depth, st.integers(0, 200), st.sampled_from(["output", "input"]))
keys = st.one_of(depths, st.sampled_from(["*", "conv1", "layer*.conv?", "features.0"]))
optimizations = st.builds(
    Optimization,
    name=st.sampled_from(get_args(OptimizerName)),
    lr=st.floats(1e-6, 10),
    momentum=st.floats(0, 0.999),
    weight_decay=st.floats(0, 1),
    schedule=st.sampled_from(get_args(ScheduleName)),
    warmup=st.floats(0, 0.9),
    nesterov=st.booleans(),
)
recipes = st.builds(
    Recipe,
    epochs=st.integers(1, 1000),
    batch_size=st.integers(1, 4096),
    optimization=optimizations,
    augment=st.sampled_from(["none", "crop", "crop-flip"]),
    label_smoothing=st.floats(0, 0.5),
    distillation=st.none() | st.builds(Distillation, st.floats(0.1, 20), st.floats(0, 1)),
)
activations = st.builds(Activation, st.sampled_from(ACTIVATIONS), st.booleans())
prunings = st.one_of(
    st.builds(
        Pruning,
        sparsity=st.floats(0.01, 0.99),
        schedule=st.sampled_from(["one-shot", "gradual"]),
        keep_first=st.booleans(),
        keep_last=st.booleans(),
        scope=st.sampled_from(["global", "layer"]),
    ),
    st.integers(2, 16).flatmap(
        lambda size: st.integers(1, size - 1).map(lambda kept: Pruning(1 - kept / size, f"{kept}:{size}"))
    ),
)
designs = st.builds(
    Design,
    backbone=st.sampled_from(["resnet20", "tiny_cnn", "timm:resnet18", "mine.nets:Net"]),
    width=st.floats(0.1, 4),
    schemes=st.lists(st.tuples(keys, schemes), max_size=4).map(tuple),
    recipe=recipes,
    pruning=st.one_of(st.none(), prunings),
    depth=st.floats(0.1, 4),
    blocks=st.sampled_from(["dense", "separable", "bottleneck"]),
    resolution=st.none() | st.integers(1, 64),
    activations=st.lists(st.tuples(st.sampled_from(["*", "relu?"]), activations), max_size=3).map(tuple),
)
