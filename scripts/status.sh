#!/usr/bin/env bash
# What runs here: services, the active colour, who holds the lock, the last deployments.
#   scripts/status.sh [--json]        --json: the state file as it is
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"

readonly STATUS_DEPLOYMENTS=5

case ${1:-} in
    '') ;;
    --json) if [ -e "$state_file" ]; then exec jq . "$state_file"; fi; say '{"active": null, "colours": {}, "history": []}'; exit ;;
    *) sed -n '2,3s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; [ "$1" = --help ]; exit ;;
esac

read_settings
load_driver
need jq
say "environment: ${SUPD_ENVIRONMENT:-unknown}, driver: $driver"
driver_status
active=$(state_active)
say "active: ${active:-none}${active:+, version $(state_get ".colours.$active.version"), since $(state_get ".colours.$active.since")}"
if [ -e "$lock_file" ]; then
    say "locked: $(lock_describe)$(lock_holder_is_dead && say ' (dead)')"
else
    say "lock: free"
fi
say "snapshots: $(snapshot_files | wc -l)"
say "last deployments:"
[ ! -e "$state_file" ] || jq -r --argjson many "$STATUS_DEPLOYMENTS" \
    '.history[-$many:][] | "  \(.ended_at)  \(.id)  \(.verb) of \(.version // "?") (\(.commit // "?")) to \(.colour) by \(.by): \(.result)\(if .why then ", " + .why else "" end)"' \
    "$state_file"
