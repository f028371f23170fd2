"""CodeCarbon as a meter, for whoever wants its figure beside ours; never used for trials."""

import importlib.metadata
import importlib.util
import logging
import threading
from typing import Any

from greenshift.energy.clocks import Interval, process_clock
from greenshift.energy.probe import Probe
from greenshift.energy.reading import Reading, spread
from greenshift.errors import InputError

# Trackers side by side each report the whole machine: two of them reported 80 J where one reported 40.
_one_at_a_time = threading.Lock()
# Estimators err by up to 40 % against meters (Fischer 2025, arXiv 2509.22092), without CodeCarbon's guesses of watts,
# which are replaced by given ones here.
_FACTOR = 1.4
_J_PER_KWH = 3.6e6


def codecarbon_probe() -> Probe:
    """Say whether CodeCarbon is installed."""
    if importlib.util.find_spec("codecarbon") is None:
        return Probe(False, "not installed: pip install 'greenshift[codecarbon]'")
    return Probe(True, f"CodeCarbon {importlib.metadata.version('codecarbon')}")


class CodeCarbonMeter:
    """Estimates the whole machine's energy by one offline CodeCarbon tracker per interval.

    The tracker has its constants given and writes no files. It takes a second or two to start the first time,
    and counts neighbours in. One that gives no result, or none but zero, is a failed reading.
    """

    def __init__(
        self, cpu_watts: float, ram_watts: float, *, country: str = "DEU", period_s: float = 15.0, children: bool = True
    ) -> None:
        """Make a meter.

        Args:
            cpu_watts: Greatest power of the processor (its TDP); CodeCarbon would guess one.
            ram_watts: Power of the memory; CodeCarbon would guess it from its size.
            country: Three letters of the country whose grid CodeCarbon is told; energy does not depend on it.
            period_s: Seconds between two looks at the load.
            children: Count child processes in `cpu_s` too.

        Raises:
            InputError: If CodeCarbon is not installed, or a power is not above zero.
        """
        probe = codecarbon_probe()
        if not probe.available:
            raise InputError(f"CodeCarbon is {probe.reason}")
        for name, watts in (("cpu_watts", cpu_watts), ("ram_watts", ram_watts)):
            if not watts > 0:
                raise InputError(f"CodeCarbon: {name} must be above 0 W, not {watts}")
        self._constants: dict[str, Any] = {
            "force_cpu_power": cpu_watts,
            "force_ram_power": ram_watts,
            "country_iso_code": country,
        }
        self._period_s = period_s
        self._interval = Interval(process_clock(children))
        self._source = f"{probe.reason} of the whole machine: load x {cpu_watts:g} W CPU, {ram_watts:g} W RAM, as given"
        self._tracker: Any = None
        self._failure: str | None = None

    def start(self) -> None:
        """Begin an interval, once the tracker has started."""
        self._interval.begin()
        self._tracker, self._failure = None, None
        if not _one_at_a_time.acquire(blocking=False):
            self._failure = "another CodeCarbon tracker runs in this process"
            return
        try:
            self._tracker = self._new_tracker()
            self._tracker.start()
        except Exception as error:  # CodeCarbon's own errors have no common type
            self._tracker, self._failure = None, f"{type(error).__name__}: {error}"
            _one_at_a_time.release()
        self._interval.end()  # the tracker's own start is not the metered work
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `estimated`."""
        wall_s, cpu_s = self._interval.end()
        failed = Reading(wall_s, cpu_s, None, "estimated", self._source, (), "codecarbon")
        tracker, self._tracker = self._tracker, None
        if self._failure is not None:
            return failed.failed(self._failure)
        try:
            emissions = tracker.stop()
            data = tracker.final_emissions_data
        except Exception as error:
            return failed.failed(f"{type(error).__name__}: {error}")
        finally:
            _one_at_a_time.release()
        if emissions is None or not (data.energy_consumed or 0.0) > 0:
            return failed.failed("the tracker gave no energy")
        parts = {"cpu": data.cpu_energy, "ram": data.ram_energy, "gpu": data.gpu_energy}
        energy_j = data.energy_consumed * _J_PER_KWH
        coverage = tuple(part for part, kwh in parts.items() if kwh > 0)
        interval_j = spread(energy_j, _FACTOR)
        return Reading(wall_s, cpu_s, energy_j, "estimated", self._source, coverage, "codecarbon", interval_j)

    def _new_tracker(self) -> Any:
        import codecarbon

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it talks before it reads its own log_level
        return codecarbon.OfflineEmissionsTracker(
            tracking_mode="machine",
            measure_power_secs=self._period_s,
            output_methods=[],
            log_level="critical",
            allow_multiple_runs=True,
            pue=1.0,
            **self._constants,
        )
