import json

from greenshift.energy import machine


def test_this_machine_is_described():
    here = machine()
    assert here.cpu
    assert 1 <= here.usable_cores <= here.cores
    assert here.ram_bytes > 2**28
    for probe in (here.rapl, here.nvml, here.cgroup, here.codecarbon, here.claim):
        assert probe.reason
    assert json.loads(json.dumps(here.to_json()))["cores"] == here.cores


def test_the_processor_is_read_from_the_kernels_file(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast CPU\nflags\t\t: fpu amx_int8 avx2 avx512_vnni\n")
    here = machine(cpuinfo)
    assert here.cpu == "Fast CPU"
    assert here.isa == ("avx2", "avx512_vnni", "amx_int8")


def test_without_the_kernels_file_the_processor_is_named_by_its_architecture(tmp_path):
    here = machine(tmp_path / "none")
    assert here.cpu
    assert here.isa == ()
