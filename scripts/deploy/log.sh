# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# One log per deployment, from which every secret is taken out before it is written.

readonly LOG_KEPT_DAYS=90
log_pid=

# A sed script that replaces the content of each file in secrets/, and passwords in URLs.
redaction() {
    local file value
    for file in "$secrets"/*; do
        [ -f "$file" ] || continue
        while IFS= read -r value || [ -n "$value" ]; do
            # The last word of a line: in redis.conf and livekit_keys a word of grammar goes before it.
            value=${value##* }
            [ ${#value} -ge 8 ] && [[ $value != -----* ]] || continue
            printf 's|%s|[redacted]|g\n' "$(sed 's/[][\\.*^$|+?(){}]/\\&/g' <<<"$value")"
        done <"$file"
    done
    printf '%s\n' 's|(://[^:/@ ]*):[^@/ ]*@|\1:[redacted]@|g' 's|(Bearer )[A-Za-z0-9._~+/=-]+|\1[redacted]|g'
}

# Everything said from here on goes to the terminal and to the log of this deployment.
log_begin() {
    local id=$1
    log_file=$var/deploy/log/$id.log
    mkdir -p "$var/deploy/log"
    (umask 077 && : >>"$log_file")
    exec 3>&1 4>&2
    exec > >(exec sed -u -E -f <(redaction) | exec tee -a "$log_file" >&3) 2>&1
    log_pid=$!
}

# Waits until the last line is written.
log_end() {
    [ -n "$log_pid" ] || return 0
    exec 1>&3 2>&4 3>&- 4>&-
    wait "$log_pid" 2>/dev/null || true
    log_pid=
}

log_clean() { find "$var/deploy/log" -name '*.log' -mtime "+$LOG_KEPT_DAYS" -print -delete 2>/dev/null || true; }
