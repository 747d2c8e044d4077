#!/usr/bin/env bash
# Makes a backup and thins out the old ones; what `supd backup` does, for cron and timers: one at a time, quiet when all
# is well.
#   scripts/backup.sh [--verify] [--push] [options of supd, e.g. --config FILE]
#   --verify   proves the newest archive by restoring it into a scratch database (once a week)
#   --push     only copies to the second place (every few minutes, for the copy of the deletion ledger)
# Where scripts/setup.sh has made a .env, of what is deployed there. SUPD names another program, --config a daemon's file; without
# a .env it is the supd of PATH, else the newest build here.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"
# shellcheck source=scripts/deploy/program.sh
. "$root/scripts/deploy/program.sh"

what=create
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --verify) what=verify ;;
        --push) what=push ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) options+=("$1") ;;
    esac
    shift
done
choose_supd "${options[@]}"

said=$(mktemp) || exit
trap 'rm -f "$said"' EXIT
code=0
if [ "$what" = verify ]; then
    need jq
    listed=$(supd backup list --json "${options[@]}" 2>"$said") || { code=$?; cat "$said" >&2; exit "$code"; }
    newest=$(jq -r '[.[] | select(.kind == "backup")] | last | .file // ""' <<<"$listed") || exit
    [ -n "$newest" ] || die 65 "there is no backup to prove"
    supd backup verify "$newest" "${options[@]}" >"$said" 2>&1 || code=$?
else
    supd backup "$what" "${options[@]}" >"$said" 2>&1 || code=$?
fi
if [ "$code" -ne 0 ] || [ -t 1 ]; then
    cat "$said"
fi
exit "$code"
