#!/usr/bin/env bash
# Makes a backup and thins out the old ones; what `supd backup` does, for cron and timers: one at a time, quiet when all
# is well.
#   scripts/backup.sh [--verify] [--push] [options of supd, e.g. --config FILE]
#   --verify   proves the newest archive by restoring it into a scratch database (once a week)
#   --push     only copies to the second place (every few minutes, for the copy of the deletion ledger)
# SUPD names the program; else that of PATH, else the newest build here.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
supd=${SUPD:-$(command -v supd || echo "$root/build/release/src/supd")}
[ -x "$supd" ] || { echo "backup.sh: no supd; set SUPD to its path" >&2; exit 69; }

what=create
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --verify) what=verify ;;
        --push) what=push ;;
        -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) options+=("$1") ;;
    esac
    shift
done

said=$(mktemp)
trap 'rm -f "$said"' EXIT
code=0
if [ "$what" = verify ]; then
    newest=$("$supd" backup list --json "${options[@]}" |
        python3 -c 'import json, sys; print(next((e["file"] for e in reversed(json.load(sys.stdin)) if e.get("kind") == "backup"), ""))')
    [ -n "$newest" ] || { echo "backup.sh: there is no backup to prove" >&2; exit 65; }
    "$supd" backup verify "$newest" "${options[@]}" >"$said" || code=$?
else
    "$supd" backup "$what" "${options[@]}" >"$said" || code=$?
fi
if [ "$code" -ne 0 ] || [ -t 1 ]; then
    cat "$said"
fi
exit "$code"
