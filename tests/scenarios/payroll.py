"""Payroll: no generated ids, keys of several columns with dates in them, cascades, long histories."""

from __future__ import annotations

import datetime as dt
import random

from pymysql.cursors import Cursor

from tests.scenarios.scenario import Hand, Scenario

EMPLOYED = "FOREIGN KEY (emp_no) REFERENCES employees (emp_no) ON DELETE CASCADE"
SCHEMA = (
    (
        "CREATE TABLE employees (emp_no INT NOT NULL PRIMARY KEY, birth_date DATE NOT NULL, first_name VARCHAR(14) NOT NULL, last_name VARCHAR(16) NOT NULL, "
        "gender ENUM('M','F') NOT NULL, hire_date DATE NOT NULL)"
    ),
    "CREATE TABLE departments (dept_no CHAR(4) NOT NULL PRIMARY KEY, dept_name VARCHAR(40) NOT NULL, UNIQUE (dept_name))",
    (
        f"CREATE TABLE dept_emp (emp_no INT NOT NULL, dept_no CHAR(4) NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL, PRIMARY KEY (emp_no, dept_no), {EMPLOYED}, "
        "FOREIGN KEY (dept_no) REFERENCES departments (dept_no) ON DELETE CASCADE)"
    ),
    (
        f"CREATE TABLE dept_manager (dept_no CHAR(4) NOT NULL, emp_no INT NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL, PRIMARY KEY (emp_no, dept_no), {EMPLOYED}, "
        "FOREIGN KEY (dept_no) REFERENCES departments (dept_no) ON DELETE CASCADE)"
    ),
    f"CREATE TABLE titles (emp_no INT NOT NULL, title VARCHAR(50) NOT NULL, from_date DATE NOT NULL, to_date DATE, PRIMARY KEY (emp_no, title, from_date), {EMPLOYED})",
    f"CREATE TABLE salaries (emp_no INT NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL, PRIMARY KEY (emp_no, from_date), {EMPLOYED})",
    "CREATE VIEW newest_dept AS SELECT emp_no, MAX(from_date) AS from_date FROM dept_emp GROUP BY emp_no",
)
DAY = dt.date(1990, 1, 1)
FOREVER = dt.date(9999, 1, 1)
NAMES = ("Ada", "Bö", "Chloé", "Dag", "Eško", "Fu")


def fill(cursor: Cursor, rng: random.Random) -> None:
    many = cursor.executemany
    people = range(10001, 12001)
    many(
        "INSERT INTO departments VALUES (%s, %s)",
        [(f"d{n:03}", f"Department {n}") for n in range(1, 10)],
    )
    many(
        "INSERT INTO employees VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (n, DAY - dt.timedelta(days=n), NAMES[n % 6], f"Last{n % 500}", "MF"[n % 2], DAY)
            for n in people
        ],
    )
    many(
        "INSERT INTO dept_emp VALUES (%s, %s, %s, %s)",
        [(n, f"d{n % 9 + 1:03}", DAY, FOREVER) for n in people],
    )
    many(
        "INSERT INTO dept_manager VALUES (%s, %s, %s, %s)",
        [(f"d{n % 9 + 1:03}", n, DAY, FOREVER) for n in people[::200]],
    )
    many(
        "INSERT INTO titles VALUES (%s, %s, %s, %s)",
        [(n, rng.choice(("Clerk", "clerk II", "Head")), DAY, None) for n in people],
    )
    many(
        "INSERT INTO salaries VALUES (%s, %s, %s, %s)",
        [
            (
                n,
                40000 + n % 7919 + 500 * year,
                DAY + dt.timedelta(days=365 * year),
                DAY + dt.timedelta(days=365 * (year + 1)),
            )
            for n in people
            for year in range(5)
        ],
    )


def raise_pay(hand: Hand) -> None:
    person = hand.pick("employees", "emp_no")
    hand.insert("salaries", ("emp_no", "from_date"), emp_no=person, salary=hand.rng.randrange(90000),
                from_date=DAY + dt.timedelta(days=20000 + hand.rng.randrange(200000)), to_date=FOREVER)  # fmt: skip


def correct_pay(hand: Hand) -> None:
    person = hand.pick("employees", "emp_no")
    hand.update("salaries", {"emp_no": person, "from_date": DAY}, salary=hand.rng.randrange(90000))


def promote(hand: Hand) -> None:
    """Changes a column of the key."""
    person, title = hand.pick("employees", "emp_no"), hand.word()
    hand.cursor.execute("SELECT title FROM titles WHERE emp_no = %s", [person])
    for (old,) in hand.cursor.fetchall():
        before = {"emp_no": person, "title": old, "from_date": DAY}
        if hand.update("titles", before, title=title):
            hand.promised["titles", tuple(before.items())] = None
            hand.promised["titles", tuple((before | {"title": title}).items())] = {"to_date": None}


def hire(hand: Hand) -> None:
    person = 2 * hand.rng.randrange(10_000, 10_000_000) + hand.parity
    hand.insert(
        "employees",
        ("emp_no",),
        emp_no=person,
        birth_date=DAY,
        first_name="New",
        last_name=hand.word()[:16],
        gender="F",
        hire_date=DAY,
    )
    hand.insert(
        "dept_emp",
        ("emp_no", "dept_no"),
        emp_no=person,
        dept_no="d001",
        from_date=DAY,
        to_date=FOREVER,
    )
    hand.insert(
        "titles", ("emp_no", "title", "from_date"), emp_no=person, title="Clerk", from_date=DAY
    )
    hand.insert(
        "salaries", ("emp_no", "from_date"), emp_no=person, salary=1, from_date=DAY, to_date=FOREVER
    )


def move(hand: Hand) -> None:
    person = hand.pick("employees", "emp_no")
    hand.cursor.execute("SELECT dept_no FROM dept_emp WHERE emp_no = %s FOR UPDATE", [person])
    for (old,) in hand.cursor.fetchall():
        hand.delete("dept_emp", {"emp_no": person, "dept_no": old})
    new = f"d{hand.rng.randint(1, 9):03}"
    hand.insert(
        "dept_emp",
        ("emp_no", "dept_no"),
        emp_no=person,
        dept_no=new,
        from_date=DAY,
        to_date=FOREVER,
    )


def leave(hand: Hand) -> None:
    """The children go by cascade, which MariaDB does not log."""
    person = hand.pick("employees", "emp_no")
    hand.delete("employees", {"emp_no": person})
    hand.cascaded.add(("emp_no", person))


SCENARIO = Scenario(
    "payroll", SCHEMA, fill, (raise_pay, raise_pay, correct_pay, promote, hire, move, leave)
)
