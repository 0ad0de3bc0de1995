"""No message of ours holds the password of a URL that stands in the wrong place."""

import pytest

from syncer.cli.masking import masked
from syncer.clock import SystemClock
from syncer.core.mark import Reason
from syncer.ledger import Ledger

URLS = [
    "mysql://syncer:S3CR-3T@db1:3306",
    "mariadb://syncer:S3CR%403T%2Fx@db1.example.com:3306/shop",
    "mysql://syncer:S3CR@3T:1/x?y#z@db1.example.com",
    "mysql://sync@er:S3CR'\"\\ 3T@db1.example.com/shop",
    "mysql://syncer:12?S3CR=3T@db1.example.com",
    "mysql://:S3CR\t3T@[::1]:3306",
]
OTHERS = [
    "syncer:S3CR3T@db1.example.com",
    "h=db1,P=3306,u=syncer,p=S3CR3T,D=shop.x",
    "p=S3CR\\,3T,h=db1.x",
]
PLACES = [
    "URL",
    "rnu URL",
    "status URL",
    "status -c URL",
    "status --ledger URL",
    "conflicts URL",
    "conflicts list URL",
    "conflicts list --since URL",
    "conflicts list --where URL",
    "conflicts list --status URL",
    "conflicts list --limit URL",
    "conflicts list --table URL",
    "conflicts show URL",
    "conflicts resolve URL --take a",
    "conflicts resolve 1 --take URL",
    "conflicts resolve 1 --take skip --for URL",
    "conflicts apply URL",
    "conflicts export -o URL",
    "conflicts revert URL",
    "undo URL",
    "undo --since URL",
    "guard confirm URL",
    "guard reject URL",
    "policy explain URL",
    "policy explain shop.x --rule URL",
    "config init URL",
    "config show --map URL",
    "config show --tables URL",
    "config show --ledger URL",
    "config show --pause-file URL",
    "config show --replica a=URL",
    "config show --max-load a=URL",
    "config show URL",
    "check URL",
    "check URL URL",
    "check URL URL URL",
    "run URL URL --map URL",
    "run URL URL --tables URL",
    "run URL URL --replica a=URL",
    "run URL URL --replica URL",
    "run URL URL --max-load URL",
    "run URL URL --chunk-size URL",
    "run URL URL --heartbeat URL",
    "run URL URL --direction URL",
    "run --URL",
    "run -c URL",
    "verify -c URL",
]


LISTS_AND_FILES = ("--map", "--tables", "--replica", "--max-load", "config", "-o")
"""Where what is no URL may be a name."""


@pytest.mark.parametrize(
    ("place", "url"),
    [(place, url) for place in PLACES for url in URLS]
    + [
        (place, url)
        for place in PLACES
        if not any(word in place for word in LISTS_AND_FILES)
        for url in OTHERS
    ],
)
def test_a_password_in_the_wrong_place_is_not_printed(syncer, place, url):
    with Ledger.open("syncer.db", pair_id="p", identity={}, clock=SystemClock()) as ledger:
        ledger.start({}, [], Reason.BASELINE)
    words = [word.replace("URL", url) for word in place.split()]
    for more in ([], ["--json"]):
        result = syncer(*words, *more)
        for piece in ("S3CR", "3T", "%2Fx", "1/x?y#z"):
            assert piece not in result.out + result.err, result.out + result.err


def test_what_else_is_in_the_message_stays():
    wrong = "Got unexpected extra arguments ({}) (see syncer status --help)"
    given = ["status", "mysql://u:one@db1:3306", "mysql://u:t@o@db2/shop"]
    assert masked(wrong.format(" ".join(given[1:])), given) == wrong.format(
        "mysql://u:***@db1:3306 mysql://u:***@db2/shop"
    )
    assert masked("'a=mysql://u:p'w@db3:1' is wrong") == "'a=mysql://u:***@db3:1' is wrong"
    assert masked("mysql:/u:pw@db1: no such file") == "mysql:/u:***@db1: no such file"
    assert masked("'mysql://u:half' is wrong") == "'mysql://u:***' is wrong"
    assert masked("(h=db1,u=x,p=pw,D=y)") == "(h=db1,u=x,p=***,D=y)"


@pytest.mark.parametrize(
    "message",
    [
        "this is no URL and no DSN: write mysql://user@host:3306/database or h=host,P=port,u=user,D=database",
        "the URL cannot be read: write mysql://user@host:3306/database, and percent-encode @ : / ? #",
        "side a (db1:3306): Access denied for user 'syncer'@'%' (error 1045)",
        "no user for db1:3306: write mysql://user@host:3306/database, or name one in ~/.my.cnf",
        "missing: GRANT SELECT ON shop.* TO 'syncer'@'%'; side b (10.0.0.1:3306): GRANT ALL",
        "'mysql://db1:3306' names no table: write database.table",
        "a: user@host: p=1",
    ],
)
def test_a_message_without_a_password_stays_as_it_is(message):
    assert masked(message, ["status", "mysql://user@host:3306", "a=b"]) == message
