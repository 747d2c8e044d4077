#!/usr/bin/env bash
# Back to what the other colour ran before the last deployment, in one command; it takes the health gate like any other.
#   scripts/rollback.sh <development|staging|production> [--dry-run] [--force]
# The database stays as it is: a release runs on the schema of the next one. An older binary that does not know the schema
# refuses to start, and then nothing is switched; docs/deploy.md says how to take a migration back.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"

environment='' force='' verb=rollback
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=1 ;;
        --force) force=1 ;;
        --help | -h) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
        development | staging | production) environment=$1 ;;
        *) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit "$EXIT_USAGE" ;;
    esac
    shift
done
[ -n "$environment" ] || die "$EXIT_USAGE" "which environment: development, staging or production?"

read_settings
load_driver
deployment=$(new_deployment_id)
version='' commit='' active='' target='' artefact='' snapshot='' former_artefact=''

roll_back() {
    choose_colours
    [ -n "$active" ] || { say "nothing has the traffic, so there is nothing to go back from"; return 1; }
    artefact=$(driver_artefact "$target")
    if [ -z "$artefact" ] || ! driver_has "$artefact"; then
        say "what $target ran is not there any more: deploy the version that you want"
        return 1
    fi
    former_artefact=$artefact
    version=$(state_get ".colours.$target.version")
    commit=$(state_get ".colours.$target.commit")
    say "back to version ${version:-unknown} (${commit:-unknown})"
    bring_up || return
    say
    say "${dry_run:+would be }rolled back: $deployment, $target"
}

# The commit at hand does not matter: nothing of it is deployed.
environment_is_this
driver_validate
locked roll_back
