"""The table, the page and the chart."""

import xml.etree.ElementTree as ET

import pytest

from benchmark import chart, report
from benchmark.result import Sense, Target, judge


def results():
    return [
        judge(1, "tail <bulk>", "mysql", "rows/s", [60_000], Target(Sense.FASTER, 30), peer=[1000]),
        judge(3, "compare", "mariadb", "s", [2.6], Target(Sense.COST, 1.3), peer=[1.0]),
        judge(8, "visible", "mysql", "ms", [3.0], Target(Sense.LIMIT, 30), note="by hand"),
        judge(4, "drift", "mysql", "s", [2.0], Target(Sense.FASTER, 6), note="no peer here"),
    ]


def test_the_table_says_all_and_lines_up():
    lines = report.table(results()).splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["1", "3", "8", "4"]
    assert "60,000" in lines[2]
    assert " yes " in lines[2]
    assert " NO " in lines[3]
    columns = lines[0].index("flavour")
    assert {line[columns:].split()[0] for line in lines[2:6]} == {"mysql", "mariadb"}
    assert lines[6:] == ["8 mysql, visible: by hand", "4 mysql, drift: no peer here"]


def test_the_page_keeps_what_is_around_the_results():
    page = "head\n<!-- results -->\nold\n<!-- end of results -->\ntail\n"
    made = report.page(page, results(), ["two cores"])
    assert made.startswith("head\n")
    assert made.endswith("\ntail\n")
    assert "old" not in made
    assert "- two cores" in made
    assert report.page(made, results(), ["two cores"]) == made


def test_a_page_without_a_place_for_results_is_refused():
    with pytest.raises(ValueError, match="results"):
        report.page("head", results(), [])


def test_margins_are_times_better_than_the_target():
    found = [chart.margin(result) for result in results()]
    assert found == [pytest.approx(2.0), pytest.approx(0.5), pytest.approx(10.0), None]


def test_the_chart_is_well_formed_and_has_a_bar_per_result_that_was_judged():
    root = ET.fromstring(chart.svg(results()))
    bars = [
        element
        for element in root.iter("{http://www.w3.org/2000/svg}rect")
        if element.get("fill") != "#ffffff"
    ]
    assert [bar.get("fill") for bar in bars] == ["#2e7d32", "#c62828", "#2e7d32"]
    width = float(root.get("width"))
    assert all(
        float(b.get("x")) >= 0 and float(b.get("x")) + float(b.get("width")) <= width for b in bars
    )
