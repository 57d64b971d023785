#!/usr/bin/env python3
"""Apache Iceberg's REST compatibility kit against a catalog: the tests of catalogs in Iceberg's own repository, run by
its Java client.

  rck.py URL [--warehouse NAME] [--test METHOD]

The catalog has to be empty, and lets tables be below /tmp, where the kit puts some. A token is taken from the environment
variable CATALOG_TOKEN. Prints one JSON object: how many tests passed, which failed with what, and which were skipped for
which reason. Leaves with 3 if any failed. Needs Java and what `provision` installs; only Python's standard library.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from kafka import CACHE

KIT = "org.apache.iceberg.rest.RESTCompatibilityKitCatalogTests"
# What the kit has to know of the server: a table needs its namespace; what it conflicts with, the server finds out.
TRAITS = ("rck.requires-namespace-create=true", "rck.supports-serverside-retry=true")
# The folders that it puts tables into.
LEFT_BEHIND = (pathlib.Path("/tmp/newdb"), pathlib.Path("/tmp/ns"))
DIFFERS = 3  # exit code: the kit ran, and its verdict is "not as it should be"


def run(options, reports):
    select = f"--select-method={KIT}#{options.test}" if options.test else f"--select-class={KIT}"
    command = [
        "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", f"{CACHE / 'rck'}/*",
        f"-Duri={options.url}", f"-Dwarehouse={options.warehouse}", *(f"-D{trait}" for trait in TRAITS),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "org.junit.platform.console.ConsoleLauncher", "execute", select, "--config=rck.local=false",
        "--details=none", "--disable-banner", f"--reports-dir={reports}",
    ]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def verdict(reports):
    """The report of JUnit's own engine, in the form that Ant had first."""
    passed, failed, skipped = 0, {}, {}
    for case in xml.etree.ElementTree.parse(reports / "TEST-junit-jupiter.xml").getroot().iter("testcase"):
        name = case.get("name")
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        left_out = case.find("skipped")
        if wrong is not None:
            failed[name] = (wrong.get("message") or wrong.text or "").strip()[:2000]
        elif left_out is not None:
            reason = (left_out.text or "").strip().splitlines()
            skipped[name] = reason[0] if reason else ""
        else:
            passed += 1
    return {"passed": passed, "failed": failed, "skipped": skipped}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--warehouse", default="")
    parser.add_argument("--test", help="only this one")
    options = parser.parse_args()
    if not list((CACHE / "rck").glob("iceberg-open-api-*.jar")):
        sys.exit(f"rck.py: no kit in {CACHE / 'rck'}: run tests/parts/provision")
    made = [folder for folder in LEFT_BEHIND if not folder.exists()]
    with tempfile.TemporaryDirectory(prefix="rck-") as folder:
        reports = pathlib.Path(folder)
        done = run(options, reports)
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        if not (reports / "TEST-junit-jupiter.xml").exists():
            sys.exit(f"rck.py: the kit did not run:\n{done.stdout[-4000:]}")
        told = verdict(reports)
    json.dump(told, sys.stdout, indent=1)
    print()
    sys.exit(DIFFERS if told["failed"] else 0)


if __name__ == "__main__":
    main()
