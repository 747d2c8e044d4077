# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# The phases of a deployment, each over whatever driver is in use. What they share: deployment, environment, verb, version,
# commit, active (the colour with the traffic, or empty), target (the other one), artefact, snapshot.

readonly DEPLOYMENTS_APART=6 # hexadecimal digits that tell two deployments of one second apart

phase() { printf '\n== %s: %s\n' "$1" "$2"; }

new_deployment_id() { say "$(date -u +%Y%m%dT%H%M%SZ)-$(od -An -N $((DEPLOYMENTS_APART / 2)) -tx1 /dev/urandom | tr -d ' \n')"; }

environment_is_this() {
    [ "${SUPD_ENVIRONMENT:-}" = "$environment" ] ||
        die "$EXIT_SETUP" "this machine is '${SUPD_ENVIRONMENT:-}' by SUPD_ENVIRONMENT in $env_file, not $environment"
}

phase_validate() {
    phase validate "environment, tools, settings, source"
    environment_is_this
    local name
    seconds "${SUPD_HEALTH_INTERVAL_S:-2}" || die "$EXIT_SETUP" "SUPD_HEALTH_INTERVAL_S is '$SUPD_HEALTH_INTERVAL_S', not a number of seconds"
    for name in SUPD_HEALTH_TRIES SUPD_WATCH_S SUPD_KEEP_S SUPD_SNAPSHOTS; do
        [ -z "${!name:-}" ] || whole_number "${!name}" || die "$EXIT_SETUP" "$name is '${!name}', not a whole number"
    done
    if [ -n "${FOREIGN_NGINX_CONF:-}" ]; then foreign_nginx_check; fi
    need flock curl sed awk
    [ "$(stat -c %a "$secrets" 2>/dev/null)" = 700 ] || die "$EXIT_SETUP" "$secrets must be there and be for its owner only (0700)"
    local loose
    loose=$(find "$secrets" -type f -perm /077 -print)
    [ -z "$loose" ] || die "$EXIT_SETUP" "others can read: $loose (chmod 600)"
    driver_validate
    version=$(source_version)
    commit=$(source_commit)
    if [ "$environment" != development ] && [[ $commit == *-dirty ]]; then
        die "$EXIT_SETUP" "the source has changes that are not committed: $environment gets commits only"
    fi
    say "version $version, commit $commit, driver $driver"
}

choose_colours() {
    active=$(state_active)
    if [ -n "$active" ]; then target=$(other_colour "$active"); else target=blue; fi
    say "active: ${active:-none}; this one: $target"
}

phase_build() {
    phase build "version $version, commit $commit"
    driver_build
}

phase_check() {
    phase check "the settings, with what $target will run"
    planned driver_supd "$target" config check
}

phase_snapshot() {
    phase snapshot "of the database before its schema is touched"
    if [ -n "$dry_run" ]; then say "would dump the database to $snapshot_folder/$deployment.dump"; return; fi
    snapshot_take "$deployment"
}

phase_migrate() {
    phase migrate "with what $target will run"
    if [ -n "$dry_run" ]; then say "would run: supd migrate up"; return; fi
    driver_supd "$target" migrate up
}

# What an interrupted deployment has left running on the idle colour is not what this one brings.
phase_start() {
    phase start "$target"
    ! driver_alive "$target" || planned driver_stop "$target" || return
    planned driver_start "$target"
}

phase_gate() {
    phase gate "${SUPD_HEALTH_TRIES:-30} tries, ${SUPD_HEALTH_INTERVAL_S:-2} s apart"
    planned health_gate "$target"
}

phase_switch() {
    phase switch "nginx from ${active:-nothing} to $target"
    planned nginx_switch "$target" "$deployment"
}

phase_watch() {
    phase watch "$target for ${SUPD_WATCH_S:-30} s${1:+, $1}"
    planned health_watch "$target" "${SUPD_WATCH_S:-30}"
}

phase_drain() {
    [ -n "$active" ] || return 0
    phase drain "$active: it closes its sockets with a reconnect hint, finishes, and ends; what it ran stays"
    planned driver_stop "$active"
}

# The new colour failed with traffic on it. The old one is still there, or is started again from what it ran.
switch_back() {
    phase switch-back "to $active"
    if ! driver_alive "$active"; then
        driver_start "$active" && health_gate "$active" || { say "$active does not come up either"; return 1; }
    fi
    nginx_switch "$active" "$deployment-back"
}

# give_up RESULT WHY: nothing of the new colour stays; the old one has the traffic.
give_up() {
    say
    say "FAILED: $2"
    driver_stop "$target" || warn "$target could not be stopped"
    # What the colour ran before is what a rollback finds there again.
    [ -z "$former_artefact" ] || driver_assign "$target" "$former_artefact"
    state_record "$1" "$2"
    say "active: ${active:-none}"
}

# From the start of the idle colour to the end of the old one.
bring_up() {
    phase_start || { give_up failed "$target did not start"; return 1; }
    phase_gate || { give_up failed "$target did not pass the health gate; it got no traffic"; return 1; }
    phase_switch || { give_up failed "nginx did not switch"; return 1; }
    [ -n "$dry_run" ] || driver_switched "$target"
    if ! phase_watch "${active:+while $active still runs}" || { [ -n "$active" ] && phase_drain && ! phase_watch "after $active has gone"; }; then
        if [ -n "$active" ] && switch_back; then
            driver_switched "$active"
            give_up "switched back" "$target failed after the switch"
        else
            state_record failed "$target failed after the switch, and there is nothing to switch back to"
        fi
        return 1
    fi
    [ -n "$dry_run" ] || state_record deployed
}

# locked FUNCTION: under the lock, with a log of its own, and a record in the state of what was broken off.
locked() {
    local code=0
    if [ -z "$dry_run" ]; then
        lock_take "$deployment" "$force"
        trap 'log_end; lock_release' EXIT
        trap 'broken_off' INT TERM HUP
        log_begin "$deployment"
    fi
    say "deployment $deployment: $verb of $environment by $(id -un 2>/dev/null || id -u), version $version ($commit)"
    "$1" || code=$?
    exit "$code"
}

broken_off() {
    say "FAILED: broken off by a signal; the next deployment finds out what has the traffic"
    [ -z "$target" ] || state_record interrupted "broken off by a signal"
    exit 130
}
