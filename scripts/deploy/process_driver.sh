# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# The phases over plain processes, for a machine without containers: each colour is a supd on a port of its own in
# var/process/<colour>/, nginx is the system's, run by the same user. An artefact is a folder with the binary in it.

process_folder=$var/process
readonly PROCESS_STOP_S=40 # above server.grace_s and what it takes to end

# process_port COLOUR: 3001 and 3002; the admin listener's: 3901 and 3902.
process_port() {
    case $1 in
        blue) say "${SUPD_BLUE_PORT:-3001}" ;;
        green) say "${SUPD_GREEN_PORT:-3002}" ;;
    esac
}
process_admin_port() {
    case $1 in
        blue) say "${SUPD_BLUE_ADMIN_PORT:-3901}" ;;
        green) say "${SUPD_GREEN_ADMIN_PORT:-3902}" ;;
    esac
}

# Fills $environment for that colour: secrets by file, settings by name; nothing else of ours reaches the daemon.
process_environment() {
    local colour=$1 name
    environment=()
    for name in $(compgen -e); do
        case $name in
            SUPD__* | OTEL_EXPORTER_OTLP_* | PATH | HOME | LANG | TMPDIR | LOG_LEVEL | CORS_ORIGIN | LD_LIBRARY_PATH | *SAN_OPTIONS)
                environment+=("$name=${!name}")
                ;;
        esac
    done
    environment+=("SUPD__MODE=${SUPD__MODE:-production}" "SUPD__NAME=${SERVER_NAME:-localhost}" SUPD__SERVER__HOST=127.0.0.1
        "SUPD__SERVER__PORT=$(process_port "$colour")" "SUPD__SERVER__ADMIN_PORT=$(process_admin_port "$colour")"
        SUPD__SERVER__TRUSTED_PROXIES=127.0.0.1 "SUPD__SERVER__DATA_DIR=$process_folder/data"
        "SUPD__AUTH__REGISTRATION=${REGISTRATION:-open}" "SUPD__TRACE__SAMPLE_RATIO=${SUPD__TRACE__SAMPLE_RATIO:-${TRACE_SAMPLE_RATIO:-0.1}}"
        "DATABASE_URL_FILE=$secrets/database_url" "JWT_SECRET_FILE=$secrets/jwt_secret")
    [ ! -s "$secrets/redis_url" ] || environment+=("REDIS_URL_FILE=$secrets/redis_url")
    [ ! -s "$secrets/backup_key" ] || environment+=("SUPD__BACKUP__FOLDER=${SUPD__BACKUP__FOLDER:-$var/backups}"
        "SUPD__BACKUP__KEY_FILE=${SUPD__BACKUP__KEY_FILE:-$secrets/backup_key}" "SUPD__BACKUP__KEEP=${SUPD__BACKUP__KEEP:-${BACKUP_KEEP:-14}}")
}

driver_validate() {
    local file binary=${SUPD_BINARY:-$root/build/release/src/supd}
    need jq curl setsid pg_dump pg_restore nginx
    for file in jwt_secret database_url; do
        [ -s "$secrets/$file" ] || die "$EXIT_SETUP" "secrets/$file is missing"
    done
    [ -s "$var/tls/certificate.pem" ] || die "$EXIT_SETUP" "there is no certificate in var/tls: run scripts/setup.sh"
    if [ "${SUPD_BINARY_FROM:-build}" = prebuilt ] && [ ! -x "$binary" ]; then
        die "$EXIT_SETUP" "SUPD_BINARY_FROM is prebuilt, and there is no $binary"
    fi
}

driver_prepare() { :; }

driver_build() {
    local binary=${SUPD_BINARY:-$root/build/release/src/supd}
    if [ "${SUPD_BINARY_FROM:-build}" = build ]; then
        planned "$root/scripts/install-deps" run || return
        if [ ! -e "$root/build/release/build.ninja" ]; then
            (cd "$root" && planned cmake --preset release) || return
        fi
        planned cmake --build "$root/build/release" --target supd || return
    fi
    artefact=$process_folder/artefacts/$deployment
    if [ -n "$dry_run" ]; then
        say "would keep $binary as $artefact/supd"
    else
        mkdir -p "$artefact" && cp "$binary" "$artefact/supd"
    fi
}

driver_has() { [ -x "$1/supd" ]; }
driver_assign() { mkdir -p "$process_folder/$1" && ln -sfn "$2" "$process_folder/$1/artefact"; }
driver_artefact() { readlink "$process_folder/$1/artefact" 2>/dev/null || true; }
driver_run() {
    local environment
    process_environment "$1"
    env -i "${environment[@]}" "$2/supd" "${@:3}" </dev/null
}
driver_supd() { driver_run "$1" "$process_folder/$1/artefact" "${@:2}"; }
driver_command() {
    local colour
    colour=$(state_active)
    colour=${colour:-blue}
    driver_has "$process_folder/$colour/artefact" || { warn "nothing is built for $colour: deploy first"; return "$EXIT_SETUP"; }
    driver_supd "$colour" "$@"
}

# The pid and its start, so that a number that is used again is not taken for ours.
process_pid() { cut -d ' ' -f 1 "$process_folder/$1/pid" 2>/dev/null; }

driver_start() {
    local colour=$1 folder=$process_folder/$1 environment pid
    ! driver_alive "$colour" || return 0
    mkdir -p "$process_folder/data"
    (umask 077 && : >>"$folder/supd.log")
    process_environment "$colour"
    # A session of its own: what ends this script or its terminal does not end the daemon.
    setsid env -i "${environment[@]}" "$folder/artefact/supd" serve </dev/null >>"$folder/supd.log" 2>&1 3>&- 4>&- &
    pid=$!
    disown
    say "$pid $(process_start "$pid")" >"$folder/pid"
}

driver_stop() {
    local pid until=$((SECONDS + PROCESS_STOP_S))
    driver_alive "$1" || { rm -f "$process_folder/$1/pid"; return 0; }
    pid=$(process_pid "$1")
    kill -TERM "$pid"
    while driver_alive "$1"; do
        if [ "$SECONDS" -ge "$until" ]; then
            warn "$1 did not end within $PROCESS_STOP_S s of SIGTERM; killing it"
            kill -KILL "$pid"
            until=$((SECONDS + PROCESS_STOP_S))
        fi
        sleep 0.1
    done
    rm -f "$process_folder/$1/pid"
}

driver_alive() {
    local pid start
    { read -r pid start <"$process_folder/$1/pid"; } 2>/dev/null || return 1
    process_is "$pid" "$start"
}

driver_ready() { curl -s -f -m 3 -o /dev/null "http://$(driver_address "$1")/readyz"; }
driver_sick_services() { :; } # readiness asks the database; there is nothing else beside it
driver_logs() { tail -n "${2:-100}" "$process_folder/$1/supd.log" 2>/dev/null || true; }
driver_address() { say "127.0.0.1:$(process_port "$1")"; }

driver_nginx_places() {
    nginx_base=$nginx_folder nginx_run=$nginx_folder/run nginx_tls=$var/tls nginx_www=$var/www
    nginx_user_line=
    # As root it would give its workers to nobody, who may not enter our folders.
    [ "$(id -u)" -ne 0 ] || nginx_user_line="user root;"
    nginx_error_log=$nginx_folder/run/error.log nginx_access_log=$nginx_folder/run/access.log
    nginx_http=${HTTP_PORT:-80} nginx_https=${HTTPS_PORT:-443} nginx_status=${NGINX_STATUS_PORT:-8090}
    mkdir -p "$nginx_run" "$nginx_www"
}

process_nginx() { nginx -p "$nginx_folder/run" -e "$nginx_folder/run/error.log" -c "$nginx_folder/$1/nginx.conf" "${@:2}"; }
driver_nginx_running() {
    local pid
    pid=$(cat "$nginx_folder/run/nginx.pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}
driver_nginx_test() { process_nginx "$1" -t -q; }
driver_nginx_reload() {
    if driver_nginx_running; then
        process_nginx live -s reload
    else
        (exec 3>&- 4>&- && process_nginx live >>"$nginx_folder/run/error.log" 2>&1 </dev/null)
    fi
}
driver_nginx_answer() { curl -s -m 3 "http://127.0.0.1:${NGINX_STATUS_PORT:-8090}/colour"; }
driver_nginx_stop() {
    local until=$((SECONDS + PROCESS_STOP_S))
    driver_nginx_running || return 0
    process_nginx live -s quit
    while driver_nginx_running; do
        [ "$SECONDS" -lt "$until" ] || { process_nginx live -s stop; return; }
        sleep 0.1
    done
}
driver_public_ready() {
    local http=${HTTP_PORT:-80} https=${HTTPS_PORT:-443} url
    url=https://127.0.0.1:${https##*:}/readyz
    [ "${NGINX_PLAIN:-redirect}" = redirect ] || url=http://127.0.0.1:${http##*:}/readyz
    curl -sk -f -m 3 -o /dev/null "$url"
}

# The password goes by the environment: what is on a command line, everybody on the machine can read.
driver_dump() {
    local url encoded
    url=$(cat "$secrets/database_url")
    if [[ $url =~ ^([a-z]+://[^:@/]*):([^@/]*)@(.*)$ ]]; then
        url=${BASH_REMATCH[1]}@${BASH_REMATCH[3]}
        encoded=${BASH_REMATCH[2]//\\/\\\\}
        PGPASSWORD=$(printf '%b' "${encoded//%/\\x}") pg_dump -Fc "$url"
    else
        pg_dump -Fc "$url"
    fi
}
driver_read_dump() { pg_restore --list; }
driver_switched() { :; }

driver_status() {
    local colour
    for colour in blue green; do
        if driver_alive "$colour"; then
            say "supd-$colour  process $(process_pid "$colour")  http://$(driver_address "$colour")  $(driver_ready "$colour" && say ready || say 'not ready')"
        else
            say "supd-$colour  not running"
        fi
    done
    driver_nginx_running && say "nginx  process $(cat "$nginx_folder/run/nginx.pid")" || say "nginx  not running"
}

driver_clean() {
    local folder now
    now=$(date +%s)
    for folder in "$process_folder"/artefacts/*; do
        [ -d "$folder" ] && [ "$folder" != "$(driver_artefact blue)" ] && [ "$folder" != "$(driver_artefact green)" ] || continue
        [ $((now - $(stat -c %Y "$folder"))) -gt "${SUPD_KEEP_S:-604800}" ] || continue
        planned rm -r "$folder"
    done
}
