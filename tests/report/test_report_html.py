import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from report_browser import browser, open_report, require_browser, screenshot
from report_samples import CONFIG, CONSUMED, evaluation, reading, study
from typer.testing import CliRunner

from greenshift.cli.options import study_config, with_study_options
from greenshift.config import StudyConfig, to_mapping
from greenshift.errors import InputError
from greenshift.report.render import write_report
from greenshift.report.reproduction import search_command

SELECTIONS = [
    {
        "trial": 12,
        "test_error": {"mean": 0.021, "std": 0.002},
        "seeds": [0, 1, 2],
        "artifact": "t.safetensors",
        "reading": reading(2.16).to_json(),
        "packed": {"size_bytes": 25_832, "latency_s": 1.1e-5, "kernel": "vnni", "provenance": "measured"},
    }
]


class Parser(HTMLParser):
    """Collects what a page would fetch, its headings and its text outside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.scripts = 0
        self.text = ""
        self._raw = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attributes if name in ("src", "href", "action", "data")]
        self.scripts += tag == "script"
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._raw &= tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._raw else " " + data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    return write_report(CONFIG, study(), CONSUMED, SELECTIONS, path)


def parse(path: Path) -> Parser:
    parser = Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def words(path: Path) -> str:
    return re.sub(r"\s+", " ", parse(path).text)


def test_the_page_fetches_nothing_and_holds_plotly_once(page: Path) -> None:
    parser = parse(page)
    assert parser.references == ["data:,"]
    assert parser.scripts == 3
    source = page.read_text(encoding="utf-8")
    assert source.count("* plotly.js (basic - minified) v") == 1
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_section_is_there_with_units_and_provenance(page: Path) -> None:
    text = words(page)
    for part in (
        "Which tiny_cnn for digits should run on cortex-m4",
        "94.0 µJ modelled",
        "684 J (estimated)",
        "72.4 mgCO2e",
        "381 gCO2e/kWh (the study's own setting), PUE 1",
        "CPU time x 4 W per core",
        "41.3 million",
        "never",
        "2.10 % ± 0.20 %",
        "greenshift search --optimizer random --fidelity epochs --min-fidelity 2 --max-fidelity 18 --max-size 256kB",
        "the loss is not finite in epoch",
        "float32 half width",
    ):
        assert part in text
    assert "0.000000" not in text
    assert "None" not in text
    assert "nan" not in text.split()


def test_a_search_without_energy_says_so(tmp_path: Path) -> None:
    text = words(write_report(CONFIG, study(), reading(3.0, None), [], tmp_path / "r.html"))
    assert "The search took not measured" not in text
    assert "The energy of the search was not measured" in text
    assert "unknown" in text


def test_an_empty_study_has_a_report(tmp_path: Path) -> None:
    text = words(write_report(CONFIG, [], CONSUMED, [], tmp_path / "r.html"))
    assert "No trial has finished yet." in text
    assert "Nothing to draw yet." in text
    assert "This study trained no baselines" in text


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script>"
    failed = evaluation(1, outcome="failed", reason=bad, configuration={"optimizer": bad})
    fine = replace(evaluation(0), configuration={"optimizer": bad})
    other = replace(evaluation(2, 0.04, 2e-6), configuration={"optimizer": "SGD"})
    path = write_report({**CONFIG, "model": bad}, [fine, other, failed], CONSUMED, [], tmp_path / "r.html")
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    assert parse(path).scripts == 3


def test_a_report_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(CONFIG, [], CONSUMED, [], tmp_path / "file" / "report.html")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_report(CONFIG, [], CONSUMED, [], folder)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", folder]


def test_the_command_line_gives_the_same_study_again() -> None:
    config = StudyConfig(
        data="my images@64",
        warm_start=("runs/my first, with a comma", "runs/second"),
        prior={"lr": 0.05, "weight_bits": 4, "shift_type": "PS"},
        fidelity="epochs",
        fidelity_min=3,
        fidelity_max=9,
        objectives=("error", "size_bytes"),
        max_energy="60%",
        baselines=False,
        cpu_watts=5.5,
        carbon_intensity_g_per_kwh=100.0,
        budget="9trials,2kJ",
        seed=7,
    )
    read: list[StudyConfig] = []
    app = typer.Typer()

    @app.command()
    @with_study_options
    def search(**given: object) -> None:
        read.append(study_config(None, given))

    command = shlex.split(search_command(to_mapping(config)))
    result = CliRunner().invoke(app, command[2:])
    assert result.exit_code == 0, result.output
    assert read == [config]
    assert search_command(to_mapping(StudyConfig())) == "greenshift search"


def test_a_browser_draws_the_page_without_a_network_and_without_an_error(page: Path, tmp_path: Path) -> None:
    require_browser()
    with browser(tmp_path / "profile") as driver:
        open_report(driver, page)
        drawn = driver.execute_script(
            "return [...document.querySelectorAll('.plot')].map(p =>"
            " [p.id, p.querySelectorAll('svg.main-svg').length, p.querySelectorAll('.points path').length])"
        )
        points = {name: count for name, svgs, count in drawn if svgs > 0}
        assert points["plot-front"] >= 37
        assert points["plot-hypervolume"] == 36
        assert points["plot-curves"] >= 18 * 9
        assert points["plot-configurations"] >= 9
        titles = driver.execute_script(
            "return [...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)"
        )
        assert titles
        assert not [title for title in titles if "share" in title.lower() or "cloud" in title.lower()]
        assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
        shown = driver.execute_script(
            "const s = document.querySelector('select[data-figure=front]'); s.value = 2;"
            "s.dispatchEvent(new Event('change'));"
            "return document.getElementById('plot-front').layout.xaxis.title.text"
        )
        assert shown == "stored size on cortex-m4, modelled"
        first = driver.execute_script(
            "const t = document.querySelector('#section-front table'); t.tHead.rows[0].cells[3].click();"
            "return [...t.tBodies[0].rows].map(r => Number(r.cells[3].dataset.sort))"
        )
        assert first == sorted(first)
        assert len(first) > 3
        assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        screenshot(driver, tmp_path / "report.png")
        severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []
    assert (tmp_path / "report.png").stat().st_size > 50_000


def test_a_broken_page_would_be_noticed(page: Path, tmp_path: Path) -> None:
    require_browser()
    broken = tmp_path / "broken.html"
    source = page.read_text(encoding="utf-8")
    broken.write_text(source.replace("</body>", '<img src="https://example.org/x.png"></body>'), encoding="utf-8")
    with browser(tmp_path / "profile") as driver:
        open_report(driver, broken)
        severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe


def test_a_selected_network_has_its_packed_size_and_its_latency_on_the_host(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "25.8 kB" in text
    assert "11.0 µs <small>measured, vnni</small>" in text
