"""Film rental: foreign keys in a circle, triggers, a SET, a spatial index, money, pictures."""

from __future__ import annotations

import datetime as dt
import random

from pymysql.cursors import Cursor

from tests.scenarios.scenario import Hand, Scenario

STAMP = "last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
SCHEMA = (
    f"CREATE TABLE country (country_id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, country VARCHAR(50) NOT NULL, {STAMP})",
    (
        f"CREATE TABLE city (city_id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, city VARCHAR(50) NOT NULL, country_id SMALLINT UNSIGNED NOT NULL, {STAMP}, "
        "KEY (country_id), FOREIGN KEY (country_id) REFERENCES country (country_id) ON DELETE RESTRICT ON UPDATE CASCADE)"
    ),
    (
        f"CREATE TABLE address (address_id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, address VARCHAR(50) NOT NULL, address2 VARCHAR(50), "
        f"city_id SMALLINT UNSIGNED NOT NULL, postal_code VARCHAR(10), location GEOMETRY NOT NULL, {STAMP}, KEY (city_id), "
        "FOREIGN KEY (city_id) REFERENCES city (city_id) ON DELETE RESTRICT ON UPDATE CASCADE)"
    ),
    f"CREATE TABLE language (language_id TINYINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name CHAR(20) NOT NULL, {STAMP})",
    (
        f"CREATE TABLE store (store_id TINYINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, manager_staff_id TINYINT UNSIGNED NOT NULL, "
        f"address_id SMALLINT UNSIGNED NOT NULL, {STAMP}, UNIQUE (manager_staff_id), "
        "FOREIGN KEY (address_id) REFERENCES address (address_id) ON UPDATE CASCADE)"
    ),
    (
        f"CREATE TABLE staff (staff_id TINYINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, first_name VARCHAR(45) NOT NULL, address_id SMALLINT UNSIGNED NOT NULL, "
        f"picture BLOB, store_id TINYINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE, password VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, {STAMP}, "
        "KEY (store_id), FOREIGN KEY (store_id) REFERENCES store (store_id) ON UPDATE CASCADE, "
        "FOREIGN KEY (address_id) REFERENCES address (address_id) ON UPDATE CASCADE)"
    ),
    (
        f"CREATE TABLE customer (customer_id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, store_id TINYINT UNSIGNED NOT NULL, first_name VARCHAR(45) NOT NULL, "
        f"email VARCHAR(50), address_id SMALLINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE, create_date DATETIME NOT NULL, {STAMP}, KEY (store_id), "
        "FOREIGN KEY (store_id) REFERENCES store (store_id) ON UPDATE CASCADE, FOREIGN KEY (address_id) REFERENCES address (address_id) ON UPDATE CASCADE)"
    ),
    (
        "CREATE TABLE film (film_id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, title VARCHAR(128) NOT NULL, description TEXT, release_year YEAR, "
        "language_id TINYINT UNSIGNED NOT NULL, rental_rate DECIMAL(4,2) NOT NULL DEFAULT 4.99, rating ENUM('G','PG','PG-13','R','NC-17') DEFAULT 'G', "
        f"special_features SET('Trailers','Commentaries','Deleted Scenes','Behind the Scenes'), {STAMP}, KEY (title), "
        "FOREIGN KEY (language_id) REFERENCES language (language_id) ON UPDATE CASCADE)"
    ),
    "CREATE TABLE film_text (film_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY, title VARCHAR(255) NOT NULL, description TEXT, FULLTEXT (title, description))",
    f"CREATE TABLE actor (actor_id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(45) NOT NULL, {STAMP}, KEY (name))",
    (
        f"CREATE TABLE film_actor (actor_id SMALLINT UNSIGNED NOT NULL, film_id SMALLINT UNSIGNED NOT NULL, {STAMP}, PRIMARY KEY (actor_id, film_id), KEY (film_id), "
        "FOREIGN KEY (actor_id) REFERENCES actor (actor_id) ON UPDATE CASCADE, FOREIGN KEY (film_id) REFERENCES film (film_id) ON UPDATE CASCADE)"
    ),
    (
        f"CREATE TABLE inventory (inventory_id MEDIUMINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, film_id SMALLINT UNSIGNED NOT NULL, store_id TINYINT UNSIGNED NOT NULL, {STAMP}, "
        "KEY (store_id, film_id), FOREIGN KEY (store_id) REFERENCES store (store_id) ON UPDATE CASCADE, FOREIGN KEY (film_id) REFERENCES film (film_id) ON UPDATE CASCADE)"
    ),
    (
        "CREATE TABLE rental (rental_id INT AUTO_INCREMENT PRIMARY KEY, rental_date DATETIME NOT NULL, inventory_id MEDIUMINT UNSIGNED NOT NULL, "
        f"customer_id SMALLINT UNSIGNED NOT NULL, return_date DATETIME, {STAMP}, UNIQUE (rental_date, inventory_id, customer_id), "
        "FOREIGN KEY (inventory_id) REFERENCES inventory (inventory_id) ON UPDATE CASCADE, FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON UPDATE CASCADE)"
    ),
    (
        "CREATE TABLE payment (payment_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer_id SMALLINT UNSIGNED NOT NULL, rental_id INT, amount DECIMAL(5,2) NOT NULL, "
        f"payment_date DATETIME NOT NULL, {STAMP}, FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON UPDATE CASCADE, "
        "FOREIGN KEY (rental_id) REFERENCES rental (rental_id) ON DELETE RESTRICT)"
    ),
    "CREATE VIEW busy_films AS SELECT film_id, COUNT(*) AS copies FROM inventory GROUP BY film_id",
    "CREATE TRIGGER film_in AFTER INSERT ON film FOR EACH ROW INSERT INTO film_text VALUES (NEW.film_id, NEW.title, NEW.description)",
    "CREATE TRIGGER film_up AFTER UPDATE ON film FOR EACH ROW UPDATE film_text SET title = NEW.title, description = NEW.description WHERE film_id = OLD.film_id",
    "CREATE TRIGGER film_out AFTER DELETE ON film FOR EACH ROW DELETE FROM film_text WHERE film_id = OLD.film_id",
)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)


def fill(cursor: Cursor, rng: random.Random) -> None:
    many = cursor.executemany
    many(
        "INSERT INTO country (country_id, country) VALUES (%s, %s)",
        [(n, f"Land {n}") for n in range(1, 31)],
    )
    many(
        "INSERT INTO city (city_id, city, country_id) VALUES (%s, %s, %s)",
        [(n, f"Stadt {n} é", n % 30 + 1) for n in range(1, 101)],
    )
    many(
        "INSERT INTO address (address_id, address, city_id, postal_code, location) VALUES (%s, %s, %s, %s, ST_GeomFromText(%s))",
        [
            (n, f"Way {n}", n % 100 + 1, f"{n:05}", f"POINT({n / 7:.4f} {-n / 3:.4f})")
            for n in range(1, 301)
        ],
    )
    many(
        "INSERT INTO language (language_id, name) VALUES (%s, %s)",
        [(n, name) for n, name in enumerate(("English", "Français", "日本語"), 1)],
    )
    cursor.execute("SET foreign_key_checks = 0")
    many(
        "INSERT INTO store (store_id, manager_staff_id, address_id) VALUES (%s, %s, %s)",
        [(1, 1, 1), (2, 2, 2)],
    )
    many(
        "INSERT INTO staff (staff_id, first_name, address_id, picture, store_id) VALUES (%s, %s, %s, %s, %s)",
        [(n, f"Clerk {n}", n, rng.randbytes(30000) if n % 2 else None, n) for n in (1, 2)],
    )
    cursor.execute("SET foreign_key_checks = 1")
    many(
        "INSERT INTO customer (customer_id, store_id, first_name, email, address_id, create_date) VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (n, n % 2 + 1, f"Guest {n}", f"g{n}@example.org", n % 300 + 1, START)
            for n in range(1, 301)
        ],
    )
    many(
        "INSERT INTO film (film_id, title, description, release_year, language_id, rental_rate, rating, special_features) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                n,
                f"FILM {n}",
                f'It\'s about "{n}" things\n',
                1950 + n % 70,
                n % 3 + 1,
                f"{n % 5}.99",
                ("G", "PG", "PG-13", "R", "NC-17")[n % 5],
                ("", "Trailers", "Trailers,Deleted Scenes")[n % 3],
            )
            for n in range(1, 401)
        ],
    )
    many(
        "INSERT INTO actor (actor_id, name) VALUES (%s, %s)",
        [(n, f"Player {n}") for n in range(1, 101)],
    )
    many(
        "INSERT INTO film_actor (actor_id, film_id) VALUES (%s, %s)",
        [(n % 100 + 1, n // 3 + 1) for n in range(1197)],
    )
    many(
        "INSERT INTO inventory (inventory_id, film_id, store_id) VALUES (%s, %s, %s)",
        [(n, n % 400 + 1, n % 2 + 1) for n in range(1, 1001)],
    )
    many(
        "INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id) VALUES (%s, %s, %s, %s)",
        [(n, START + dt.timedelta(minutes=n), n % 1000 + 1, n % 300 + 1) for n in range(1, 1501)],
    )
    many(
        "INSERT INTO payment (payment_id, customer_id, rental_id, amount, payment_date) VALUES (%s, %s, %s, %s, %s)",
        [(n, n % 300 + 1, n, f"{n % 900 / 100:.2f}", START) for n in range(1, 1501)],
    )


def rent(hand: Hand) -> None:
    customer, copy = hand.rng.randint(1, 300), hand.rng.randint(1, 1000)
    at = START + dt.timedelta(days=400, seconds=2 * hand.rng.randrange(10**8) + hand.parity)
    rental = hand.insert("rental", rental_date=at, inventory_id=copy, customer_id=customer)
    hand.promised["rental", (("rental_id", rental),)] = {"rental_date": at, "customer_id": customer}
    payment = hand.insert(
        "payment", customer_id=customer, rental_id=rental, amount="2.99", payment_date=at
    )
    hand.promised["payment", (("payment_id", payment),)] = {"rental_id": rental, "amount": "2.99"}


def give_back(hand: Hand) -> None:
    hand.update("rental", {"rental_id": hand.pick("rental", "rental_id")}, return_date=START)


def retitle(hand: Hand) -> None:
    """The trigger writes film_text on both sides."""
    film = hand.pick("film", "film_id")
    hand.update(
        "film", {"film_id": film}, title=hand.word(), special_features="Commentaries", rating="R"
    )


def new_film(hand: Hand) -> None:
    film = hand.insert("film", title=hand.word(), language_id=1, description="new")
    hand.promised["film_text", (("film_id", film),)] = {"description": "new"}
    hand.insert(
        "film_actor", ("actor_id", "film_id"), actor_id=hand.rng.randint(1, 100), film_id=film
    )


def drop_cast(hand: Hand) -> None:
    film = hand.pick("film", "film_id")
    hand.cursor.execute("SELECT actor_id FROM film_actor WHERE film_id = %s LIMIT 1", [film])
    for (actor,) in hand.cursor.fetchall():
        hand.delete("film_actor", {"actor_id": actor, "film_id": film})


def paint(hand: Hand) -> None:
    hand.update("staff", {"staff_id": 2 - hand.parity}, picture=None, password=hand.word())


SCENARIO = Scenario(
    "rental",
    SCHEMA,
    fill,
    (rent, rent, give_back, retitle, new_film, drop_cast, paint),
    left_out=("film_text",),
)
