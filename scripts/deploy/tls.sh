# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# Certificates as nginx finds them: var/tls/certificate.pem and key.pem.

readonly TLS_DEVELOPMENT_DAYS=397

# A certificate that its own maker signed, for the server's name and loopback, until a real one takes its place.
tls_development() {
    local name=$1 names
    names="DNS:localhost,IP:127.0.0.1,IP:::1"
    [[ $name == localhost || $name =~ ^[0-9.]+$ ]] || names="DNS:$name,$names"
    [[ $name =~ ^[0-9.]+$ ]] && names="IP:$name,$names"
    (
        umask 077
        tls_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$TLS_DEVELOPMENT_DAYS" \
            -subj "/CN=$name" -addext "subjectAltName=$names" -addext "basicConstraints=critical,CA:TRUE" \
            -keyout "$var/tls/key.pem.next" -out "$var/tls/certificate.pem.next" 2>/dev/null
    ) || return
    tls_install "$var/tls/certificate.pem.next" "$var/tls/key.pem.next"
    rm -f "$var/tls/certificate.pem.next" "$var/tls/key.pem.next"
}

# The machine's own openssl, else that of the PostgreSQL image: a machine may have nothing but the container engine.
tls_openssl() {
    if command -v openssl >/dev/null; then
        openssl "$@"
    else
        docker run --rm --user "$(id -u):$(id -g)" -v "$var/tls:$var/tls" --entrypoint openssl \
            "${POSTGRES_IMAGE:-postgres:16.10-bookworm}" "$@"
    fi
}

# tls_install CERTIFICATE KEY: only a pair that belongs together, and each in one step. They are looked at as copies, since
# the openssl of an image sees var/tls and nothing else.
tls_install() {
    install -m 644 "$1" "$var/tls/.certificate" && install -m 600 "$2" "$var/tls/.key" || return
    if ! tls_is_pair "$var/tls/.certificate" "$var/tls/.key"; then
        warn "$1 and $2 are no pair"
        rm -f "$var/tls/.certificate" "$var/tls/.key"
        return 1
    fi
    mv "$var/tls/.key" "$var/tls/key.pem" && mv "$var/tls/.certificate" "$var/tls/certificate.pem"
}

tls_is_pair() {
    local of_certificate of_key
    of_certificate=$(tls_openssl x509 -in "$1" -noout -pubkey) && of_key=$(tls_openssl pkey -in "$2" -pubout) || return
    [ "$of_certificate" = "$of_key" ]
}
