"""The 336,776 flights of nycflights13 as JSON. What R wrote as NA is missing: null, or absent, by the seed's coin."""

import csv
import json
import os
import pathlib
import random

CACHE = pathlib.Path(os.environ.get("TABLETOPIC_CACHE") or pathlib.Path(__file__).resolve().parents[2] / ".cache")
CSV = CACHE / "flights" / "flights.csv"
TEXT = {"carrier", "tailnum", "origin", "dest", "time_hour"}


def records(seed):
    """(tail number or None, bytes of the JSON object) of each flight, in the file's order."""
    chance = random.Random(seed)
    with open(CSV, newline="") as file:
        for row in csv.DictReader(file):
            flight = {}
            for name, text in row.items():
                if text != "NA":
                    flight[name] = text if name in TEXT else int(text)
                elif chance.random() < 0.5:
                    flight[name] = None
            yield flight.get("tailnum"), json.dumps(flight, separators=(",", ":")).encode()
