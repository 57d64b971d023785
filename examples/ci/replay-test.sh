#!/usr/bin/env bash
# Replays a topic into a namespace of its own, asks queries there, and removes it again, whatever happened before.
#
#   replay-test.sh CONFIG TABLE QUERIES REPORT [OPTIONS OF tabletopic replay]
#
#   CONFIG    the configuration that feeds TABLE, such as tabletopic.toml
#   TABLE     as the configuration names it, such as shop.orders
#   QUERIES   a folder of queries and what they have to answer (docs/test-sql.md)
#   REPORT    the JUnit report that is written, such as report.xml
#
# It leaves with 0 where every query answers what is expected, and with the exit code of the step that failed otherwise: 3
# where an answer differs (docs/operations.md has all of them). `tabletopic` is looked for on the path, or is $TABLETOPIC.
set -euo pipefail

if [ "$#" -lt 4 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
config=$1 table=$2 queries=$3 report=$4
shift 4
tabletopic=${TABLETOPIC:-tabletopic}

# A name of its own: jobs may run side by side.
namespace="ci_$(date +%s)_$$"

clean_up() {
    code=$?
    trap - EXIT
    dropped=0
    "$tabletopic" replays --config "$config" --drop "$namespace" --yes >&2 || dropped=$?
    # 2: there is nothing, because the replay never began.
    if [ "$dropped" -ne 0 ] && [ "$dropped" -ne 2 ]; then
        echo "$namespace is left behind; \`tabletopic replays --drop $namespace\` removes it, and its time is over tomorrow" >&2
        [ "$code" -ne 0 ] || code=$dropped
    fi
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --ttl: a job that is killed can't clean up; `tabletopic run` and `replays --drop-expired` do it a day later.
"$tabletopic" replay "$table" --config "$config" --into "$namespace" --ttl 1d "$@"
"$tabletopic" test-sql "$queries" --config "$config" --namespace "$namespace" --junit "$report"
