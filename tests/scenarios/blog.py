"""A blog: long texts, zero dates, indexes over the beginnings of columns, options by name that both sides rewrite."""

from __future__ import annotations

import random

from pymysql.cursors import Cursor

from tests.scenarios.scenario import Hand, Scenario

TEXT = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
ID = "BIGINT UNSIGNED NOT NULL"
SCHEMA = (
    (
        f"CREATE TABLE b_users (ID {ID} AUTO_INCREMENT PRIMARY KEY, user_login VARCHAR(60) NOT NULL DEFAULT '', user_pass VARCHAR(255) NOT NULL DEFAULT '', "
        f"user_email VARCHAR(100) NOT NULL DEFAULT '', user_registered DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', KEY (user_login)) {TEXT}"
    ),
    (
        f"CREATE TABLE b_posts (ID {ID} AUTO_INCREMENT PRIMARY KEY, post_author {ID} DEFAULT 0, post_date DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', "
        "post_content LONGTEXT NOT NULL, post_title TEXT NOT NULL, post_status VARCHAR(20) NOT NULL DEFAULT 'publish', post_name VARCHAR(200) NOT NULL DEFAULT '', "
        "post_modified_gmt DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', menu_order INT NOT NULL DEFAULT 0, comment_count BIGINT NOT NULL DEFAULT 0, "
        f"KEY post_name (post_name(191)), KEY status_date (post_status, post_date, ID), KEY (post_author)) {TEXT}"
    ),
    (
        f"CREATE TABLE b_postmeta (meta_id {ID} AUTO_INCREMENT PRIMARY KEY, post_id {ID} DEFAULT 0, meta_key VARCHAR(255) DEFAULT NULL, meta_value LONGTEXT, "
        f"KEY (post_id), KEY meta_key (meta_key(191))) {TEXT}"
    ),
    (
        f"CREATE TABLE b_comments (comment_ID {ID} AUTO_INCREMENT PRIMARY KEY, comment_post_ID {ID} DEFAULT 0, comment_author TINYTEXT NOT NULL, "
        "comment_date DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', comment_content TEXT NOT NULL, comment_karma INT NOT NULL DEFAULT 0, "
        f"comment_parent {ID} DEFAULT 0, KEY (comment_post_ID), KEY author (comment_author(10))) {TEXT}"
    ),
    f"CREATE TABLE b_terms (term_id {ID} AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) NOT NULL DEFAULT '', slug VARCHAR(200) NOT NULL DEFAULT '', KEY slug (slug(191))) {TEXT}",
    (
        f"CREATE TABLE b_term_taxonomy (term_taxonomy_id {ID} AUTO_INCREMENT PRIMARY KEY, term_id {ID} DEFAULT 0, taxonomy VARCHAR(32) NOT NULL DEFAULT '', "
        f"description LONGTEXT NOT NULL, count BIGINT NOT NULL DEFAULT 0, UNIQUE (term_id, taxonomy)) {TEXT}"
    ),
    (
        f"CREATE TABLE b_term_relationships (object_id {ID} DEFAULT 0, term_taxonomy_id {ID} DEFAULT 0, term_order INT NOT NULL DEFAULT 0, "
        f"PRIMARY KEY (object_id, term_taxonomy_id), KEY (term_taxonomy_id)) {TEXT}"
    ),
    (
        f"CREATE TABLE b_options (option_id {ID} AUTO_INCREMENT PRIMARY KEY, option_name VARCHAR(191) NOT NULL DEFAULT '', option_value LONGTEXT NOT NULL, "
        f"autoload VARCHAR(20) NOT NULL DEFAULT 'yes', UNIQUE (option_name), KEY (autoload)) {TEXT}"
    ),
)
WORDS = (
    "Hello",
    "wörld",
    "quote's",
    '"said"',
    "back\\slash",
    "<b>bold</b>",
    "emoji 😀",
    'a:1:{s:3:"key";i:0;}',
    "line\nbreak",
    "tab\t",
)


def prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def fill(cursor: Cursor, rng: random.Random) -> None:
    cursor.execute("SET SESSION sql_mode = ''")
    many = cursor.executemany
    many(
        "INSERT INTO b_users (ID, user_login, user_pass, user_email) VALUES (%s, %s, '$P$x', %s)",
        [(n, f"User {n}", f"u{n}@example.org") for n in range(1, 21)],
    )
    many(
        "INSERT INTO b_posts (ID, post_author, post_content, post_title, post_name) VALUES (%s, %s, %s, %s, %s)",
        [(n, n % 20 + 1, prose(rng, n % 2000), prose(rng, 5), f"post-{n}") for n in range(1, 301)],
    )
    many(
        "INSERT INTO b_postmeta (meta_id, post_id, meta_key, meta_value) VALUES (%s, %s, %s, %s)",
        [(n, n % 300 + 1, "_edit_lock" if n % 3 else None, prose(rng, 3)) for n in range(1, 901)],
    )
    many(
        "INSERT INTO b_comments (comment_ID, comment_post_ID, comment_author, comment_content) VALUES (%s, %s, %s, %s)",
        [(n, n % 300 + 1, "Někdo", prose(rng, 20)) for n in range(1, 601)],
    )
    many(
        "INSERT INTO b_terms (term_id, name, slug) VALUES (%s, %s, %s)",
        [(n, f"Term {n}", f"term-{n}") for n in range(1, 51)],
    )
    many(
        "INSERT INTO b_term_taxonomy (term_taxonomy_id, term_id, taxonomy, description) VALUES (%s, %s, 'category', '')",
        [(n, n) for n in range(1, 51)],
    )
    many(
        "INSERT INTO b_term_relationships (object_id, term_taxonomy_id) VALUES (%s, %s)",
        [(n, n % 50 + 1) for n in range(1, 301)],
    )
    many(
        "INSERT INTO b_options (option_id, option_name, option_value) VALUES (%s, %s, %s)",
        [(n, "cron" if n == 1 else f"option_{n}", prose(rng, 10)) for n in range(1, 201)],
    )


def publish(hand: Hand) -> None:
    title = hand.word()
    post = hand.insert(
        "b_posts",
        post_author=1,
        post_content=prose(hand.rng, 300),
        post_title=title,
        post_name=title,
    )
    hand.promised["b_posts", (("ID", post),)] = {"post_title": title}
    for at in range(3):
        meta = hand.insert("b_postmeta", post_id=post, meta_key=f"k{at}", meta_value=title)
        hand.promised["b_postmeta", (("meta_id", meta),)] = {"meta_value": title}
    hand.insert(
        "b_term_relationships",
        ("object_id", "term_taxonomy_id"),
        object_id=post,
        term_taxonomy_id=hand.rng.randint(1, 50),
    )


def edit(hand: Hand) -> None:
    post = hand.pick("b_posts", "ID")
    hand.update(
        "b_posts",
        {"ID": post},
        post_content=prose(hand.rng, hand.rng.randrange(3000)),
        post_modified_gmt="2024-05-06 07:08:09",
    )


def comment(hand: Hand) -> None:
    """A counter in the post's own row: of this side's posts only."""
    post = hand.pick("b_posts", "ID")
    author = hand.word()
    found = hand.insert(
        "b_comments",
        comment_post_ID=post,
        comment_author=author,
        comment_content=prose(hand.rng, 30),
    )
    hand.promised["b_comments", (("comment_ID", found),)] = {"comment_author": author}
    hand.cursor.execute(
        "UPDATE b_posts SET comment_count = comment_count + 1 WHERE ID = %s", [post]
    )


def trash(hand: Hand) -> None:
    hand.delete("b_postmeta", {"meta_id": hand.pick("b_postmeta", "meta_id")})
    hand.delete("b_comments", {"comment_ID": hand.pick("b_comments", "comment_ID")})


def save_option(hand: Hand) -> None:
    """What every plug-in does: insert, or update what is there by its unique name."""
    name = f"transient_{hand.parity}_{hand.rng.randrange(20)}"
    value = hand.word()
    hand.cursor.execute(
        "INSERT INTO b_options (option_name, option_value) VALUES (%s, %s) ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)",
        [name, value],
    )
    hand.promised["b_options", (("option_name", name),)] = {"option_value": value}


def forget_option(hand: Hand) -> None:
    hand.delete("b_options", {"option_name": f"transient_{hand.parity}_{hand.rng.randrange(20)}"})


def schedule(hand: Hand) -> None:
    """Both sides rewrite this row all the time: a conflict, which the rule decides."""
    hand.cursor.execute(
        "UPDATE b_options SET option_value = %s WHERE option_name = 'cron'", [hand.word()]
    )


SCENARIO = Scenario(
    "blog",
    SCHEMA,
    fill,
    (publish, edit, comment, trash, save_option, save_option, forget_option, schedule),
    options=("--rule", "prefer:a"),
)
