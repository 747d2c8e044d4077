#!/usr/bin/env bash
# The database schema, by hand: what a deployment does in its phase of that name.
#   scripts/migrate.sh <development|staging|production> status [--json]
#   scripts/migrate.sh <development|staging|production> up|down [--to N] [--force]     under the lock, after a snapshot
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"

usage() { sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

case ${1:-} in
    development | staging | production) environment=$1 ;;
    --help | -h) usage; exit ;;
    *) usage >&2; exit "$EXIT_USAGE" ;;
esac
case ${2:-} in
    status | up | down) verb="migrate $2" direction=$2 ;;
    *) usage >&2; exit "$EXIT_USAGE" ;;
esac
shift 2
force='' arguments=()
for word in "$@"; do
    if [ "$word" = --force ]; then force=1; else arguments+=("$word"); fi
done

read_settings
load_driver
environment_is_this
driver_validate
deployment=$(new_deployment_id)
version=$(source_version) commit=$(source_commit) active=$(state_active) target='' artefact='' snapshot='' former_artefact=''
colour=${active:-blue}
[ -n "$(driver_artefact "$colour")" ] || die "$EXIT_SETUP" "nothing is built for $colour: deploy first"

change_schema() {
    target=$colour
    snapshot_take "$deployment" || { say "no snapshot, so the schema was not touched"; return 1; }
    driver_supd "$colour" migrate "$direction" "${arguments[@]}"
}

if [ "$direction" = status ]; then
    driver_supd "$colour" migrate status "${arguments[@]}"
else
    locked change_schema
fi
