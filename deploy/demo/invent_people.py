#!/usr/bin/env python3
"""Invents the demo's customers and orders. Nobody in them exists: the addresses end in example.com, example.net and
example.org, and the American phone numbers are of the range kept for fiction. A few rows are wrong on purpose, as
they are in every real file. The same seed gives the same files; they are kept beside this program.

    python3 deploy/demo/invent_people.py
"""

import csv
import datetime
import pathlib
import random

FOLDER = pathlib.Path(__file__).parent
CUSTOMERS, ORDERS, DAYS = 600, 900, 10
NEWEST = datetime.date(2026, 11, 15)

FIRST = "Ada Bo Carmen Dmitri Elif Farid Greta Hana Ivo Jun Kofi Lena Mina Noor Otto Pia Quinn Rosa Sven Tomás Uma Vera Wei Yara Zoë".split()
LAST = "Abel Brandt Castillo Dubois Eriksen Fontana Grün Hashimoto Ivanova Jansen Kaya Lindqvist Moreau Nowak O'Neil Petit Quist Rossi Sato Tanaka Ueda Varga Weiß Yilmaz Zhang".split()
PLACES = [
    ("US", "Springfield", "Oregon", "97477", "+1 541 555 01{:02d}"),
    ("us", "Portland", "ME", "04101-1234", "(207) 555-01{:02d}"),
    ("DE", "Köln", "", "50667", "0221 4710 {:04d}"),
    ("Germany", "Berlin", "Berlin", "10115", "+49 30 901820{:02d}"),
    ("FR", "Lyon", "", "69001", "+33 4 72 10 30 {:02d}"),
    ("JP", "Osaka", "", "530-0001", "+81 6 6208 81{:02d}"),
    ("GB", "Leeds", "", "LS1 1UR", "+44 113 496 0{:03d}"),
]
FAULTS = {
    17: ("email", "ada at example.com"),
    58: ("phone", "12"),
    101: ("date_of_birth", "31/02/1990"),
    230: ("country", "Atlantis"),
    377: ("email", "hana@@example.net"),
}


def customer(number, dice):
    country, city, state, postcode, phone = dice.choice(PLACES)
    first, last = dice.choice(FIRST), dice.choice(LAST)
    born = datetime.date(1950, 1, 1) + datetime.timedelta(days=dice.randrange(20_000))
    plain = "".join(letter for letter in f"{first}.{last}".lower() if letter.isascii() and letter not in "' ")
    row = {
        "customer_no": number,
        "email": f"{plain}{number}@example.{dice.choice(['com', 'net', 'org'])}",
        "phone": phone.format(dice.randrange(100)) if dice.random() < 0.8 else "",
        "first_name": dice.choice([first, first.upper(), f" {first} "]),
        "last_name": last,
        "gender": dice.choice(["f", "m", "Female", "Male", ""]),
        "date_of_birth": born.isoformat() if dice.random() < 0.7 else "",
        "city": city,
        "state": state,
        "zip": postcode,
        "country": country,
    }
    if number in FAULTS:
        column, value = FAULTS[number]
        row[column] = value
    if number == 444:  # a row that says nothing about anybody
        row.update({key: "" for key in row if key != "customer_no"})
    return row


def order(number, dice):
    day = NEWEST - datetime.timedelta(days=int(DAYS * dice.random() ** 1.4))
    units = dice.choices([1, 2, 3, 5], [60, 25, 10, 5])[0]
    return {
        "order_id": f"shop-{number:05d}",
        "customer_no": dice.randrange(1, CUSTOMERS + 1),
        "ordered_on": day.isoformat(),
        "units": units,
        "value": f"{units * dice.choice([9.5, 12.9, 18.0, 24.75]):.2f}",
        "currency": "USD",
    }


def write(name, rows):
    with (FOLDER / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    dice = random.Random(7400)
    write("customers.csv", [customer(number, dice) for number in range(1, CUSTOMERS + 1)])
    write("orders.csv", [order(number, dice) for number in range(1, ORDERS + 1)])
