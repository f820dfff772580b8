"""Pages: whole, without the network, with the command that makes them again; in a browser they draw, hover and sort."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from studies.cli import main
from studies.html_page import Section, chart, render_page
from studies.html_table import find_front, sweep_sections


def make_page(tmp_path: Path, *words: str) -> str:
    path = tmp_path / "page.html"
    run = CliRunner().invoke(main, ["report", *words, "--html", str(path)])
    assert run.exit_code == 0, run.output
    return path.read_text(encoding="utf-8")


class Links(HTMLParser):
    """Collects what a page would fetch, and its headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.headings: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "h2"
        given = dict(attrs)
        if tag in ("script", "img", "link", "iframe"):
            self.fetched += [value for key in ("src", "href") if (value := given.get(key))]

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.headings.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def test_the_page_of_a_design_has_every_section_and_fetches_nothing(tmp_path: Path) -> None:
    page = make_page(tmp_path, "attention_1pass", "fusemax", "M=4096", "--workload", "bert", "--set", "pe2d.rows=128")
    links = Links(page)
    assert links.fetched == []
    assert links.headings == [
        "The answer",
        "The cascade",
        "The roofline",
        "Where time goes",
        "Where energy goes",
        "When each Einsum runs",
        "What more of each number buys",
    ]
    assert "attnsim report attention_1pass fusemax M=4096 --html" in page
    assert "--set pe2d.rows=128" in page
    assert "<h1>attention_1pass on fusemax with pe2d.rows=128, by " in page


def test_the_page_of_a_study_holds_its_card_figures_and_tables(tmp_path: Path) -> None:
    links = Links(make_page(tmp_path, "sram"))
    assert links.headings[0] == "The card"
    assert len(links.headings) >= 3


def test_the_page_of_a_sweep_shows_its_front_and_why_points_cannot_be(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "rows": [64, 128, 256],
            "latency_s": [3.0, 2.0, None],
            "energy_j": [1.0, 2.0, None],
            "feasible": [True, True, False],
            "why": ["", "", "does not fit"],
        }
    )
    sections = list(sweep_sections(table))
    assert sections[0].rows == [{"designs": 1, "why they cannot be": "does not fit"}]
    front = next(s for s in sections if s.title == "Latency against energy_j")
    assert front.chart is not None
    assert front.chart["data"][1]["text"] == ["rows = 128", "rows = 64"]


def test_without_plotly_nothing_is_computed_and_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import studies.html_page
    import studies.study

    def never(*_: object) -> None:
        raise AssertionError("the study is run although its page cannot be written")

    monkeypatch.setattr(studies.html_page, "find_spec", lambda name: None)
    monkeypatch.setattr(studies.study, "load_study", never)
    run = CliRunner().invoke(main, ["report", "sram", "--html", str(tmp_path / "x.html")])
    assert run.exit_code == 4
    assert 'a report needs Plotly: pip install ".[report]"' in run.stderr


def test_no_point_of_a_front_is_beaten_and_every_other_is() -> None:
    first, second = [1.0, 2.0, 2.0, 3.0, 4.0], [9.0, 5.0, 6.0, 7.0, 1.0]
    front = find_front(first, second)
    assert front == [0, 1, 4]
    for n in set(range(5)) - set(front):
        assert any(first[k] <= first[n] and second[k] <= second[n] for k in front)


def test_text_is_escaped_in_pages() -> None:
    bad = "<script>alert(1)</script>"
    figure = chart([{"type": "bar", "name": "</script>" + bad, "x": [1], "y": [1]}], x=bad, y="")
    page = render_page(bad, bad, [Section(bad, bad, chart=figure, rows=[{bad: bad}])])
    assert bad not in page
    plain = render_page("a", "b", [Section("c", "d", chart=chart([], x="", y=""), rows=[{"e": "f"}])])
    assert page.count("<script") == plain.count("<script")


def test_a_cascade_without_a_machine_is_refused(tmp_path: Path) -> None:
    run = CliRunner().invoke(main, ["report", "attention_1pass", "--html", str(tmp_path / "x.html")])
    assert run.exit_code == 2
    assert "needs a machine" in run.stderr
    assert not list(tmp_path.iterdir())


def test_a_table_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n", encoding="utf-8")
    run = CliRunner().invoke(main, ["report", str(tmp_path / "a.csv"), "--html", str(tmp_path / "x.html")])
    assert run.exit_code == 4
    assert "latency_s" in run.stderr


@pytest.mark.extended
def test_in_a_browser_it_draws_hovers_and_sorts_without_errors(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    make_page(tmp_path, "attention_1pass", "fusemax", "M=4096", "--workload", "bert")
    errors: list[str] = []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"file://{tmp_path / 'page.html'}")
        assert page.locator(".chart .main-svg").count() >= 5
        section = page.locator("section", has_text="Where time goes").first
        section.locator("summary").click()
        cells = lambda: section.locator("tbody tr td:nth-child(4)").all_text_contents()  # noqa: E731
        section.locator("th", has_text="busy_s").click()
        values = [float(text) for text in cells()]
        assert values == sorted(values)
        section.locator("th", has_text="busy_s").click()
        assert [float(text) for text in cells()] == sorted(values, reverse=True)
        bar = section.locator(".point").first
        bar.scroll_into_view_if_needed()
        box = bar.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(".hoverlayer .hovertext")
        assert re.search(r"[A-Z]{2}", section.locator(".hovertext").first.text_content() or "")
        page.set_viewport_size({"width": 400, "height": 800})
        page.wait_for_function("document.documentElement.scrollWidth <= 400")
        browser.close()
    assert errors == []
