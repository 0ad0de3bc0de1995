"""Log lines hold no secret, whatever they are made of."""

import io
import json
import logging

import pytest
import structlog

from syncer.errors import StatementRefused
from syncer.telemetry import logs

SECRET = "s3cret-4711"


@pytest.fixture
def out():
    yield io.StringIO()
    logs.configure(level="warning")
    structlog.reset_defaults()


def fail():
    hidden = SECRET
    try:
        try:
            raise KeyError(hidden)
        except KeyError as error:
            raise StatementRefused("side a: refused") from error
    except StatementRefused:
        raise ValueError(f"invalid literal: {hidden}")  # noqa: B904 - a context, no cause


@pytest.mark.parametrize("style", ["console", "json"])
@pytest.mark.parametrize("logger", ["ours", "a dependency's"])
@pytest.mark.parametrize("how", [True, "error"])
def test_a_traceback_names_kinds_and_places_and_no_text_of_others(out, style, logger, how):
    logs.configure(style=style, level="debug", stream=out)
    log = structlog.get_logger() if logger == "ours" else logging.getLogger("pymysqlreplication")
    try:
        fail()
    except ValueError as error:
        log.exception("command.failed", exc_info=how if how is True else error)
    text = out.getvalue()
    assert SECRET not in text
    assert [word in text for word in ("KeyError", "ValueError", "in fail")] == [True] * 3
    assert "StatementRefused: side a: refused" in text
    if style == "json":
        assert json.loads(text)["exception"].startswith("Traceback")
