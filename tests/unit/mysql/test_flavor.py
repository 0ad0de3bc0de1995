from __future__ import annotations

import pytest

from syncer.mysql.flavor import Flavor, detect


@pytest.mark.parametrize(
    ("text", "comment", "expected"),
    [
        ("8.0.36", "MySQL Community Server - GPL", (Flavor.MYSQL, (8, 0, 36))),
        ("8.4.3-3", "Percona Server", (Flavor.MYSQL, (8, 4, 3))),
        ("9.7.4-2", "(Debian)", (Flavor.MYSQL, (9, 7, 4))),
        ("10.11.19-MariaDB-0+deb12u1-log", "Debian 12", (Flavor.MARIADB, (10, 11, 19))),
        ("5.5.5-10.6.1-MariaDB", "", (Flavor.MARIADB, (10, 6, 1))),
        ("11.4.2", "mariadb.org binary distribution", (Flavor.MARIADB, (11, 4, 2))),
    ],
)
def test_a_version_text_tells_flavour_and_numbers(text, comment, expected):
    assert detect(text, comment) == expected


def test_a_text_without_a_version_is_refused():
    with pytest.raises(ValueError, match="version"):
        detect("unknown")


def test_statements_follow_the_version():
    assert Flavor.MYSQL.binlog_status((8, 0, 36)) == "SHOW MASTER STATUS"
    assert Flavor.MYSQL.binlog_status((8, 4, 0)) == "SHOW BINARY LOG STATUS"
    assert Flavor.MARIADB.binlog_status((11, 4, 2)) == "SHOW MASTER STATUS"
    assert Flavor.MYSQL.replica_status((8, 0, 21)) == "SHOW SLAVE STATUS"
    assert Flavor.MYSQL.replica_status((9, 7, 4)) == "SHOW REPLICA STATUS"
