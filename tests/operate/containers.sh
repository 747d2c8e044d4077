#!/usr/bin/env bash
# The compose stack for real, on a throwaway project: setup, up, the README's tour through nginx over TLS, what the containers
# may do, a deployment to the other colour and back. Needs a container engine; skipped where there is none.
# Where an image cannot be pulled, one made from Debian packages (stand_ins/) takes its name.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH="$root/.venv/bin:$PATH"
if ! docker version >/dev/null 2>&1; then
    echo "containers: skipped, no container engine answers"
    exit 0
fi
if docker version 2>&1 | grep -qi podman && [[ $(docker compose version --short 2>/dev/null) == 1.* ]]; then
    export PYTHONPATH=$root/tests/operate/stand_ins/compose
fi
[ -x "$root/build/release/src/supd" ] || { echo "containers: build the release preset first" >&2; exit 1; }

say() { printf '\n-- %s\n' "$*"; }
fail() { echo "containers: FAILED: $*" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

home=$(mktemp -d)
chmod 755 "$home"
as_operator=()
if [ "$(id -u)" -eq 0 ]; then
    # setup.sh refuses root; the containers then run as this number.
    chown 20001:20001 "$home"
    as_operator=(setpriv --reuid=20001 --regid=20001 --clear-groups)
fi
project=supd-test-$$
export SUPD_HOME=$home HOME=$home
unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES
cd "$home"

clean_up() {
    local code=$?
    if [ "$code" -ne 0 ]; then
        docker compose ps || true
        docker compose logs --no-color --tail 40 || true
    fi
    docker compose down -v --remove-orphans >/dev/null 2>&1 || true
    [ "${SUPD_KEEP_FILES:-}" = 1 ] || rm -rf "$home"
    exit "$code"
}
trap clean_up EXIT

say "setup"
"${as_operator[@]}" "$root/scripts/setup.sh" --environment development
https=$(free_port)
set_value() { sed -i "s|^$1=.*|$1=$2|" "$home/.env"; grep -q "^$1=" "$home/.env" || echo "$1=$2" >>"$home/.env"; }
set_value COMPOSE_PROJECT_NAME "$project"
set_value COMPOSE_FILE "$root/docker/compose.yaml:$root/docker/compose.publish.yaml"
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

say "images"
docker build -q -f "$root/docker/Dockerfile" -t "supd:test-$$" --build-arg SUPD_BINARY=prebuilt --build-arg POSTGRES_CLIENT=debian \
    --build-arg VERSION=0.1.0 --build-arg "COMMIT=$(git -C "$root" rev-parse --short=12 HEAD)" --build-arg "CREATED=$(date -u +%FT%TZ)" "$root"
for service in postgres redis nginx; do
    image=$(sed -nE "s/.*\\$\\{${service^^}_IMAGE:-([^}]+)\\}.*/\\1/p" "$root/docker/compose.yaml")
    docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" 2>/dev/null ||
        docker build -q -t "$image" "$root/tests/operate/stand_ins/$service"
    echo "$service: $image"
done

say "up"
docker compose up -d
container() { docker ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1" | head -n 1; }
until_healthy() {
    local service=$1 until=$((SECONDS + 120)) health=
    while [ "$health" != healthy ]; do
        [ "$SECONDS" -lt "$until" ] || fail "$service is '$health' after 120 s"
        sleep 1
        health=$(docker inspect --format '{{.State.Health.Status}}' "$(container "$service")" 2>/dev/null || true)
    done
    echo "$service: healthy"
}
for service in postgres redis supd-blue nginx; do until_healthy "$service"; done
[ -z "$(container supd-green)" ] || fail "both colours were started"

say "what the containers may do"
for service in postgres redis supd-blue nginx; do
    id=$(container "$service")
    user=$(docker inspect --format '{{.Config.User}}' "$id")
    [[ $user =~ ^[1-9] ]] || fail "$service runs as '$user'"
    [ "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")" = true ] || fail "$service can write its root"
    ! docker exec "$id" touch /written 2>/dev/null || fail "$service has written to its root"
    capabilities=$(docker exec "$id" sh -c 'while read -r name value; do [ "$name" != CapEff: ] || echo "$value"; done </proc/1/status')
    [ "$capabilities" = 0000000000000000 ] || fail "$service has capabilities $capabilities"
    published=$(docker port "$id" | wc -l)
    if [ "$service" = nginx ]; then [ "$published" -gt 0 ] || fail "nginx is not published"; else [ "$published" -eq 0 ] || fail "$service is published"; fi
    echo "$service: user $user, root read-only, no capability"
done
docker inspect --format '{{json .Config.Labels}}' "$(container supd-blue)" | jq '{version: ."org.opencontainers.image.version", revision: ."org.opencontainers.image.revision", created: ."org.opencontainers.image.created"}'
docker exec "$(container supd-blue)" cat /usr/share/supd/sbom.cdx.json | jq -r '"bill of materials: \(.components | length) packages"'

say "the public port"
export CURL_CA_BUNDLE=$home/var/tls/certificate.pem SSL_CERT_FILE=$home/var/tls/certificate.pem
for path in /metrics /debug /admin /nginx_status /colour /.env; do
    status=$(curl -s -o /dev/null -w '%{http_code}' "https://127.0.0.1:$https$path")
    [ "$status" = 404 ] || fail "$path answers $status"
done
echo "no metrics, debug or admin route"

tour() {
    local script output
    script=$(python3 - "$root/README.md" "127.0.0.1:$https" "$1" <<'P'
import re, sys
blocks = re.findall(r"```sh\n(.*?)```", open(sys.argv[1]).read(), re.S)
script = "\n".join(block for block in blocks if "127.0.0.1:3000" in block or "$api" in block)
script = script.replace("http://127.0.0.1:3000", "https://" + sys.argv[2]).replace("ws://127.0.0.1:3000", "wss://" + sys.argv[2])
for name in ("ann", "ben"):
    script = script.replace(f'"username": "{name}"', f'"username": "{name}{sys.argv[3]}"')
print("set -m\n" + script + "\nwait 2>/dev/null\n")
P
    )
    output=$(bash -c "$script" 2>&1) || true
    for words in '"text": "hello"' '"type":"authenticated"' 'are you there?'; do
        [[ $output == *"$words"* ]] || { printf '%s\n' "$output"; fail "the tour did not show $words"; }
    done
    echo "the README's tour through https://127.0.0.1:$https: as written"
}
say "the tour, on blue"
tour 1

say "a deployment, under the tour"
"$root/scripts/deploy.sh" development
docker compose ps
[ "$("$root/scripts/status.sh" --json | jq -r .active)" = green ] || fail "green is not active"
tour 2

say "docker compose up -d after it changes nothing"
before=$(docker inspect --format '{{.State.StartedAt}}' "$(container supd-green)")
docker compose up -d >/dev/null 2>&1
[ "$before" = "$(docker inspect --format '{{.State.StartedAt}}' "$(container supd-green)")" ] || fail "green was started again"
[ "$(docker inspect --format '{{.State.Running}}' "$(container supd-blue)")" = false ] || fail "blue was started"

say "rollback"
"$root/scripts/rollback.sh" development
[ "$("$root/scripts/status.sh" --json | jq -r .active)" = blue ] || fail "blue is not active"
tour 3
"$root/scripts/status.sh"
"$root/scripts/deploy.sh" development backup --list
echo "containers: the core stack came up, the tour works over TLS, a deployment and a rollback went through"
