"""Configuration: what wins over what, what is refused and in which words, and that passwords stay hidden."""

import pytest

from syncer import config as configuration
from syncer.core.guard import Limit
from syncer.core.policy import OnDelete, OnTie, Presence, Rule
from syncer.core.schema import TableName
from syncer.core.side import Direction
from syncer.errors import ConfigError

URLS = {
    "a": {"url": "mysql://u:s3cret@db1:3307"},
    "b": {"url": "h=db2,P=3308,u=u,p=hush\\,hush"},
}
SHOP = {**URLS, "sync": {"tables": ("shop.*",)}}
ORDERS = TableName("shop", "orders")


@pytest.fixture(autouse=True)
def _nobody_home(monkeypatch, tmp_path):
    """Neither ~/.my.cnf nor ./syncer.toml of the machine takes part."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def load(overrides=SHOP, *, environ=None, **more):
    return configuration.load(overrides=overrides, environ=environ or {}, **more)


def file_with(tmp_path, text):
    path = tmp_path / "pair.toml"
    path.write_text(text)
    return path


def refusal(*args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_are_those_of_the_issue():
    config = load()
    assert str(config.ledger) == "syncer.db"
    assert config.policy_for(ORDERS).rule == Rule.parse("hold")
    assert config.policy_for(ORDERS).presence is Presence.COPY
    assert config.policy_for(ORDERS).direction is Direction.BOTH
    assert (config.engine.chunk_time_s, config.engine.batch_rows) == (0.5, 1000)
    assert (config.a.host, config.a.port, config.b.port) == ("db1", 3307, 3308)


def test_a_flag_goes_before_the_environment_before_the_file(tmp_path):
    path = file_with(tmp_path, "[engine]\nbatch_rows = 1\nchunk_rows_min = 2\nlock_wait_s = 3\n")
    env = {"SYNCER_ENGINE_BATCH_ROWS": "10", "SYNCER_ENGINE_CHUNK_ROWS_MIN": "20"}
    config = load({**SHOP, "engine": {"batch_rows": 100}}, environ=env, path=path)
    engine = config.engine
    assert (engine.batch_rows, engine.chunk_rows_min, engine.lock_wait_s) == (100, 20, 3)
    assert config.origins["engine.batch_rows"] == "the command line"
    assert config.origins["engine.chunk_rows_min"] == "SYNCER_ENGINE_CHUNK_ROWS_MIN"
    assert config.origins["engine.lock_wait_s"] == str(path)
    assert "engine.retry_limit" not in config.origins


def test_lists_and_names_come_from_the_environment_too(tmp_path):
    path = file_with(tmp_path, "ledger = '/elsewhere.db'\n")
    env = {
        "SYNCER_SYNC_TABLES": "shop.*, crm.people",
        "SYNCER_CONFIG": str(path),
        "SYNCER_PAIR": "p1",
    }
    config = load(URLS, environ=env)
    assert config.sync.tables == ("shop.*", "crm.people")
    assert str(config.ledger) == "/elsewhere.db"
    assert config.pair_id == "p1"


def test_the_file_in_the_working_directory_is_read_only_without_urls(tmp_path):
    (tmp_path / "syncer.toml").write_text("ledger = 'mine.db'\n")
    assert str(load({}, need_pair=False).ledger) == "mine.db"
    assert str(load(SHOP).ledger) == "syncer.db"


def test_a_url_further_up_replaces_the_whole_side(tmp_path):
    """The password file of one server must never be read for another one."""
    path = file_with(tmp_path, "[a]\nhost = 'old'\nuser = 'u'\npassword_file = '/does/not/exist'\n")
    assert load(SHOP, path=path).a.password.reveal() == "s3cret"
    env = {"SYNCER_A_URL": "mysql://u:x@new"}
    assert load({**SHOP, "a": {}}, path=path, environ=env).a.host == "new"


def test_later_table_entries_win_key_by_key_and_unset_keys_fall_back():
    config = load(
        {
            **SHOP,
            "sync": {"tables": ("shop.*",), "direction": "a-to-b"},
            "policy": {"rule": "prefer:a", "presence": "hold"},
            "table": [
                {"match": "shop.*", "rule": "newest:u", "on_tie": "a", "on_delete": "delete_wins"},
                {
                    "match": "shop.orders",
                    "direction": "both",
                    "on_tie": "b",
                    "ignore_columns": ["c"],
                },
                {"match": "orders_*", "on_tie": "hold"},
            ],
        }
    )
    policy = config.policy_for(ORDERS)
    assert (policy.rule, policy.on_tie) == (Rule.parse("newest:u"), OnTie.B)
    assert (policy.on_delete, policy.presence) == (OnDelete.DELETE_WINS, Presence.HOLD)
    assert policy.direction is Direction.BOTH
    assert config.policy_for(TableName("shop", "people")).direction is Direction.A_TO_B
    assert config.policy_for(TableName("x", "y")).rule == Rule.parse("prefer:a")
    assert config.ignore_columns_for(ORDERS) == ("c",)
    assert config.ignore_columns_for(TableName("shop", "people")) == ()


@pytest.mark.parametrize(
    ("sync", "table", "selected"),
    [
        ({"tables": ("shop.*",)}, "shop.orders", True),
        ({"tables": ("shop.*",)}, "crm.orders", False),
        ({"tables": ("orders",)}, "crm.orders", True),
        ({"tables": ("shop.ord?rs",)}, "shop.orders", True),
        ({"tables": ("shop.Orders",)}, "shop.orders", False),
        ({"databases": ("shop",)}, "shop.orders", True),
        ({"databases": ("s*",), "tables": ("*.orders",)}, "shop.items", False),
        ({"databases": ("shop",), "ignore_tables": ("shop.log_*",)}, "shop.log_1", False),
        ({"databases": ("*",), "ignore_databases": ("tmp_*",)}, "tmp_1.t", False),
        ({"tables": ("*.*",)}, "mysql.user", False),
        ({"tables": ("*.*",)}, "syncer.marker", False),
        ({"tables": ("*",)}, "shop.orders", True),
    ],
)
def test_selection(sync, table, selected):
    database, _, name = table.partition(".")
    assert load({**URLS, "sync": sync}).selects(TableName(database, name)) is selected


def test_what_the_urls_name_is_selected():
    both = {"a": {"url": "mysql://u@db1/shop"}, "b": {"url": "mysql://u@db2/shop"}}
    assert load(both).sync.databases == ("shop",)
    assert load({**both, "sync": {"tables": ("orders",)}}).sync.tables == ("shop.orders",)
    dsn = {"a": {"url": "h=db1,u=u,D=shop,t=orders"}, "b": {"url": "h=db2,u=u"}}
    assert load(dsn).sync.tables == ("shop.orders",)
    apart = {**both, "b": {"url": "mysql://u@db2/store"}}
    assert refusal(apart).endswith("if they belong together, say so with --map shop=store")
    mapped = load({**apart, "sync": {"map": ("shop=store",)}})
    assert mapped.sync.databases == ("shop",)
    alone = {**URLS, "b": {"url": "mysql://u@db2/store"}, "sync": {"map": ("shop=store",)}}
    assert load(alone).sync.databases == ("shop",)


def test_tables_that_dsns_name_belong_together_where_the_map_says_so():
    sides = {"a": {"url": "h=db1,u=u,D=shop,t=orders"}, "b": {"url": "h=db2,u=u,D=store,t=sold"}}
    assert "--map shop=store" in refusal(sides)
    one = {**sides, "sync": {"map": ("shop.orders=store.sold",)}}
    assert load(one).sync.tables == ("shop.orders",)
    assert "--map shop.orders=store.sold" in refusal({**sides, "sync": {"map": ("shop=store",)}})


def test_a_map_is_checked_when_it_is_loaded():
    def mapped(*entries):
        return {**URLS, "sync": {"tables": ("shop.*",), "map": entries}}

    assert load(mapped("shop=store")).names.b.there(ORDERS) == TableName("store", "orders")
    assert load(SHOP).names.b.there(ORDERS) == ORDERS
    assert "shop and crm are both mapped to x" in refusal(mapped("shop=x", "crm=x"))
    assert "mysql is a system database" in refusal(mapped("shop=mysql"))
    assert "syncer is a system database" in refusal(mapped("shop.t=syncer.marker"))
    environ = {"SYNCER_SYNC_MAP": "shop=store, crm.a=crm.b"}
    assert load(environ=environ).names.b.there(TableName("crm", "a")) == TableName("crm", "b")


def test_explicit_tables_are_those_without_glob_characters_once_each():
    config = load(
        {
            **URLS,
            "sync": {"tables": ("shop.orders", "shop.it*")},
            "table": [{"match": "shop.orders"}, {"match": "shop.items"}],
        }
    )
    assert config.explicit_tables() == [ORDERS, TableName("shop", "items")]
    assert config.unmatched([ORDERS]) == ["shop.it*", "shop.items"]


def test_the_pair_id_is_stable_and_knows_the_sides_apart():
    one, again = load(), load()
    swapped = load({**SHOP, "a": SHOP["b"], "b": SHOP["a"]})
    assert one.pair_id == again.pair_id != swapped.pair_id
    assert one.pair_id.startswith("pair-")
    other_login = load({**SHOP, "a": {"url": "mysql://other:pw@DB1:3307"}})
    assert other_login.pair_id == one.pair_id


def test_passwords_come_from_where_they_were_put(tmp_path):
    secret = tmp_path / "pw"
    secret.write_text("from file\n")
    host = {"host": "db1", "user": "u"}

    def password(section, environ=None, **more):
        found = load({**SHOP, "a": {**host, **section}}, environ=environ, **more).a.password
        return found.reveal()

    assert password({"password_file": str(secret)}) == "from file"
    assert password({"password_env": "PW"}, {"PW": "from env"}) == "from env"
    assert password({}, {"SYNCER_PASSWORD_A": "by side"}) == "by side"
    assert password({"password_file": str(secret)}, passwords={"a": "typed"}) == "typed"
    assert "a.password_env: the variable PW is not set" in refusal(
        {**SHOP, "a": {**host, "password_env": "PW"}}
    )
    gone = refusal({**SHOP, "a": {**host, "password_file": "/gone"}})
    assert gone == "a.password_file: /gone: No such file or directory"


def test_no_repr_shows_a_password():
    config = load()
    shown = f"{config!r} {config} {config.file!r}"
    assert "s3cret" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sync": {"tabels": ("x",)}}, "sync.tabels: unknown key (did you mean tables?)"),
        ({"snyc": {"x": 1}}, "snyc: unknown key (did you mean sync?)"),
        (
            {"table": [{"match": "x", "rul": "hold"}]},
            "table[0].rul: unknown key (did you mean rule?)",
        ),
        ({"table": [{"rule": "hold"}]}, "match"),
        ({"engine": {"batch_rows": 0}}, "engine.batch_rows: expected `int` >= 1"),
        ({"engine": {"chunk_rows_min": 9, "chunk_rows_max": 8}}, "chunk_rows_min is greater"),
        ({"policy": {"rule": "newst"}}, "policy.rule: unknown rule 'newst'"),
        ({"policy": {"on_tie": "c"}}, "policy.on_tie: invalid enum value 'c': use a, b, hold"),
        (
            {"sync": {"direction": "up"}},
            "sync.direction: invalid enum value 'up': use both, a-to-b, b-to-a",
        ),
        ({"log": {"level": "loud"}}, "log.level: invalid enum value 'loud': use debug, info"),
        ({"pair": "no spaces"}, "pair: expected"),
        ({"a": {"url": "mysql://u@h", "port": 1}}, "a: url and port are both given"),
        ({"a": {"user": "u"}}, "a: none of url, host and socket is given"),
        ({"a": {"url": "nonsense"}}, "a: this is no URL and no DSN"),
        (
            {"a": {"host": "h", "user": "u", "ssl_mode": "x"}},
            "a.ssl_mode: invalid enum value 'x': use disabled",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named_in_one_line(change, message):
    assert message in refusal({**SHOP, **change})


def test_a_wrong_variable_is_named():
    assert "SYNCER_ENGINE_BATCH_ROWS: expected `int`" in refusal(
        environ={"SYNCER_ENGINE_BATCH_ROWS": "x"}
    )
    typo = refusal(environ={"SYNCER_POLICY_RULES": "hold"})
    assert typo == "SYNCER_POLICY_RULES: there is no key policy.rules (did you mean rule?)"
    load(environ={"SYNCER_PYTHON": "3.12", "SYNCER_A_URL": ""})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sync\n", "not valid TOML"),
        ("a = 3\n", "a: expected `object`, got `int`"),
        ("\xff", "not valid TOML"),
    ],
)
def test_a_broken_file_is_named(text, message, tmp_path):
    path = file_with(tmp_path, "")
    path.write_text(text, encoding="latin-1")
    found = refusal({}, path=path)
    assert found.startswith(str(path))
    assert message in found


def test_a_file_that_is_not_there_is_named():
    assert (
        refusal({}, path="gone.toml") == "gone.toml: no such file (syncer config init writes one)"
    )


def test_a_pair_needs_two_servers_and_a_table():
    assert "no server is named for side a" in refusal({})
    assert "no server is named for side b" in refusal({"a": URLS["a"]})
    assert "no table is selected" in refusal(URLS)
    assert "the same server" in refusal({**SHOP, "b": SHOP["a"]})
    left_out = {**URLS, "sync": {"tables": ("shop.orders",), "ignore_tables": ("shop.*",)}}
    assert "shop.orders is named, but" in refusal(left_out)
    assert "shop.orders is named, but" in refusal(
        {**URLS, "sync": {"tables": ("shop.orders",), "databases": ("crm",)}}
    )


def test_a_policy_with_a_hole_does_not_load():
    message = refusal({**SHOP, "policy": {"rule": "newest:u"}})
    assert "set on_delete" in message
    assert "set on_tie" in message
    message = refusal({**SHOP, "table": [{"match": "shop.orders", "rule": "highest_version:v"}]})
    assert message.startswith("table shop.orders: rule highest_version:v")


def test_an_entry_is_judged_together_with_those_that_cover_it():
    covered = [
        {"match": "*.*", "on_tie": "a", "on_delete": "hold"},
        {"match": "shop.*", "rule": "newest:u"},
    ]
    assert load({**SHOP, "table": covered}).policy_for(ORDERS).on_tie is OnTie.A
    beside = [{"match": "crm.*", "on_tie": "a", "on_delete": "hold"}, covered[1]]
    assert "table shop.*" in refusal({**SHOP, "table": beside})
    assert load({**SHOP, "policy": {"rule": "newest"}, "table": [{"match": "*.*", "rule": "hold"}]})


def test_a_one_way_table_has_no_holes():
    load(
        {
            **SHOP,
            "sync": {"tables": ("shop.*",), "direction": "b-to-a"},
            "policy": {"rule": "newest:u"},
        }
    )


FILE = '[a]\nurl = "{a}"\n[b]\nurl = "mysql://u@db2"\npassword_env = "PW"\n[sync]\ntables = ["shop.*"]\n'


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666])
@pytest.mark.parametrize(
    "where", ["config", "password_file", "password-file", "option file", "defaults-file", "key"]
)
def test_a_file_with_a_secret_that_everybody_can_read_is_named(tmp_path, where, mode):
    secret = tmp_path / {"option file": ".my.cnf"}.get(where, "secret")
    secret.write_text("[client]\npassword=s3cret\n")
    a = {
        "config": "mysql://u:s3cret@db1",
        "password-file": f"mysql://u@db1?password-file={secret}",
        "defaults-file": f"mysql://u@db1?defaults-file={secret}",
        "key": f"mysql://u:s3cret@db1?ssl-cert={secret}&ssl-key={secret}",
    }.get(where, "mysql://u@db1")
    if where == "password_file":
        a += f'"\npassword_file = "{secret}'
    path = file_with(tmp_path, FILE.format(a=a))
    named = path if where == "config" else secret
    path.chmod(0o600)
    named.chmod(mode)
    found = load({}, path=path, environ={"PW": "x"}).exposed
    assert found == ((str(named),) if mode & 0o004 else ())


def test_a_file_without_a_secret_may_be_read_by_everybody(tmp_path):
    (tmp_path / ".my.cnf").write_text("[client]\npassword=unused\n")
    (tmp_path / ".my.cnf").chmod(0o644)
    path = file_with(tmp_path, FILE.format(a="mysql://u@db1"))
    path.chmod(0o644)
    env = {"PW": "x", "SYNCER_PASSWORD_A": "y"}
    assert load({}, path=path, environ=env).exposed == ()


def test_deletes_of_half_a_table_stop_it_where_nothing_is_said():
    guard = load(SHOP).guard_for(ORDERS)
    assert (guard.deletes, guard.updates) == (Limit(percent=50.0), Limit())
    assert guard.percent_from_rows == 1000
    assert not load({**SHOP, "guard": {"deletes_percent_max": 0}}).guard_for(ORDERS).deletes
    entry = {"match": "shop.orders", "deletes_percent_max": 0}
    assert not load({**SHOP, "table": [entry]}).guard_for(ORDERS).deletes
    by_environment = load(SHOP, environ={"SYNCER_GUARD_DELETES_PERCENT_MAX": "0"})
    assert not by_environment.guard_for(ORDERS).deletes


def test_guards_of_a_table_are_those_of_the_section_and_of_its_entries():
    config = load(
        {
            **SHOP,
            "guard": {"deletes_max": 5, "updates_percent_max": 20, "forbid_a": ["delete"]},
            "table": [
                {"match": "shop.*", "deletes_max": 0, "forbid_b": ["insert"]},
                {"match": "shop.orders", "forbid_a": [], "updates_max": 7},
            ],
        }
    )
    guard = config.guard_for(ORDERS)
    assert guard.deletes == Limit(percent=50.0)
    assert guard.updates == Limit(7, 20.0)
    assert guard.words() == "forbid_b=insert"
    assert config.guard_for(TableName("shop", "items")).words() == "forbid_a=delete forbid_b=insert"
    assert load({**SHOP}, environ={"SYNCER_GUARD_FORBID_B": "delete,update"}).guard_for(
        ORDERS
    ).words() == ("forbid_b=delete,update")
    assert "guard.forbid_a[0]: invalid enum value" in refusal(
        {**SHOP, "guard": {"forbid_a": ["truncate"]}}
    )
    assert "guard.deletes_percent_max" in refusal({**SHOP, "guard": {"deletes_percent_max": 101}})


def test_redacted_columns_are_globs_on_three_names():
    config = load({**SHOP, "journal": {"redact": ["*.*.password", "shop.orders.Tax*"]}})
    found = [c for c in ("id", "Password", "tax_id", "total") if config.redacts(ORDERS, c)]
    assert found == ["Password", "tax_id"]
    assert not config.redacts(TableName("shop", "items"), "tax_id")
    assert "is not database.table.column" in refusal({**SHOP, "journal": {"redact": ["password"]}})
    assert "journal.image_days" in refusal({**SHOP, "journal": {"image_days": 0}})


def test_a_filter_of_a_table_goes_before_that_of_all():
    sync = {"tables": ("shop.*",), "where": "region = 'eu'"}
    entries = [{"match": "shop.orders", "where": "id > 5"}, {"match": "shop.all", "where": ""}]
    config = load({**SHOP, "sync": sync, "table": entries})
    assert config.filter_for(ORDERS).text == "id > 5"
    assert config.filter_for(TableName("shop", "all")).text == ""
    assert config.filter_for(TableName("shop", "other")).columns == ("region",)
    assert "NOW() is no function" in refusal({**SHOP, "sync": {**sync, "where": "a < NOW()"}})
    assert "mentions no column" in refusal({**SHOP, "table": [{"match": "shop.*", "where": "1"}]})


@pytest.mark.parametrize(("threads", "processors", "chunks", "transactions"), [
    (0, 1, 1, 4),
    (0, 2, 2, 4),
    (0, 16, 4, 4),
    (1, 16, 1, 1),
    (9, 2, 9, 9),
])  # fmt: skip
def test_chunks_follow_the_processors_and_transactions_do_not(
    monkeypatch, threads, processors, chunks, transactions
):
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    engine = load({**SHOP, "engine": {"threads": threads}}).engine
    assert (engine.lanes, engine.writes) == (chunks, transactions)
