"""The protocol's page names every invariant, and only code and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from syncer.core.decision import ConflictKind
from syncer.core.policy import OnDelete, OnFk, OnNull, OnTie, Presence, RuleKind
from syncer.core.side import Direction
from tests.model.mutants import MUTANTS

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = ["protocol.md", "conflicts.md", "glossary.md"]
ALL_PAGES = [*PAGES, "model.md"]
NAMED = re.compile(r"`((?:syncer|tests|testbed)/[\w/.]+\.py)(?:::([\w.]+))?`")
SECTION = re.compile(r"^### (INV-\d+) .*\n((?:(?!^##).*\n)*)", re.MULTILINE)
LAST = 21


def page(name):
    return (DOCS / name).read_text("utf-8")


@cache
def defined(path):
    """Every name of a module: functions, classes, their methods as Class.method."""
    found = set()
    for node in ast.parse((REPOSITORY / path).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def sections():
    return {found[1]: found[2] for found in SECTION.finditer(page("protocol.md"))}


@pytest.mark.parametrize("name", ALL_PAGES)
def test_what_a_page_names_exists(name):
    missing = [
        match[0]
        for match in NAMED.finditer(page(name))
        if not (REPOSITORY / match[1]).is_file() or (match[2] and match[2] not in defined(match[1]))
    ]
    assert missing == []


def test_every_mutant_of_the_model_is_in_the_table_with_its_rule():
    rows = re.findall(
        r"^\| ([^|]+) \| `(\w+)`(?: \([^)]*\))?: ([^|]+) \|", page("protocol.md"), re.MULTILINE
    )
    assert rows == [(mutant.rule, mutant.name, mutant.text) for mutant in MUTANTS]


@pytest.mark.parametrize("name", ALL_PAGES)
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)#]+)", page(name))
    assert [link for link in links if "://" not in link and not (DOCS / link).exists()] == []


def test_every_invariant_has_its_section_in_order():
    assert list(sections()) == [f"INV-{number}" for number in range(1, LAST + 1)]


@pytest.mark.parametrize("number", range(1, LAST + 1))
def test_every_invariant_names_code_that_upholds_it_and_tests_that_hold_it(number):
    text = sections()[f"INV-{number}"]
    code, _, tests = text.partition("\nTests: ")
    assert "\nCode: " in code
    assert [match[1] for match in NAMED.finditer(code) if match[1].startswith("syncer/")]
    found = [match for match in NAMED.finditer(tests) if match[1].startswith("tests/")]
    assert found
    assert all(match[2].startswith("test_") for match in found)


def test_every_invariant_that_is_cited_exists():
    cited = {
        int(number)
        for folder in ("syncer", "tests", "docs")
        for path in (REPOSITORY / folder).rglob("*.*")
        if path.suffix in {".py", ".md", ".sql"}
        for number in re.findall(r"\bINV-(\d+)\b", path.read_text("utf-8"))
    }
    assert cited == set(range(1, LAST + 1))


def test_every_kind_rule_and_modifier_is_described():
    text = page("conflicts.md")
    for words in (ConflictKind, OnDelete, OnFk, OnTie, OnNull, Presence, Direction):
        for word in words:
            assert f"`{word.value}`" in text, word
    for rule in RuleKind:
        assert rule.value in text, rule


def test_glossary_words_are_sorted_and_told_once():
    words = re.findall(r"^\| ([^|]+?) \| ", page("glossary.md"), re.MULTILINE)[1:]
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    "word",
    "side primary stream position mark|dirty range|ledger chunk digest fence delta conflict rule decision guard apply "
    "intent checkpoint lag drain baseline cutover".replace("|", ",")
    .replace(" range", "-range")
    .split(),
)
def test_the_words_of_the_design_are_explained(word):
    for one in word.split(","):
        name = one.replace("-", " ")
        assert re.search(rf"^\| (?:[^|]*\b)?{name}\b", page("glossary.md"), re.MULTILINE), name


def test_one_sentence_per_line():
    for name in PAGES:
        for line in page(name).splitlines():
            if line.startswith(("|", " ", "-", "```", "#")):
                continue
            assert not re.search(r"[a-z)`]\. [A-Z]", line), line
