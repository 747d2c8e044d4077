# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# The phases over containers. An artefact is an image; each colour's is a setting of .env, so that a plain
# `docker compose up -d` brings back what was deployed.

compose() { (cd "$home" && docker compose "$@"); }

# The engine's own words may name the project before what was asked; these are the facts of one container.
compose_container() { docker ps -aq --filter "label=com.docker.compose.project=${COMPOSE_PROJECT_NAME:-supd}" --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False | head -n 1; }
compose_fact() {
    local container
    container=$(compose_container "$1")
    [ -n "$container" ] && docker inspect --format "$2" "$container" 2>/dev/null
}

driver_validate() {
    local file
    need docker jq git
    docker compose version >/dev/null 2>&1 || die "$EXIT_UNAVAILABLE" "docker compose does not answer"
    for file in jwt_secret database_url redis_url supd_db_password postgres_password; do
        [ -s "$secrets/$file" ] || die "$EXIT_SETUP" "secrets/$file is missing: run scripts/setup.sh"
    done
    [ -s "$var/tls/certificate.pem" ] || die "$EXIT_SETUP" "there is no certificate in var/tls: run scripts/setup.sh"
    compose config >/dev/null || die "$EXIT_SETUP" "the compose files are not in order"
}

# What the colours need, as far as it is ours.
driver_prepare() { compose up -d postgres redis; }

driver_build() {
    artefact=supd:$version-$commit
    planned docker build -f "$root/docker/Dockerfile" -t "$artefact" --build-arg "SUPD_BINARY=${SUPD_BINARY_FROM:-build}" \
        --build-arg "POSTGRES_CLIENT=${POSTGRES_CLIENT:-16}" --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" \
        --build-arg "CREATED=$(date -u +%FT%TZ)" "$root"
}

driver_has() { docker image inspect "$1" >/dev/null 2>&1; }

# driver_assign COLOUR ARTEFACT
driver_assign() { write_setting "SUPD_${1^^}_IMAGE" "$2"; }
driver_artefact() {
    local name=SUPD_${1^^}_IMAGE
    say "${!name:-supd:$(source_version)}"
}

# driver_run COLOUR ARTEFACT ARGUMENTS...: another subcommand, with that artefact and the settings of that colour.
driver_run() { SUPD_CLI_IMAGE=$2 compose run --rm -T supd-cli "${@:3}" </dev/null; }
# driver_supd COLOUR ARGUMENTS...: with what that colour runs.
driver_supd() { driver_run "$1" "$(driver_artefact "$1")" "${@:2}"; }
# driver_command ARGUMENTS...: with what has the traffic.
driver_command() { compose run --rm -T supd-cli "$@" </dev/null; }

driver_start() { compose up -d --no-deps "supd-$1"; }
driver_stop() { compose stop "supd-$1"; }
driver_alive() { [ "$(compose_fact "supd-$1" '{{.State.Running}}')" = true ]; }
driver_ready() { compose exec -T "supd-$1" /usr/bin/supd healthcheck --ready </dev/null >/dev/null 2>&1; }
driver_logs() { compose logs --no-color --tail "${2:-100}" "supd-$1" 2>&1; }
driver_address() {
    local net=${SUPD_NET:-172.31.77}
    case $1 in
        blue) say "$net.11:3000" ;;
        green) say "$net.12:3000" ;;
    esac
}

# Names of the services beside the colours that say they are not healthy.
driver_sick_services() {
    local service health sick=()
    for service in postgres redis; do
        health=$(compose_fact "$service" '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}') || continue
        case $health in healthy | running) ;; *) sick+=("$service") ;; esac
    done
    say "${sick[*]}"
}

driver_nginx_places() {
    nginx_base=/etc/nginx/supd nginx_run=/tmp nginx_tls=/etc/nginx/tls nginx_www=/var/www
    nginx_user_line='' nginx_error_log=stderr nginx_access_log=/dev/stdout
    nginx_http=8080 nginx_https=8443 nginx_status=8090
}

driver_nginx_running() { [ "$(compose_fact nginx '{{.State.Running}}')" = true ]; }
driver_nginx_test() {
    driver_nginx_places
    if driver_nginx_running; then
        compose exec -T nginx nginx -t -q -c "$nginx_base/$1/nginx.conf" </dev/null
    else
        compose run --rm --no-deps -T --entrypoint nginx nginx -t -q -c "$nginx_base/$1/nginx.conf" </dev/null
    fi
}
driver_nginx_reload() {
    if driver_nginx_running; then
        # From inside: Docker takes a container that was sent a signal, any signal, for one that was stopped by hand, and then
        # starts it neither when it ends nor with the machine.
        compose exec -T nginx /bin/sh -c 'kill -HUP 1' </dev/null
    else
        compose up -d --no-deps nginx
    fi
}
driver_nginx_answer() { compose exec -T nginx curl -s -m 3 http://127.0.0.1:8090/colour </dev/null 2>/dev/null; }
driver_nginx_stop() { compose stop nginx; }
driver_public_ready() { compose exec -T nginx curl -sk -m 3 -o /dev/null -f https://127.0.0.1:8443/readyz </dev/null; }

# The database's own programs when it is ours (a dump program refuses a newer server), else those of the image.
compose_own_database() { grep -q '@postgres[:/]' "$secrets/database_url"; }
driver_dump() {
    if compose_own_database; then
        compose exec -T postgres pg_dump -U postgres -Fc supd </dev/null
    else
        compose run --rm --no-deps -T --entrypoint /bin/sh supd-cli -c 'exec pg_dump -Fc "$(cat /run/secrets/database_url)"' </dev/null
    fi
}
driver_read_dump() {
    if compose_own_database; then
        compose exec -T postgres pg_restore --list
    else
        compose run --rm --no-deps -T --entrypoint pg_restore supd-cli --list
    fi
}

driver_switched() {
    write_setting SUPD_CLI_IMAGE "$(driver_artefact "$1")"
    write_setting COMPOSE_PROFILES "$(sed -E "s/\b(blue|green)\b/$1/" <<<"${COMPOSE_PROFILES:-core,blue}")"
}

driver_status() { compose ps; }

# Images that neither colour runs, when they are older than what is kept.
driver_clean() {
    local image created now
    now=$(date +%s)
    docker images --format '{{.Repository}}:{{.Tag}}' | sed 's|^localhost/||' | grep '^supd:' | while read -r image; do
        [ "$image" != "$(driver_artefact blue)" ] && [ "$image" != "$(driver_artefact green)" ] || continue
        created=$(date -d "$(docker image inspect --format '{{.Created}}' "$image" | sed -E 's/\.[0-9]+//; s/ UTC$//')" +%s 2>/dev/null) || continue
        [ $((now - created)) -gt "${SUPD_KEEP_S:-604800}" ] || continue
        planned docker image rm "$image"
    done
}
