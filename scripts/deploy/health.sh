# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# Whether a colour may get traffic, and whether it still deserves it.

readonly WATCH_STRIKES=3 # misses in a row before a colour that still runs is given up
readonly WATCH_PAUSE_S=1

# health_gate COLOUR: asked SUPD_HEALTH_TRIES times, SUPD_HEALTH_INTERVAL_S apart. A colour that has ended fails at once.
health_gate() {
    local colour=$1 tries=${SUPD_HEALTH_TRIES:-30} pause=${SUPD_HEALTH_INTERVAL_S:-2} try sick
    for ((try = 1; try <= tries; try++)); do
        if ! driver_alive "$colour"; then
            say "$colour has ended by itself; its last words:"
            driver_logs "$colour" 20
            return 1
        fi
        sick=$(driver_sick_services)
        if driver_ready "$colour" && [ -z "$sick" ]; then
            say "$colour is ready (try $try of $tries)"
            return
        fi
        say "try $try of $tries: $colour is not ready${sick:+; not healthy: $sick}"
        [ "$try" -eq "$tries" ] || sleep "$pause"
    done
    say "$colour was not ready in time; its last words:"
    driver_logs "$colour" 20
    return 1
}

# health_watch COLOUR SECONDS: false as soon as it ends, or misses several times in a row.
health_watch() {
    local colour=$1 until=$((SECONDS + $2)) strikes=0
    while :; do
        if ! driver_alive "$colour"; then
            say "$colour has ended after the switch; its last words:"
            driver_logs "$colour" 20
            return 1
        fi
        if driver_ready "$colour" && driver_public_ready; then
            strikes=0
        else
            strikes=$((strikes + 1))
            say "$colour did not answer ($strikes of $WATCH_STRIKES)"
            [ "$strikes" -lt "$WATCH_STRIKES" ] || return 1
        fi
        [ "$SECONDS" -lt "$until" ] || return 0
        sleep "$WATCH_PAUSE_S"
    done
}
