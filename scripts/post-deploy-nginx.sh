#!/usr/bin/env bash
# Puts supd's locations into the server block of an nginx that is not ours, between two markers; run again, it replaces what
# is between them, and changes nothing when that is what should be there.
#   scripts/post-deploy-nginx.sh FILE [--server-name NAME] [--to HOST:PORT] [--remove] [--dry-run]
#     --server-name  the block with this name, the one with TLS first (default: SERVER_NAME of .env)
#     --to           where that nginx reaches ours (default: 127.0.0.1 and HTTP_PORT), which follows each switch by itself
# FOREIGN_NGINX_TEST and FOREIGN_NGINX_RELOAD of .env are the commands for it (default: nginx -t, nginx -s reload). The file is
# put back as it was when the test or the reload fails.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"

usage() { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

file='' name='' to='' remove=''
while [ $# -gt 0 ]; do
    case $1 in
        --server-name) name=${2:-}; shift ;;
        --to) to=${2:-}; shift ;;
        --remove) remove=1 ;;
        --dry-run) dry_run=1 ;;
        --help | -h) usage; exit ;;
        -*) usage >&2; exit "$EXIT_USAGE" ;;
        *) file=$1 ;;
    esac
    shift
done
[ -n "$file" ] || { usage >&2; exit "$EXIT_USAGE"; }
[ -f "$file" ] || die 66 "there is no file $file"
read_settings
name=${name:-${SERVER_NAME:-localhost}}
if [ -z "$to" ] && [ -z "$remove" ]; then
    foreign_nginx_check
    to=${HTTP_PORT:-80} # in Docker's way maybe with an address
    to=127.0.0.1:${to##*:}
fi
[ -n "$remove" ] || [[ $to =~ ^[^[:space:]/\;{}]+:[0-9]+$ ]] || die "$EXIT_USAGE" "'$to' is not HOST:PORT"

readonly BEGIN="# BEGIN supd (made by scripts/post-deploy-nginx.sh)" END="# END supd"

without_ours() { awk -v begin="$BEGIN" -v end="$END" 'index($0, begin) { inside = 1 } !inside { print } index($0, end) { inside = 0 }' "$1"; }

# The locations of our own nginx with what they include written out, since that nginx has none of our files.
locations() {
    printf '    %s\n' "$BEGIN"
    sed -e "/include @HERE@\/forward.conf;/{r $root/docker/nginx/forward.conf.template
d}" "$root/docker/nginx/locations.conf.template" |
        sed -e "s|@PASS@|http://$to|g" -e "s|@WEBSOCKET_S@|$NGINX_WEBSOCKET_S|g" -e 's/^/    /'
    printf '    %s\n' "$END"
}

# The line of the brace that ends the wanted server block; quotes and comments are passed over.
closing_line() {
    awk -v wanted="$1" '
        function directive(text) {
            gsub(/^[ \t]+/, "", text)
            if (depth != server) return
            if (text ~ /^server_name[ \t]/) { sub(/^server_name/, "", text); names = names " " text " " }
            if (text ~ /^listen[ \t]/ && (text ~ /[ \t]ssl([ \t]|$)/ || text ~ /443([ \t]|$)/)) tls = 1
        }
        BEGIN { server = -1 }
        {
            n = length($0); head = head " "
            for (i = 1; i <= n; i++) {
                c = substr($0, i, 1)
                if (quote != "") { if (c == "\\") i++; else if (c == quote) quote = ""; continue }
                if (c == "\"" || c == "\047") { quote = c; continue }
                if (c == "#" && (i == 1 || substr($0, i - 1, 1) ~ /[ \t;{}]/)) break
                if (c == "{") {
                    depth++
                    if (head ~ /^[ \t]*server[ \t]*$/ && server < 0) { server = depth; names = ""; tls = 0 }
                    head = ""
                } else if (c == ";") { directive(head); head = "" }
                else if (c == "}") {
                    if (depth == server) {
                        gsub(/\t/, " ", names)
                        if (index(names, " " wanted " ")) { if (tls && !best) best = NR; if (!any) any = NR }
                        server = -1
                    }
                    depth--; head = ""
                } else head = head c
            }
        }
        END { print best ? best : any + 0 }' "$2"
}

work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
without_ours "$file" >"$work/bare"
if [ -n "$remove" ]; then
    cp "$work/bare" "$work/next"
else
    line=$(closing_line "$name" "$work/bare")
    [ "$line" -gt 0 ] || die 65 "$file has no server block with the name $name"
    [[ $(sed -n "${line}p" "$work/bare") =~ ^[[:space:]]*\} ]] || die 65 "line $line of $file: the brace that ends the block must begin its line"
    { head -n $((line - 1)) "$work/bare"; locations; tail -n "+$line" "$work/bare"; } >"$work/next"
fi
if cmp -s "$work/next" "$file"; then
    say "$file is as it should be"
    exit
fi
if [ -n "$dry_run" ]; then
    diff -u "$file" "$work/next"
    exit 0
fi

test_nginx() { bash -c "${FOREIGN_NGINX_TEST:-nginx -t -q}"; }
reload_nginx() { bash -c "${FOREIGN_NGINX_RELOAD:-nginx -s reload}"; }
# Written into the same file and not moved over it: it may be mounted into a container by itself.
cp "$file" "$work/former" && cat "$work/next" >"$file" || exit
if ! test_nginx; then
    cat "$work/former" >"$file"
    die 1 "nginx refuses the changed $file; it is as it was"
fi
if ! reload_nginx; then
    cat "$work/former" >"$file"
    reload_nginx || warn "nginx could not be reloaded with the former file either"
    die 1 "nginx did not take the changed $file; it is as it was"
fi
say "$file: locations of supd ${remove:+removed}${to:+by $to}"
