"""JSON documents that are equal by value have one form, and no others share it."""

from __future__ import annotations

import pytest

from syncer.core.schema import Column
from syncer.mysql.documents import normal, read_digest, split

MYSQL = {
    '{"a": 3, "b": 1, "aa": 2}': '{"b":1,"aa":2,"a":3}',
    "[1, 1.0, 1.0, 1.0, 0, -0.0]": "[1,1.0,1e0,100e-2,-0,-0.0]",
    "[1e20, 1e20, 18446744073709551615]": "[1e20,100000000000000000000,18446744073709551615]",
    "[0.0000001, 123456.5, 5e-324]": "[1e-7, 1234565E-1 , 5.0e-324]",
    '"aA/\\b\\u0001é😀\x7f"': r'"a\u0041\/\b\u0001\u00e9\ud83d\ude00\u007f"',
    "[]": " [ ]",
    '{"": {"a": null}}': '{"":{"\\u0061":null}}',
    "1.1": "1.10",
}
"""What MySQL makes of a document, and the document as MariaDB keeps it [measured on 9.7.4 and 10.11.19]."""


@pytest.mark.parametrize(("mysql", "mariadb"), MYSQL.items())
def test_a_document_and_what_mysql_makes_of_it_are_equal(mysql, mariadb):
    assert normal(mysql) == normal(mariadb)


def test_no_other_documents_are_equal():
    documents = [
        *("1", "1.0", "-0.0", "0", "0.0", '"1"', "null", '"null"', "true", "false", "{}", "[]", '""'),
        *("[[]]", "[{}]", "[1,2]", "[12]", "[[1],2]", "[1,[2]]", '["1,2"]', '["1","2"]', "[1,null]"),
        *('{"a":1}', '{"a":1,"a":1}', '{"a":1,"a":2}', '{"a":2,"a":1}', '{"a":2}', '{"b":1}'),
        *('{"a":{"b":1}}', '{"a":{},"b":1}', '{"a:1":1}', '{"a":"1"}', '[{"a":1}]', '["a",1]'),
        *("18446744073709551615", "18446744073709551616", "18446744073709551615.0"),
        *("1.8446744073709552e19", "0.1", "0.10000000000000001", "1e400", "1e401", "-1e400"),
        *('"a"', '"a "', '"A"', r'"\ud800"', r'"\udc00"', '"\\\\u0061"', '"~"', "?1", "01", "NaN", ""),
    ]  # fmt: skip
    assert len({normal(document) for document in documents}) == len(documents)


def test_numbers_of_any_length_are_read():
    assert normal("1" + "0" * 9000) == normal("1e9000")
    assert normal("0." + "1" * 9000) != normal("0." + "1" * 8999)
    assert normal("1e99999999999999999999") == "?1e99999999999999999999"


def test_what_is_no_json_is_equal_to_itself_only():
    assert normal("{'a': 1}") == normal("{'a': 1}") != normal("{'a': 2}")
    assert normal("[" * 100_000) == "?" + "[" * 100_000


def test_a_row_s_digest_is_the_server_s_where_no_document_is_read():
    assert read_digest(["ab"]) == "ab"
    assert read_digest([b"ab"]) == "ab"
    assert read_digest([None]) is None
    assert read_digest([None, "{}"]) is None


def test_documents_keep_their_places_in_a_row_s_digest():
    rows = [("ab", "[]", "{}"), ("ab", "{}", "[]"), ("ab", "[]", None), ("ab", None, "[]"), ("cd", "[]", "{}"),
            ("ab", "null", "{}"), ("ab", "[]{}", None)]  # fmt: skip
    digests = {read_digest(row) for row in rows}
    assert len(digests) == len(rows)
    assert {len(digest or "") for digest in digests} == {32}


def test_only_documents_across_flavours_are_read():
    def column(kind, *, by_value):
        return Column(name=kind, position=0, data_type=kind, column_type=kind, nullable=True, by_value=by_value)  # fmt: skip

    plain, documents = split([column("json", by_value=True), column("int", by_value=True)])
    assert [c.name for c in plain] == ["int"]
    assert [c.name for c in documents] == ["json"]
    assert split([column("json", by_value=False)])[1] == []
