#!/usr/bin/env bash
# The database schema, by hand: what a deployment does in its phase of that name.
#   scripts/migrate.sh <development|staging|production> status [--json]
#   scripts/migrate.sh <development|staging|production> up|down [--to N] [--force]     under the lock, after a snapshot
# status and up are those of the colour with the traffic; down is done by the version that knows what is to be taken back.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"

usage() { sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

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

# What there is of versions, the likeliest first.
artefacts() {
    driver_artefact "$colour"
    driver_artefact "$(other_colour "$colour")"
    [ ! -e "$state_file" ] || jq -r '.history | reverse | .[].artefact // empty' "$state_file"
}
knows_the_schema() { driver_run "$colour" "$1" migrate status --json | jq -e '.migrations | all(.state != "newer")' >/dev/null; }

# Only a version that knows a migration can take it back: after a rollback that is not the one with the traffic.
choose_artefact() {
    local candidate
    while read -r candidate; do
        if [ -n "$candidate" ] && driver_has "$candidate" && knows_the_schema "$candidate"; then
            artefact=$candidate
            say "with $artefact"
            return
        fi
    done < <(artefacts | awk '!seen[$0]++')
    say "no version that is still here knows all migrations of the database: deploy the one that applied them first"
    return 1
}

change_schema() {
    target=$colour
    artefact=$(driver_artefact "$colour")
    if [ "$direction" = down ]; then choose_artefact || return; fi
    snapshot_take "$deployment" || { say "no snapshot, so the schema was not touched"; return 1; }
    driver_run "$colour" "$artefact" migrate "$direction" "${arguments[@]}"
}

if [ "$direction" = status ]; then
    driver_supd "$colour" migrate status "${arguments[@]}"
else
    locked change_schema
fi
