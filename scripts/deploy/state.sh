# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# What is deployed, and what was: var/deploy/state.json. Written whole and moved into place.

state_file=$var/deploy/state.json
readonly STATE_HISTORY=100

state_get() {
    [ -e "$state_file" ] || return 0
    jq -r "$1 // \"\"" "$state_file"
}

other_colour() { [ "$1" = blue ] && say green || say blue; }

# The colour with the traffic, or nothing: nginx knows best, since a deployment may have been broken off before it wrote its
# record. A configuration that setup.sh made in advance counts once its colour runs.
state_active() {
    local recorded live
    recorded=$(state_get .active)
    live=$(nginx_live_colour)
    if [ -n "$live" ] && { [ "$live" = "$recorded" ] || driver_alive "$live"; }; then
        say "$live"
    elif [ -n "$recorded" ]; then
        say "$recorded"
    fi
}

# state_change JQ-PROGRAM ARGUMENTS...
state_change() {
    local program=$1 next
    shift
    mkdir -p "$var/deploy"
    [ -e "$state_file" ] || say '{"active": null, "colours": {}, "history": []}' >"$state_file"
    next=$(mktemp "$state_file.XXXXXX")
    jq --argjson kept "$STATE_HISTORY" "$@" "$program | .history |= .[-\$kept:]" "$state_file" >"$next"
    mv "$next" "$state_file"
}

# state_record RESULT [WHY]: the deployment that has just ended, whatever became of it.
state_record() {
    local result=$1 why=${2:-}
    state_change '
        ($entry + {result: $result, why: $why, ended_at: $now}) as $done
        | .history += [$done | with_entries(select(.value != ""))]
        | if $result == "deployed" then
            .active = $entry.colour
            | .colours[$entry.colour] = ($entry + {since: $now})
            | if $entry.previous != "" and .colours[$entry.previous] then .colours[$entry.previous].left_at_s = ($now_s | tonumber) else . end
          else . end' \
        --argjson entry "$(deployment_json)" --arg result "$result" --arg why "$why" --arg now "$(date -u +%FT%TZ)" --arg now_s "$(date +%s)"
}

deployment_json() {
    jq -n --arg id "$deployment" --arg verb "$verb" --arg version "$version" --arg commit "$commit" --arg by "$(id -un 2>/dev/null || id -u)" \
        --arg environment "$environment" --arg colour "$target" --arg previous "$active" --arg artefact "$artefact" --arg snapshot "$snapshot" \
        '{id: $id, verb: $verb, environment: $environment, version: $version, commit: $commit, by: $by, colour: $colour, previous: $previous, artefact: $artefact, snapshot: $snapshot}'
}
