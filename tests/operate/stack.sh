# shellcheck shell=bash disable=SC2034  # names are shared with who reads this file
# The compose stack of a throwaway project, for the scripts beside this file: where it lives, its images, and what each of its
# containers may do. Where an image cannot be pulled, one made from Debian packages or from Go modules takes its name.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
stand_ins=$root/tests/operate/stand_ins
export PATH="$root/.venv/bin:$PATH"
script=$(basename "$0" .sh)

say() { printf '\n-- %s\n' "$*"; }
fail() { echo "$script: FAILED: $*" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
set_value() { sed -i "s|^$1=.*|$1=$2|" "$home/.env"; grep -q "^$1=" "$home/.env" || echo "$1=$2" >>"$home/.env"; }

stack_clean_up() {
    local code=$?
    if [ "$code" -ne 0 ]; then
        docker compose ps || true
        docker compose logs --no-color --tail 40 || true
    fi
    # Compose 2 leaves what belongs to a profile that is not asked for, such as the idle colour.
    COMPOSE_PROFILES=core,blue,green,cli,s3,calls,monitoring,mail docker compose down -v --remove-orphans >/dev/null 2>&1 || true
    [ "${SUPD_KEEP_FILES:-}" = 1 ] || rm -rf "$home"
    exit "$code"
}

# stack_begin OVERLAY...: a home with settings, secrets and folders, all of it gone when the script ends. Overlays are names of
# compose files in docker/.
stack_begin() {
    local overlay files=$root/docker/compose.yaml
    if ! docker version >/dev/null 2>&1; then
        echo "$script: skipped, no container engine answers"
        exit 0
    fi
    if [[ $(docker version 2>&1) == *[Pp]odman* ]] && [[ $(docker compose version --short 2>/dev/null) == 1.* ]]; then
        export PYTHONPATH=$stand_ins/compose
    fi
    [ -x "$root/build/release/src/supd" ] || { echo "$script: build the release preset first" >&2; exit 1; }
    for overlay in "$@"; do files+=:$root/docker/$overlay; done

    home=$(mktemp -d)
    chmod 755 "$home"
    as_operator=()
    if [ "$(id -u)" -eq 0 ]; then
        # setup.sh refuses root; the containers then run as this number.
        chown 20001:20001 "$home"
        as_operator=(setpriv --reuid=20001 --regid=20001 --clear-groups)
    fi
    project=supd-test-$$
    home_of_tools=$HOME
    export SUPD_HOME=$home HOME=$home
    unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES
    cd "$home" || exit
    trap stack_clean_up EXIT

    say "setup"
    "${as_operator[@]}" "$root/scripts/setup.sh" --environment development
    https=$(free_port)
    set_value COMPOSE_PROJECT_NAME "$project"
    set_value COMPOSE_FILE "$files"
    set_value HTTP_PORT "$(free_port)"
    set_value HTTPS_PORT "$https"
    set_value SUPD_NET "172.31.$((RANDOM % 200 + 20))"
    set_value SUPD_BINARY_FROM prebuilt
    set_value POSTGRES_CLIENT debian
    set_value SUPD_WATCH_S 5
    set_value SUPD_BLUE_IMAGE "supd:test-$$"
    set_value SUPD_GREEN_IMAGE "supd:test-$$"
    set_value SUPD_CLI_IMAGE "supd:test-$$"
    # nginx was rendered with the defaults; the upstream's address has changed.
    rm -rf "$home/var/nginx/live"
    "${as_operator[@]}" "$root/scripts/setup.sh" >/dev/null
}

# --- images -------------------------------------------------------------------------------------------------------------

image_of() {
    local setting=${1^^}
    sed -nE "s/.*\\$\\{${setting//-/_}_IMAGE:-([^}]+)\\}.*/\\1/p" "$root"/docker/compose*.yaml | head -n 1
}

supd_image() {
    docker build -q -f "$root/docker/Dockerfile" -t "supd:test-$$" --build-arg SUPD_BINARY=prebuilt --build-arg POSTGRES_CLIENT=debian \
        --build-arg VERSION=0.1.0 --build-arg "COMMIT=$(git -C "$root" rev-parse --short=12 HEAD)" --build-arg "CREATED=$(date -u +%FT%TZ)" "$root"
}

# go_program NAME PACKAGE@VERSION: prints the path of the program, built on first use. Fails without Go.
go_program() {
    local program=$root/build/tools/bin/$1 go made
    if [ ! -x "$program" ]; then
        go=$(command -v go || echo /usr/local/go/bin/go)
        [ -x "$go" ] || return
        made=$(mktemp -d)
        HOME=$home_of_tools CGO_ENABLED=0 GOBIN=$made "$go" install "$2" >&2 || return
        mkdir -p "${program%/*}"
        mv "$made"/* "$program"
        rmdir "$made"
    fi
    echo "$program"
}

# program_image IMAGE NAME PROGRAM [PACKAGE...]: a program as an image: a file of this machine, or a command of Debian packages.
program_image() {
    local image=$1 name=$2 program=$3 context packages
    shift 3
    packages=$*
    context=$(mktemp -d)
    if [ -z "$packages" ]; then
        cp "$program" "$context/$name"
        program=/usr/local/bin/$name
    fi
    docker build -q -t "$image" --build-arg "NAME=$name" --build-arg "PROGRAM=$program" --build-arg "PACKAGES=$packages" \
        -f "$stand_ins/program/Dockerfile" "$context" || return
    rm -rf "$context"
}

# stand_in SERVICE IMAGE
stand_in() {
    local program
    case $1 in
        postgres | redis | nginx | coturn) docker build -q -t "$2" "$stand_ins/$1" ;;
        versitygw) program=$(go_program versitygw github.com/versity/versitygw/cmd/versitygw@v1.7.0) && program_image "$2" versitygw "$program" ;;
        livekit)
            program=$(go_program livekit-server github.com/livekit/livekit-server/cmd/server@v1.13.5) &&
                program_image "$2" livekit-server "$program"
            ;;
        mailpit) program=$(go_program mailpit github.com/axllent/mailpit@v1.27.11) && program_image "$2" mailpit "$program" ;;
        prometheus) program_image "$2" prometheus-program prometheus prometheus ;;
        alertmanager) program_image "$2" alertmanager-program prometheus-alertmanager prometheus-alertmanager ;;
        blackbox-exporter) program_image "$2" blackbox_exporter prometheus-blackbox-exporter prometheus-blackbox-exporter ;;
        postgres-exporter) program_image "$2" postgres_exporter prometheus-postgres-exporter prometheus-postgres-exporter ;;
        redis-exporter) program_image "$2" redis_exporter prometheus-redis-exporter prometheus-redis-exporter ;;
        *) return 1 ;;
    esac
}

# image_at_hand SERVICE: its image is here, is pulled, or a stand-in is made. Fails where there is none.
image_at_hand() {
    local image
    image=$(image_of "$1")
    docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" 2>/dev/null || stand_in "$1" "$image" || return
    echo "$1: $image"
}

# --- containers -----------------------------------------------------------------------------------------------------------

container() { docker ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1" | head -n 1; }
in_container() {
    local service=$1
    shift
    docker exec "$(container "$service")" "$@" </dev/null
}

# until_true SECONDS WHAT COMMAND...
until_true() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || fail "not in time: $what"
        sleep 1
    done
}

health() { docker inspect --format '{{.State.Health.Status}}' "$(container "$1")" 2>/dev/null; }
is_healthy() { [ "$(health "$1")" = healthy ]; }
until_healthy() {
    local service
    for service in "$@"; do
        until_true 120 "$service is healthy" is_healthy "$service"
        echo "$service: healthy"
    done
}

# What must not be seen from outside of a container: the last word of each line (redis.conf and others have grammar before it).
secret_words() {
    local file
    for file in "$home"/secrets/*; do
        # The id of a key is no secret.
        [ "${file##*/}" = s3_access_key ] || awk '{ if (length($NF) >= 16) print $NF }' "$file"
    done
}

# confined SERVICE...: not root, a root file system that is read only, no capability in force, no secret among arguments and
# variables, and only nginx published.
confined() {
    local service id user capabilities published
    secret_words >"$home/var/secret_words"
    for service in "$@"; do
        id=$(container "$service")
        user=$(docker inspect --format '{{.Config.User}}' "$id")
        [[ $user =~ ^[1-9] || $service = alloy ]] || fail "$service runs as '$user'"
        [ "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")" = true ] || fail "$service can write its root"
        ! docker exec "$id" touch /written 2>/dev/null || fail "$service has written to its root"
        capabilities=$(docker exec "$id" sh -c 'while read -r name value; do [ "$name" != CapEff: ] || echo "$value"; done </proc/1/status')
        # Coturn's program may have the one that its file asks for; engines differ.
        [[ $capabilities = 0000000000000000 || $service/$capabilities = coturn/0000000000000400 ]] || fail "$service has capabilities $capabilities"
        ! { docker inspect "$id"; docker exec "$id" cat /proc/1/cmdline; } | grep -qaFf "$home/var/secret_words" || fail "$service shows a secret"
        published=$(docker port "$id" | wc -l)
        if [ "$service" = nginx ]; then [ "$published" -gt 0 ] || fail "nginx is not published"; else [ "$published" -eq 0 ] || fail "$service is published"; fi
        echo "$service: user $user, root read-only, capabilities $capabilities, no secret in sight"
    done
    rm "$home/var/secret_words"
}
