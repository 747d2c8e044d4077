#!/usr/bin/env bash
# A certificate of Let's Encrypt in place of the development one, and its renewal.
#   scripts/init-letsencrypt.sh              get it: SERVER_NAME of .env must lead to this machine, port 80 to its nginx
#   scripts/init-letsencrypt.sh --renew      for a timer, twice a day: does nothing until it is due
#   scripts/init-letsencrypt.sh --staging    against the staging service, to try without using up the limits
# nginx is tested with the new pair before it is told; it goes on with the old one if anything is wrong.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"
# shellcheck source=scripts/deploy/tls.sh
. "$root/scripts/deploy/tls.sh"

renew='' more=()
while [ $# -gt 0 ]; do
    case $1 in
        --renew) renew=1 ;;
        --staging) more+=(--staging) ;;
        --help | -h) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
        *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit "$EXIT_USAGE" ;;
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

# certbot ARGUMENTS...: as the user that all runs as, in folders of ours.
run_certbot() {
    case $driver in
        compose)
            compose run --rm -T certbot "$@" --config-dir /etc/letsencrypt --work-dir /tmp/work --logs-dir /tmp/logs </dev/null
            ;;
        process)
            need certbot
            certbot "$@" --config-dir "$var/letsencrypt" --work-dir "$var/letsencrypt/work" --logs-dir "$var/letsencrypt/logs" </dev/null
            ;;
    esac
}

webroot=$var/www
[ "$driver" = process ] || webroot=/var/www
if [ -n "$renew" ]; then
    run_certbot renew --quiet --non-interactive || die 1 "certbot could not renew"
else
    account=(--register-unsafely-without-email)
    [ -z "${LETSENCRYPT_EMAIL:-}" ] || account=(--email "$LETSENCRYPT_EMAIL")
    run_certbot certonly --webroot --webroot-path "$webroot" --domain "$name" --non-interactive --agree-tos \
        --keep-until-expiring "${account[@]}" "${more[@]}" || die 1 "certbot got no certificate; the one in use stays"
fi

fresh=$var/letsencrypt/live/$name
[[ -s $fresh/fullchain.pem && -s $fresh/privkey.pem ]] || die 1 "certbot left no certificate in $fresh"
if cmp -s "$fresh/fullchain.pem" "$var/tls/certificate.pem"; then
    say "the certificate in use is the newest"
    exit
fi
cp -p "$var/tls/certificate.pem" "$var/tls/certificate.pem.former" && cp -p "$var/tls/key.pem" "$var/tls/key.pem.former" || exit
tls_install "$fresh/fullchain.pem" "$fresh/privkey.pem" || die 1 "the new pair is not in order; the one in use stays"
if driver_nginx_test live && driver_nginx_reload; then
    say "nginx has the new certificate of $name"
    exit
fi
tls_install "$var/tls/certificate.pem.former" "$var/tls/key.pem.former"
driver_nginx_reload || warn "nginx could not be reloaded"
die 1 "nginx refused the new certificate; the former one is in use again"
