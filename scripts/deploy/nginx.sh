# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# nginx: its configuration made from docker/nginx/ with the active colour, and the switch from one colour to the other.
# var/nginx/live is in force, next is the candidate, former what was in force before.

nginx_folder=$var/nginx
readonly NGINX_BODY_BYTES=262144 # kDefaultBodyLimit of include/supd/http/router.hpp
readonly NGINX_WEBSOCKET_S=75    # above websocket.idle_timeout_s
readonly NGINX_ANSWERS=5         # answers of the new configuration in a row: no worker of the old one takes connections
readonly NGINX_WAIT_S=15

# nginx_render COLOUR DEPLOYMENT FOLDER: the driver says where things are as nginx sees them.
nginx_render() {
    local colour=$1 id=$2 folder=$3 file real_ip='' network plain suffix=
    driver_nginx_places
    for network in $(tr ',' ' ' <<<"${NGINX_TRUSTED_PROXIES:-}"); do
        real_ip+="set_real_ip_from $network; "
    done
    [ -z "$real_ip" ] || real_ip+="real_ip_header X-Forwarded-For; real_ip_recursive on;"
    plain=${NGINX_PLAIN:-redirect}
    case $plain in
        redirect | proxied) ;;
        *) die "$EXIT_SETUP" "NGINX_PLAIN is '$plain', not redirect or proxied" ;;
    esac
    [ "${HTTPS_PORT:-443}" = 443 ] || suffix=:${HTTPS_PORT##*:}
    mkdir -p "$folder"
    for file in "$root"/docker/nginx/*.template; do
        sed -e "s|@HERE@|$nginx_base/${folder##*/}|g" -e "s|@RUN@|$nginx_run|g" -e "s|@TLS@|$nginx_tls|g" -e "s|@WWW@|$nginx_www|g" \
            -e "s|@USER_LINE@|$nginx_user_line|g" -e "s|@WORKERS@|${NGINX_WORKERS:-auto}|g" \
            -e "s|@ERROR_LOG@|$nginx_error_log|g" -e "s|@ACCESS_LOG@|$nginx_access_log|g" \
            -e "s|@HTTP_PORT@|$nginx_http|g" -e "s|@HTTPS_PORT@|$nginx_https|g" -e "s|@STATUS_PORT@|$nginx_status|g" \
            -e "s|@HTTPS_SUFFIX@|$suffix|g" -e "s|@PLAIN@|$plain|g" -e "s|@REAL_IP@|$real_ip|g" \
            -e "s|@RATE@|${NGINX_RATE:-50r/s}|g" -e "s|@BURST@|${NGINX_BURST:-200}|g" -e "s|@CONNECTIONS@|${NGINX_CONNECTIONS:-512}|g" \
            -e "s|@BODY_BYTES@|$NGINX_BODY_BYTES|g" -e "s|@WEBSOCKET_S@|$NGINX_WEBSOCKET_S|g" \
            -e "s|@SHUTDOWN_S@|$((2 * ${SUPD_WATCH_S:-30} + 120))|g" \
            -e "s|@UPSTREAM@|$(driver_address "$colour")|g" -e "s|@PASS@|http://supd|g" \
            -e "s|@COLOUR@|$colour|g" -e "s|@DEPLOYMENT@|$id|g" "$file" >"$folder/$(basename "$file" .template)"
    done
    if grep -rhoE '@[A-Z_]+@' "$folder" | sort -u | grep .; then
        die "$EXIT_SETUP" "places of the nginx templates were not filled (see above)"
    fi
}

# An nginx that is not ours sends to ours, which follows the switch, and by plain HTTP.
foreign_nginx_check() {
    [ "${NGINX_PLAIN:-redirect}" = proxied ] ||
        die "$EXIT_SETUP" "NGINX_PLAIN must be proxied for an nginx in front: else ours leads its requests to HTTPS"
    [ -n "${NGINX_TRUSTED_PROXIES:-}" ] ||
        die "$EXIT_SETUP" "NGINX_TRUSTED_PROXIES must name the nginx in front: else it is taken for the client"
}

nginx_live_colour() { sed -nE 's/^ *return 200 "(blue|green) .*/\1/p' "$nginx_folder/live/nginx.conf" 2>/dev/null; }

# nginx_install FROM TO: file by file, each in one step, since nginx may be started by somebody else meanwhile.
nginx_install() {
    mkdir -p "$2"
    local file
    for file in "$1"/*; do
        sed "s|$nginx_base/${1##*/}/|$nginx_base/${2##*/}/|g" "$file" >"$2/.next"
        mv "$2/.next" "$2/${file##*/}"
    done
}

# Waits until every new connection meets the configuration of that deployment.
nginx_await() {
    local expected=$1 until=$((SECONDS + NGINX_WAIT_S)) answers=0
    while [ "$answers" -lt "$NGINX_ANSWERS" ]; do
        if [ "$(driver_nginx_answer)" = "$expected" ]; then
            answers=$((answers + 1))
            continue
        fi
        answers=0
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.2
    done
}

# nginx_switch COLOUR DEPLOYMENT: true when nginx sends to that colour; otherwise nothing has changed.
nginx_switch() {
    local colour=$1 id=$2
    rm -rf "$nginx_folder/next"
    nginx_render "$colour" "$id" "$nginx_folder/next"
    if ! driver_nginx_test next; then
        say "nginx refuses the new configuration; the old one stays in force"
        return 1
    fi
    [ ! -d "$nginx_folder/live" ] || nginx_install "$nginx_folder/live" "$nginx_folder/former"
    nginx_install "$nginx_folder/next" "$nginx_folder/live"
    if driver_nginx_reload && nginx_await "$colour $id"; then
        say "nginx sends to $colour"
        return
    fi
    say "nginx did not take the new configuration in $NGINX_WAIT_S s; back to the old one"
    if [ -d "$nginx_folder/former" ]; then
        nginx_install "$nginx_folder/former" "$nginx_folder/live"
        driver_nginx_reload || warn "nginx could not be reloaded"
    fi
    return 1
}
