"""Exported C on emulated microcontrollers: the same logits, within the memory, with counted instructions."""

import shutil

import numpy as np
import pytest
from random_networks import BINARY, SHIFT4, Builder, everything, residual

from greenshift.deploy.c_export import export_c, verify_c
from greenshift.deploy.c_export.instructions import Block, executed, read_disassembly
from greenshift.deploy.c_export.machines import machines_of
from greenshift.targets import load_target

TARGETS = ("cortex-m0", "cortex-m0:slow-multiplier", "cortex-m3", "cortex-m4", "cortex-m7", "rv32imc", "rv32ic")


def target_or_skip(name):
    machine = machines_of(name)[0]
    missing = [tool for tool in (machine.compiler, machine.emulator[0]) if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    return load_target(name)


def one_convolution():
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(8, 8, 16, 0), 16, storage=SHIFT4)
    b.linear(b.average_pool(x, 8), 4)
    return b.network()


@pytest.mark.parametrize("name", TARGETS)
def test_outputs_sizes_and_instructions(tmp_path, name):
    target = target_or_skip(name)
    network = one_convolution()
    report = export_c(network, target, tmp_path)
    verification = verify_c(tmp_path, target)
    assert verification.skipped == ()
    _, run = verification.runs
    assert run.identical
    assert report.ram_bytes <= run.ram_bytes <= report.ram_bytes + 64
    assert 0.5 * report.flash_bytes < run.flash_bytes < 1.2 * report.flash_bytes
    assert network.macs < run.instructions < 4 * network.macs
    assert (run.cycles is None) == (name == "cortex-m7")


def test_every_step_runs_on_the_smallest_core(tmp_path):
    target = target_or_skip("cortex-m0")
    export_c(everything(4), target, tmp_path)
    run = verify_c(tmp_path, target).runs[1]
    assert (run.machine, run.identical) == ("Cortex-M0 (microbit)", True)


def test_counted_bits_run_on_the_smallest_core(tmp_path):
    target, b = target_or_skip("cortex-m0"), Builder(np.random.default_rng(0))
    x = b.conv(b.signs(b.input(8, 8, 32)), 32, storage=BINARY)
    b.linear(b.average_pool(x, 8), 4)
    network, runs = b.network(), {}
    for only in (None, "generated"):
        export_c(network, target, tmp_path / str(only), only=only)
        runs[only] = verify_c(tmp_path / str(only), target).runs[1]
        assert runs[only].identical
    assert runs[None].cycles < runs["generated"].cycles
    assert runs[None].flash_bytes < runs["generated"].flash_bytes / 2
    assert runs[None].ram_bytes < runs["generated"].ram_bytes / 2


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m3", "cortex-m4", "rv32imc"])
def test_counted_cycles_are_within_the_factor_of_the_modelled_ones(tmp_path, name):
    """Also of narrow networks, where the work around the sums is the larger part."""
    target = target_or_skip(name)
    for number, network in enumerate((one_convolution(), everything(1), residual(0, blocks=2, channels=4, size=12))):
        report = export_c(network, target, tmp_path / str(number))
        run = verify_c(tmp_path / str(number), target).runs[1]
        assert 1 / report.factor < run.cycles / report.cycles < report.factor, (network.steps[1].name, number)


def test_generated_code_beats_int8_by_what_it_should(tmp_path):
    """The figures to reach: 2.5 times with a multiplier of one cycle, 10 times with one of 32 and without any."""
    for name, least in (("cortex-m0", 2.5), ("cortex-m0:slow-multiplier", 10), ("rv32ic", 10)):
        target = target_or_skip(name)
        cycles = {}
        for only in ("generated", "loops"):
            export_c(one_convolution(), target, tmp_path / only, only=only)
            cycles[only] = verify_c(tmp_path / only, target).runs[1].cycles
        assert cycles["loops"] / cycles["generated"] > least, name


LISTING = """
prog:     file format elf32-littlearm

00000000 <f>:
   0:\tb570      \tpush\t{r4, r5, r6, lr}
   2:\t7803      \tldrb\tr3, [r0, #0]
   4:\t434b      \tmuls\tr3, r1
   6:\td1fc      \tbne.n\t2 <f+0x2>
   8:\tbd70      \tpop\t{r4, r5, r6, pc}
"""


@pytest.mark.parametrize(
    ("core", "cycles"),
    [("cortex-m0", 5 + 20 + 10 + 10 + 18 + 5 + 3), ("cortex-m0.small-multiply", 5 + 20 + 320 + 10 + 18 + 5 + 3)],
)
def test_cycles_are_those_of_the_manual(core, cycles):
    """Push, then ten times load, multiply and branch, nine of them taken, then pop of the program counter."""
    blocks = [Block(0, 2, 1, 0), Block(2, 8, 10, 9), Block(8, 10, 1, 1)]
    mix = executed(blocks, read_disassembly(LISTING), [], core)
    assert mix.instructions == 1 + 30 + 1
    assert mix.cycles == cycles


def test_the_test_around_the_network_does_not_count():
    blocks = [Block(2, 8, 10, 9), Block(8, 10, 1, 1)]
    assert executed(blocks, read_disassembly(LISTING), [(2, 8)], "cortex-m0").instructions == 1
