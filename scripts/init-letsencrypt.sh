#!/usr/bin/env bash
# A certificate of Let's Encrypt in place of the development one, and its renewal.
#   scripts/init-letsencrypt.sh              get it: SERVER_NAME of .env must lead to this machine, port 80 to its nginx
#   scripts/init-letsencrypt.sh --renew      for a timer, twice a day: does nothing until it is due
#   scripts/init-letsencrypt.sh --dry-run    try it and change nothing: with Let's Encrypt's staging service, or ACME_SERVER itself
# Another ACME server: ACME_SERVER and ACME_CA of .env. nginx is tested with the new pair before it is told; it goes on
# with the old one if anything is wrong. Without a terminal a renewal that is due waits up to 8 minutes, so that timers
# of the whole world do not come at once.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"
# shellcheck source=scripts/deploy/tls.sh
. "$root/scripts/deploy/tls.sh"

readonly LETS_ENCRYPT=https://acme-v02.api.letsencrypt.org/directory

renew='' try=()
while [ $# -gt 0 ]; do
    case $1 in
        --renew) renew=1 ;;
        --dry-run) try=(--dry-run) ;;
        --help | -h) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
        *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit "$EXIT_USAGE" ;;
    esac
    shift
done

read_settings
load_driver
name=${SERVER_NAME:-localhost}
if [[ ! $name =~ \. || $name =~ ^[0-9.:]+$ ]]; then
    die "$EXIT_SETUP" "SERVER_NAME is '$name': a certificate needs the public host name of this machine"
fi
driver_nginx_running || die "$EXIT_UNAVAILABLE" "nginx does not run: it has to answer the challenge on port 80"

server=${ACME_SERVER:-$LETS_ENCRYPT}
ca=${ACME_CA:-}
if [ -n "$ca" ]; then
    [[ $ca == /* ]] || ca=$home/$ca
    [ -r "$ca" ] || die "$EXIT_SETUP" "ACME_CA is '$ca', which cannot be read"
fi
# What binds a new account to one that the server's owner has given out.
binding=$secrets/acme.ini
[ -s "$binding" ] || binding=

# certbot ARGUMENTS...: as the user that all runs as, in folders of ours.
run_certbot() {
    local mounts=() config=()
    case $driver in
        compose)
            [ -z "$ca" ] || mounts+=(-v "$ca:/run/acme/ca.pem:ro" -e REQUESTS_CA_BUNDLE=/run/acme/ca.pem)
            [ -z "$binding" ] || { mounts+=(-v "$binding:/run/acme/acme.ini:ro") && config=(--config /run/acme/acme.ini); }
            compose run --rm -T "${mounts[@]}" certbot "$@" "${config[@]}" \
                --config-dir /etc/letsencrypt --work-dir /tmp/work --logs-dir /tmp/logs
            ;;
        process)
            need certbot
            [ -z "$binding" ] || config=(--config "$binding")
            (
                [ -z "$ca" ] || export REQUESTS_CA_BUNDLE=$ca
                certbot "$@" "${config[@]}" --config-dir "$var/letsencrypt" --work-dir "$var/letsencrypt/work" \
                    --logs-dir "$var/letsencrypt/logs"
            )
            ;;
    esac </dev/null
}

webroot=$var/www
[ "$driver" = process ] || webroot=/var/www
# Whose the certificate is that certbot has. It would keep that of another server until its end, and renew with that server.
former_server=$(sed -n 's/^server = //p' "$var/letsencrypt/renewal/$name.conf" 2>/dev/null)
keep=--keep-until-expiring
if [ -n "$former_server" ] && [ "$former_server" != "$server" ]; then
    [ -n "${try[*]}" ] || say "the certificate is of $former_server: getting one of $server"
    renew='' keep=--force-renewal
fi
common=(--cert-name "$name" --server "$server" --webroot --webroot-path "$webroot" --non-interactive "${try[@]}")
if [ -n "$renew" ]; then
    [ -n "$former_server" ] || die 1 "there is no certificate to renew yet: run ${0##*/} without --renew"
    # certbot itself has no terminal here, and would wait.
    [[ ! -t 0 && -z ${try[*]} ]] || common+=(--no-random-sleep-on-renew)
    run_certbot renew --quiet "${common[@]}" || die 1 "certbot could not renew; the certificate in use stays"
else
    account=(--agree-tos --register-unsafely-without-email)
    [ -z "${LETSENCRYPT_EMAIL:-}" ] || account=(--agree-tos --email "$LETSENCRYPT_EMAIL")
    run_certbot certonly --domain "$name" "$keep" "${account[@]}" "${common[@]}" ||
        die 1 "certbot got no certificate; the one in use stays"
fi
if [ -n "${try[*]}" ]; then
    say "a certificate of $name would be given; nothing was changed"
    exit
fi

fresh=$var/letsencrypt/live/$name
[[ -s $fresh/fullchain.pem && -s $fresh/privkey.pem ]] || die 1 "certbot left no certificate in $fresh"
# There from before the exchange until nginx knows of it, for the run after one that was interrupted.
untold=$var/tls/.untold
if [ ! -e "$untold" ]; then
    if cmp -s "$fresh/fullchain.pem" "$var/tls/certificate.pem"; then
        say "the certificate in use is the newest"
        exit
    fi
    for part in certificate key; do
        cp -p "$var/tls/$part.pem" "$var/tls/$part.pem.former" || die 1 "the pair in use could not be copied; it stays"
    done
    : >"$untold" || exit
fi
if ! tls_install "$fresh/fullchain.pem" "$fresh/privkey.pem"; then
    tls_install "$var/tls/certificate.pem.former" "$var/tls/key.pem.former" || die 1 "var/tls has no pair that is in order"
    rm -f "$untold"
    die 1 "the new pair is not in order; the one in use stays"
fi
if driver_nginx_test live && driver_nginx_reload; then
    rm -f "$untold"
    say "nginx has the new certificate of $name"
    exit
fi
tls_install "$var/tls/certificate.pem.former" "$var/tls/key.pem.former" || die 1 "var/tls has a pair that nginx refuses"
driver_nginx_reload || warn "nginx could not be reloaded"
rm -f "$untold"
die 1 "nginx refused the new certificate; the former one is in use again"
