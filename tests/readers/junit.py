#!/usr/bin/env python3
"""Reads a JUnit report by the rules of Jenkins' schema (junit-10.xsd), and adds up what it says.

  junit.py REPORT.xml

Prints {"tests": …, "failures": …, "errors": …, "cases": {"suite/name": [outcome, message, text]}}. Leaves with 3 and the
first rule that is broken: elements and attributes that the schema has, those that must be there, numbers that agree with
what is in the suites, names that are there once.
"""

import datetime
import sys
import xml.etree.ElementTree as xml

import lake

# Attributes by element; those with True must be there.
ATTRIBUTES = {
    "testsuites": {"name": False, "time": False, "tests": False, "failures": False, "disabled": False, "errors": False},
    "testsuite": {
        "name": True, "tests": True, "failures": False, "errors": False, "time": False, "disabled": False,
        "skipped": False, "timestamp": False, "hostname": False, "id": False, "package": False,
    },
    "testcase": {"name": True, "assertions": False, "time": False, "classname": False, "status": False},
    "failure": {"type": False, "message": False},
    "error": {"type": False, "message": False},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error"},
    "failure": set(),
    "error": set(),
}


class Broken(Exception):
    pass


def check(element):
    rules = ATTRIBUTES.get(element.tag)
    if rules is None:
        raise Broken(f"no element {element.tag}")
    for name in element.attrib:
        if name not in rules:
            raise Broken(f"{element.tag} has no attribute {name}")
    for name, required in rules.items():
        if required and not element.get(name):
            raise Broken(f"{element.tag} lacks {name}")
    for child in element:
        if child.tag not in CHILDREN[element.tag]:
            raise Broken(f"{child.tag} in {element.tag}")
        check(child)


def counts(cases):
    outcomes = [child.tag for case in cases for child in case]
    return {"tests": len(cases), "failures": outcomes.count("failure"), "errors": outcomes.count("error")}


def agrees(element, cases):
    for name, counted in counts(cases).items():
        if int(element.get(name)) != counted:
            raise Broken(f"{element.tag} {element.get('name')}: {name} is {element.get(name)}, there are {counted}")
    if abs(float(element.get("time")) - sum(float(case.get("time")) for case in cases)) > 0.01 * (1 + len(cases)):
        raise Broken(f"{element.tag} {element.get('name')}: its time is not that of its cases")


def main():
    root = xml.parse(sys.argv[1]).getroot()
    cases = {}
    try:
        if root.tag != "testsuites":
            raise Broken(f"the document is a {root.tag}")
        check(root)
        agrees(root, list(root.iter("testcase")))
        for suite in root:
            agrees(suite, list(suite))
            datetime.datetime.strptime(suite.get("timestamp"), "%Y-%m-%dT%H:%M:%S")
            for case in suite:
                name = f"{suite.get('name')}/{case.get('name')}"
                if name in cases:
                    raise Broken(f"{name} is there twice")
                outcome = next(iter(case), None)
                cases[name] = ["ok"] if outcome is None else [outcome.tag, outcome.get("message"), outcome.text]
    except Broken as broken:
        lake.answer({"broken": str(broken)})
        sys.exit(3)
    lake.answer({**counts(list(root.iter("testcase"))), "cases": cases})


if __name__ == "__main__":
    lake.run(main)
