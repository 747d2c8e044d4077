#!/usr/bin/env bash
# Deploys supd without anybody noticing: the idle one of two colours gets the new version, proves itself, gets the traffic.
#   scripts/deploy.sh <development|staging|production> [verb] [flags]
#
#   deploy      (the default) validate, lock, build, check, snapshot, migrate, start, gate, switch, watch, drain, watch
#   build       build what a deployment would run
#   start       start the active colour and nginx
#   stop        stop both colours and nginx
#   restart     a deployment of what runs already, to the other colour
#   logs        the last lines of the active colour; of a deployment: logs <id>
#   status      what runs, the lock, the last deployments
#   backup      an archive of the database, with what has the traffic (docs/backup.md); --list shows the snapshots
#   clean       remove what no colour runs and no rollback needs, old snapshots and logs
#
#   --dry-run          say what would be done and change nothing
#   --skip-migrations  neither snapshot nor migrations (the daemon itself applies what is pending when it starts)
#   --force            take the lock over from a holder that is proven dead
#   --list             with backup: list the snapshots
#   --version, --help
#
# Exit codes: 0 done; 1 failed and the old colour has the traffic; 64 usage; 69 a tool is missing; 75 locked; 78 settings.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

environment='' verb='' argument='' force='' skip_migrations='' list=''
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=1 ;;
        --skip-migrations) skip_migrations=1 ;;
        --force) force=1 ;;
        --list) list=1 ;;
        --version) say "supd $(source_version) ($(source_commit))"; exit ;;
        --help | -h) usage; exit ;;
        -*) usage >&2; die "$EXIT_USAGE" "unknown flag $1" ;;
        *)
            if [ -z "$environment" ]; then environment=$1
            elif [ -z "$verb" ]; then verb=$1
            elif [ -z "$argument" ]; then argument=$1
            else usage >&2; die "$EXIT_USAGE" "too many words: $1"; fi
            ;;
    esac
    shift
done
case $environment in
    development | staging | production) ;;
    '') usage >&2; exit "$EXIT_USAGE" ;;
    *) die "$EXIT_USAGE" "unknown environment '$environment': development, staging or production" ;;
esac
verb=${verb:-deploy}

read_settings
load_driver
deployment=$(new_deployment_id)
version='' commit='' active='' target='' artefact='' snapshot='' former_artefact=''

verb_deploy() {
    planned driver_prepare || return
    choose_colours
    if [ -n "$active" ] && [ "$verb" = restart ]; then
        artefact=$(driver_artefact "$active")
        driver_has "$artefact" || { say "what $active runs is not there any more: $artefact"; return 1; }
    else
        phase_build || { say "FAILED: the build"; [ -n "$dry_run" ] || state_record failed build; return 1; }
    fi
    [ -n "$dry_run" ] || { former_artefact=$(driver_artefact "$target"); driver_assign "$target" "$artefact"; }
    phase_check || { give_up failed "the settings"; return 1; }
    if [ -z "$skip_migrations" ] && [ "$verb" = deploy ]; then
        phase_snapshot || { give_up failed "no snapshot, so the schema was not touched"; return 1; }
        phase_migrate || { give_up failed "the migration"; return 1; }
    fi
    bring_up || return
    [ -z "${FOREIGN_NGINX_CONF:-}" ] || planned "$root/scripts/post-deploy-nginx.sh" "$FOREIGN_NGINX_CONF" || warn "the foreign nginx was not changed"
    say
    say "${dry_run:+would be }deployed: $deployment, version $version ($commit), $target"
}

verb_start() {
    planned driver_prepare || return
    choose_colours
    local colour=${active:-blue}
    driver_has "$(driver_artefact "$colour")" || { say "nothing is built for $colour: deploy first"; return 1; }
    planned driver_start "$colour" && planned health_gate "$colour" && planned nginx_switch "$colour" "$deployment"
}

verb_stop() {
    local colour
    for colour in blue green; do
        ! driver_alive "$colour" || planned driver_stop "$colour"
    done
    ! driver_nginx_running || planned driver_nginx_stop
}

verb_backup() {
    planned driver_command backup create
}

verb_clean() {
    driver_clean
    [ -n "$dry_run" ] || { snapshot_clean; log_clean; }
}

case $verb in
    deploy | restart) phase_validate && locked verb_deploy ;;
    build) phase_validate && choose_colours && phase_build ;;
    start | stop | backup | clean)
        if [ -n "$list" ] && [ "$verb" = backup ]; then snapshot_list; exit; fi
        phase_validate && locked "verb_$verb"
        ;;
    logs)
        if [ -n "$argument" ]; then
            [[ $argument =~ ^[A-Za-z0-9-]+$ && -r $var/deploy/log/$argument.log ]] || die "$EXIT_USAGE" "no deployment $argument"
            cat "$var/deploy/log/$argument.log"
        else
            active=$(state_active)
            driver_logs "${active:-blue}" 100
        fi
        ;;
    status) exec "$root/scripts/status.sh" ;;
    *) usage >&2; die "$EXIT_USAGE" "unknown verb '$verb'" ;;
esac
