#!/usr/bin/env bash
# The compose stack for real, on a throwaway project: setup, up, the README's tour through nginx over TLS, what the containers
# may do, a deployment to the other colour and back. Needs a container engine; skipped where there is none. The profiles beside
# the core: containers_profiles.sh; what is kept, lost and restored: containers_restore.sh.
set -euo pipefail

# shellcheck source=tests/operate/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

stack_begin compose.publish.yaml

say "images"
supd_image
for service in postgres redis nginx; do image_at_hand "$service"; done

say "up"
echo SUPD__DATABASE__POOL_SIZE=9 >>"$home/supd.env"
head -c 48 /dev/urandom | base64 >"$home/secrets/jwt_previous_secrets"
sed -i 's/^#\(SUPD__AUTH__JWT_PREVIOUS_SECRETS_FILE=\)/\1/' "$home/supd.env"
docker compose config | grep -qE "COMMIT: ['\"]?$(sed -n 's/^SUPD_COMMIT=//p' "$home/.env")" || fail "an image that compose builds would not know its commit"
docker compose up -d
until_healthy postgres redis supd-blue nginx
[ -z "$(container supd-green)" ] || fail "both colours were started"

say "what the containers may do"
confined postgres redis supd-blue nginx
docker inspect --format '{{json .Config.Labels}}' "$(container supd-blue)" | jq '{version: ."org.opencontainers.image.version", revision: ."org.opencontainers.image.revision", created: ."org.opencontainers.image.created"}'
docker exec "$(container supd-blue)" cat /usr/share/supd/sbom.cdx.json | jq -r '"bill of materials: \(.components | length) packages"'

say "what supd and its role may and know"
in_container supd-blue /usr/bin/supd config print >"$home/var/printed"
for line in 'pool_size = 9 ' 'jwt_previous_secrets = \["\*\*\*"\] '; do grep "^$line" "$home/var/printed" || fail "supd config print does not say $line"; done
rm "$home/var/printed"
[ "$(in_container postgres psql -U postgres -Atc "select pg_has_role('supd', 'pg_monitor', 'member')")" = t ] || fail "supd's role cannot look at the server"

# Docker's log files, read as Alloy's container reads them (docker/monitoring/alloy.alloy): its root, who has no capability.
say "the log"
log=$(docker inspect --format "{{.LogPath}}" "$(container supd-blue)" 2>/dev/null) || log=""
if [[ $log == /*/*-json.log ]]; then
    docker run --rm --network none --read-only --user 0:0 --cap-drop ALL --security-opt no-new-privileges:true \
        -v "${log%/*/*}:/var/lib/docker/containers:ro" --entrypoint /bin/sh "supd:test-$$" \
        -c "for file in /var/lib/docker/containers/*/*-json.log; do [ \"\${file##*/}\" != ${log##*/} ] || cat \"\$file\"; done" |
        jq -n -e '[inputs | select(.attrs."com.docker.compose.service" == "supd-blue") | .log
            | select(test("^\\{\"time\":\"[^\"]+\",\"level\":\"(debug|info|warn|error)\",\"event\":\""))] | length > 0' >/dev/null ||
        fail "supd's lines are not to be read in Docker's log files"
    echo "Docker's log files: supd's lines are there, with the service's name, for a root without a capability"
else
    echo "the engine writes no log files of Docker's kind; not tried"
fi

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

say "nginx comes back when it ends, having been told of the switch"
started() { docker inspect --format '{{.State.StartedAt}} {{.State.Running}}' "$(container nginx)"; }
before=$(started)
was_started_again() { [[ $(started) != "$before" && $(started) == *true ]]; }
in_container nginx sh -c 'kill -TERM 1'
until_true 30 "nginx was started again" was_started_again
until_healthy nginx

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
