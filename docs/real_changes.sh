#!/usr/bin/env bash
# What the gate of `nbbench compare` makes of real changes: an attention implementation swapped, a
# thread removed, another version of Transformers. Prints each verdict and exit code.
#
#     OTHER=/path/to/another/bin/python bash docs/real_changes.sh [NBBENCH]
set -uo pipefail
nbbench=${1:-nbbench}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

measure() {
  "$nbbench" run all-MiniLM-L6-v2 -b 2 -s 512 --no-memory --save "$folder/$1.json" "${@:2}" >/dev/null 2>&1
}

gate() {
  echo "== from $1 to $2"
  "$nbbench" compare "$folder/$1.json" "$folder/$2.json" --fail-slower 5% --fail-unsure
  echo "exit code $?"
}

measure eager --attention eager
measure sdpa --attention sdpa
gate sdpa eager
gate eager sdpa
measure two --threads 2
measure one --threads 1
gate two one
measure new
measure old -e "$OTHER"
gate new old
gate old new
