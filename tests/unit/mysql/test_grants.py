from __future__ import annotations

from syncer.mysql.grants import granted, parse_grants


def held(line, privilege, database="*", name="*"):
    lines = [line] if isinstance(line, str) else line
    return granted(parse_grants(lines), privilege, database, name)


def test_all_privileges_are_all():
    assert held("GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION", "REPLICATION SLAVE")
    assert held("GRANT ALL PRIVILEGES ON `shop`.* TO 'u'@'%'", "DELETE", "shop", "t")


def test_a_database_grant_is_for_that_database():
    line = "GRANT SELECT, INSERT ON `shop`.* TO `u`@`%`"
    assert held(line, "INSERT", "shop", "t")
    assert not held(line, "UPDATE", "shop", "t")
    assert not held(line, "SELECT", "other", "t")
    assert not held(line, "SELECT")


def test_a_grant_on_one_table_is_for_that_table():
    line = "GRANT SELECT ON `shop`.`orders` TO `u`@`%`"
    assert held(line, "SELECT", "shop", "orders")
    assert not held(line, "SELECT", "shop", "items")


def test_patterns_match_as_the_servers_match_them():
    assert held("GRANT SELECT ON `shop\\_%`.* TO `u`@`%`", "SELECT", "shop_eu", "t")
    assert not held("GRANT SELECT ON `shop\\_%`.* TO `u`@`%`", "SELECT", "shopxeu", "t")
    assert held("GRANT SELECT ON `sh_p`.* TO `u`@`%`", "SELECT", "shop", "t")


def test_a_grant_on_some_columns_is_not_one_on_the_table():
    line = "GRANT SELECT (`a`, `b`), INSERT ON `shop`.`t` TO `u`@`%`"
    assert not held(line, "SELECT", "shop", "t")
    assert held(line, "INSERT", "shop", "t")


def test_both_names_of_a_privilege_are_one():
    assert held("GRANT BINLOG MONITOR, REPLICATION SLAVE ON *.* TO `u`@`%`", "REPLICATION CLIENT")


def test_a_partial_revoke_takes_away():
    lines = ["GRANT SELECT ON *.* TO `u`@`%`", "REVOKE SELECT ON `shop`.* FROM `u`@`%`"]
    assert not held(lines, "SELECT", "shop", "t")
    assert held(lines, "SELECT", "other", "t")


def test_roles_proxies_and_routines_are_passed_over():
    lines = [
        "GRANT `r`@`%` TO `u`@`%`",
        "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
        "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`%`",
        "GRANT USAGE ON *.* TO `u`@`%`",
    ]
    assert not any(held(lines, p, "shop", "t") for p in ("SELECT", "EXECUTE"))
