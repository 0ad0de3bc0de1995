from __future__ import annotations

import ssl

import pymysql
import pytest

from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.mysql.failures import LOST, TRANSIENT, translate

WHERE = "side a (db1:3306)"
VALUE = "4111-1111-1111-1111"


@pytest.mark.parametrize(
    ("number", "message", "named"),
    [
        (1062, f"Duplicate entry '{VALUE}' for key 'orders.uk_card'", "uk_card"),
        (1062, f"Duplicate entry '{VALUE}' for key 'uk_card'", "uk_card"),
        (1366, f"Incorrect string value: '{VALUE}' for column 'card' at row 1", "card"),
        (1366, f"Incorrect integer value: '{VALUE}' for column `shop`.`o`.`card` at row 1", ""),
        (1292, f"Truncated incorrect DOUBLE value: '{VALUE}'", ""),
        (1064, f"You have an error in your SQL syntax near '{VALUE}' at line 1", ""),
        (1644, VALUE, ""),
        (1452, "Cannot add (`shop`.`i`, CONSTRAINT `fk_order` FOREIGN KEY (`o`) ...)", "fk_order"),
        (3819, "Check constraint 'positive' is violated.", "positive"),
        (4025, "CONSTRAINT `positive` failed for `shop`.`o`", "positive"),
        (1146, "Table 'shop.nope' doesn't exist", "shop.nope"),
        (
            1142,
            "SELECT with locking clause command denied to user 'u'@'h' for table 'o'",
            "locking",
        ),
        (1142, "SELECT command denied to user 'u'@'h' for table `shop`.`orders`", "SELECT on"),
        (
            1227,
            "Access denied; you need (at least one of) the REPLICATION CLIENT privilege(s) for this",
            "CLIENT",
        ),
        (9999, VALUE, "9999"),
    ],
)
def test_a_refusal_keeps_names_and_never_values(number, message, named):
    refused = translate(pymysql.err.OperationalError(number, message), WHERE)
    assert isinstance(refused, StatementRefused)
    assert refused.errno == number
    assert VALUE not in str(refused)
    assert named in str(refused)
    assert str(refused).startswith(WHERE)


def test_a_value_that_looks_like_a_key_name_is_not_taken_for_one():
    message = f"Duplicate entry 'x' for key '{VALUE}' for key 't.PRIMARY'"
    refused = translate(pymysql.err.IntegrityError(1062, message), WHERE)
    assert VALUE not in str(refused)
    assert refused.on_primary_key


def test_another_unique_key_is_not_the_primary_key():
    refused = translate(
        pymysql.err.IntegrityError(1062, "Duplicate entry 'PRIMARY' for key 'uk'"), WHERE
    )
    assert not refused.on_primary_key


@pytest.mark.parametrize("number", sorted(TRANSIENT))
def test_what_may_be_retried_is_transient(number):
    error = translate(pymysql.err.OperationalError(number, f"text {VALUE}"), WHERE)
    assert isinstance(error, TransientDatabaseError)
    assert error.retryable
    assert error.errno == number
    assert VALUE not in str(error)


@pytest.mark.parametrize("number", sorted(LOST | {0, 1180, 1317, 1290, 3024}))
def test_a_commit_without_a_clear_answer_is_an_unknown_outcome(number):
    error = translate(pymysql.err.OperationalError(number, "x"), WHERE, committing=True)
    assert isinstance(error, OutcomeUnknown)
    assert not error.retryable


@pytest.mark.parametrize("number", [1205, 1213])
def test_a_commit_that_the_server_rolled_back_is_transient(number):
    error = translate(pymysql.err.OperationalError(number, "x"), WHERE, committing=True)
    assert isinstance(error, TransientDatabaseError)


def test_a_closed_connection_is_a_lost_one():
    assert isinstance(translate(pymysql.err.InterfaceError(0, ""), WHERE), TransientDatabaseError)


def test_a_certificate_that_does_not_fit_is_not_retried():
    error = pymysql.err.OperationalError(2003, "Can't connect")
    error.original_exception = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused = translate(error, WHERE)
    assert isinstance(refused, StatementRefused)
    assert "TLS" in str(refused)
