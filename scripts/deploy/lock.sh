# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# One deployment at a time. The lock is a file that says who holds it; it appears whole or not at all (a hard link), and is
# taken over only from a holder that is proven dead: same host, and no process of that number and start.

lock_file=$var/deploy/lock
lock_id=

# process_start PID: when it started, in ticks since boot. A number that is used again has another start.
process_start() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086  # split into fields on purpose
    set -- $stat
    say "${20}"
}

# process_is PID START: that very process is alive, and no zombie.
process_is() {
    local stat
    [ -n "$1" ] && [ "$(process_start "$1")" = "$2" ] || return 1
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    [ "${stat%% *}" != Z ]
}

lock_field() { jq -r --arg name "$1" '.[$name] // ""' "$lock_file" 2>/dev/null; }

lock_describe() {
    local since
    since=$(lock_field started_s)
    say "deployment $(lock_field id) by $(lock_field owner), process $(lock_field pid) on $(lock_field host), for $(($(date +%s) - ${since:-0})) s"
}

lock_holder_is_dead() {
    [ "$(lock_field host)" = "$(hostname)" ] || return 1
    ! process_is "$(lock_field pid)" "$(lock_field process_start)"
}

# lock_take ID FORCE
lock_take() {
    local id=$1 force=$2 mine guard
    mkdir -p "$var/deploy"
    mine=$(mktemp "$var/deploy/lock.XXXXXX")
    jq -n --arg id "$id" --arg owner "$(id -un 2>/dev/null || id -u)" --arg pid $$ --arg host "$(hostname)" \
        --arg start "$(process_start $$)" --arg now "$(date +%s)" \
        '{id: $id, owner: $owner, pid: $pid, host: $host, process_start: $start, started_s: $now}' >"$mine"
    # Two that force at once: the second must not remove what the first has just taken.
    exec {guard}>"$lock_file.guard"
    flock "$guard"
    if [ -e "$lock_file" ] && [ -n "$force" ] && lock_holder_is_dead; then
        say "taking over from a dead holder: $(lock_describe)"
        rm -f "$lock_file"
    fi
    if ln "$mine" "$lock_file" 2>/dev/null; then
        rm -f "$mine"
        exec {guard}>&-
        lock_id=$id
        return
    fi
    rm -f "$mine"
    exec {guard}>&-
    say "locked: $(lock_describe)" >&2
    if lock_holder_is_dead; then
        say "That process is dead; --force takes over." >&2
    elif [ -n "$force" ] && [ "$(lock_field host)" != "$(hostname)" ]; then
        say "--force cannot prove a process of another host dead. If you know that it is, remove $lock_file." >&2
    elif [ -n "$force" ]; then
        say "That process is alive, so --force does not take over." >&2
    fi
    exit "$EXIT_LOCKED"
}

lock_release() {
    [ -n "$lock_id" ] || return 0
    [ "$(lock_field id)" != "$lock_id" ] || rm -f "$lock_file"
    lock_id=
}
