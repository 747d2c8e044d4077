#include "config_keys.hpp"

#include <algorithm>
#include <numeric>

namespace supd::app {
namespace {

constexpr std::int64_t kDay = 86'400;

std::vector<Key> make_keys() {
    using C = Config;
    return {
        {"", "mode", ChoicePlace{[](C& c) -> auto& { return c.mode; }, {"development", "production"}}, "",
         "development | production. Not set: development with the embedded database, production with "
         "database.url.\n"
         "Production refuses weak or missing secrets, cheap password hashes, disabled rate limits, and plain "
         "HTTP\n"
         "without a proxy."},
        {"", "name", TextPlace{[](C& c) -> auto& { return c.name; }}, "",
         "The server's name, e.g. its host name. Choose it once: tokens and addresses carry it."},

        {"server", "host", TextPlace{[](C& c) -> auto& { return c.server.host; }}, "",
         "Address of the public listener: the API, the WebSocket and the web client."},
        {"server", "port", NumberPlace{[](C& c) -> auto& { return c.server.port; }, 0, 65535}, "PORT",
         "Its TCP port; 0 takes any free one (see the ready line)."},
        {"server", "admin_host", TextPlace{[](C& c) -> auto& { return c.server.admin_host; }}, "",
         "Address of the admin listener: metrics and health detail. Keep it private."},
        {"server", "admin_port", NumberPlace{[](C& c) -> auto& { return c.server.admin_port; }, 0, 65535}, "",
         "Its TCP port; 0 takes any free one."},
        {"server", "io_threads", NumberPlace{[](C& c) -> auto& { return c.server.io_threads; }, 0, 256}, "",
         "Threads that serve connections; 0 = one per core, less one when PostgreSQL is reached by a socket "
         "or the loopback."},
        {"server", "max_connections",
         NumberPlace{[](C& c) -> auto& { return c.server.max_connections; }, 1, 10'000'000}, "",
         "Connections to the public listener at once; more are closed."},
        {"server", "max_connections_per_address",
         NumberPlace{[](C& c) -> auto& { return c.server.max_connections_per_address; }, 1, 10'000'000}, "",
         "The same for one IPv4 address or IPv6 /64. Loopback and trusted proxies are not counted."},
        {"server", "grace_s", NumberPlace{[](C& c) -> auto& { return c.server.grace_s; }, 1, 300}, "",
         "Seconds from SIGTERM to the end."},
        {"server", "trusted_proxies", ListPlace{[](C& c) -> auto& { return c.server.trusted_proxies; }}, "",
         "Networks of your reverse proxies, e.g. [\"10.0.0.0/8\", \"::1\"]: only their X-Forwarded-For "
         "counts."},
        {"server", "cors_origins", ListPlace{[](C& c) -> auto& { return c.server.cors_origins; }},
         "CORS_ORIGIN",
         "Exact origins of web apps on other hosts, e.g. [\"https://app.example\"]; no wildcards."},
        {"server", "data_dir", TextPlace{[](C& c) -> auto& { return c.server.data_dir; }}, "",
         "Folder for the embedded database, generated secrets and files."},

        {"tls", "certificate", TextPlace{[](C& c) -> auto& { return c.tls.certificate; }}, "",
         "PEM file with the certificate chain; read again when it changes. Empty: plain HTTP, behind a "
         "proxy."},
        {"tls", "key", TextPlace{[](C& c) -> auto& { return c.tls.key; }}, "",
         "PEM file with its private key."},

        {"database", "url", SecretPlace{[](C& c) -> auto& { return c.database.url; }}, "DATABASE_URL",
         "postgresql://user:password@host/database. Empty: a private PostgreSQL in data_dir."},
        {"database", "replica_urls", SecretListPlace{[](C& c) -> auto& { return c.database.replica_urls; }},
         "DATABASE_REPLICA_URLS",
         "Standbys of that server for the history of chats, read when they are not behind what the reader "
         "may have\n"
         "seen. Each has pool_size connections."},
        {"database", "pool_size", NumberPlace{[](C& c) -> auto& { return c.database.pool_size; }, 1, 48}, "",
         "Connections of this process, beside the two of the message writer."},
        {"database", "run_as", TextPlace{[](C& c) -> auto& { return c.database.run_as; }}, "",
         "Operating-system user of the embedded PostgreSQL when supd is started as root."},
        {"database", "statement_timeout_s",
         NumberPlace{[](C& c) -> auto& { return c.database.statement_timeout_s; }, 1, 60}, "",
         "Longest time of one statement, and of a transaction that does nothing."},
        {"database", "connect_patience_s",
         NumberPlace{[](C& c) -> auto& { return c.database.connect_patience_s; }, 0, 3600}, "",
         "How long `supd serve` waits at start for a database that does not answer yet, before it exits with "
         "69."},

        {"redis", "url", SecretPlace{[](C& c) -> auto& { return c.redis.url; }}, "REDIS_URL",
         "redis://[user:password@]host:port, rediss:// for TLS; redis+sentinel://host,host/master;\n"
         "redis+cluster://host,host. For several processes on one database; a single one needs none."},
        {"redis", "ca_file", TextPlace{[](C& c) -> auto& { return c.redis.ca_file; }}, "",
         "PEM of the authorities that sign the certificates of rediss://; empty: those of the system."},

        {"auth", "jwt_secret", SecretPlace{[](C& c) -> auto& { return c.auth.jwt_secret; }}, "JWT_SECRET",
         "Signs access tokens; at least 32 bytes, e.g. from `openssl rand -base64 48`. In development one "
         "is\n"
         "generated in data_dir/secrets."},
        {"auth", "jwt_previous_secrets",
         SecretListPlace{[](C& c) -> auto& { return c.auth.jwt_previous_secrets; }}, "",
         "Former secrets whose tokens are still accepted, for a change without signing anybody out."},
        {"auth", "password_hash",
         ChoicePlace{[](C& c) -> auto& { return c.auth.password_hash; },
                     {"moderate", "interactive", "minimal"}},
         "",
         "Cost of Argon2id: moderate | interactive | minimal. Cheaper than moderate only in development."},
        {"auth", "registration",
         ChoicePlace{[](C& c) -> auto& { return c.auth.registration; }, {"open", "closed"}}, "",
         "open: anybody may make an account. closed: only `supd user create`."},

        {"rate_limit", "enabled", FlagPlace{[](C& c) -> auto& { return c.rate_limit.enabled; }}, "",
         "false only in development."},
        {"rate_limit", "api_per_minute",
         NumberPlace{[](C& c) -> auto& { return c.rate_limit.api_per_minute; }, 1, 1'000'000}, "",
         "Requests of one user a minute; a single address of many users may do more."},
        {"rate_limit", "api_burst",
         NumberPlace{[](C& c) -> auto& { return c.rate_limit.api_burst; }, 1, 1'000'000}, "",
         "How many of them at once."},
        {"rate_limit", "auth_per_minute",
         NumberPlace{[](C& c) -> auto& { return c.rate_limit.auth_per_minute; }, 1, 1'000'000}, "",
         "Attempts to sign in or register a minute by address, and by name and address; by name ten times as "
         "many."},
        {"rate_limit", "auth_burst",
         NumberPlace{[](C& c) -> auto& { return c.rate_limit.auth_burst; }, 1, 1'000'000}, "",
         "How many of them at once."},
        {"rate_limit", "message_per_minute",
         NumberPlace{[](C& c) -> auto& { return c.rate_limit.message_per_minute; }, 1, 10'000'000}, "",
         "Messages and other frames of one user a minute."},
        {"rate_limit", "message_burst",
         NumberPlace{[](C& c) -> auto& { return c.rate_limit.message_burst; }, 1, 1'000'000}, "",
         "How many of them at once."},

        {"websocket", "heartbeat_s",
         NumberPlace{[](C& c) -> auto& { return c.websocket.heartbeat_s; }, 1, 3600}, "",
         "Seconds between pings on a quiet connection."},
        {"websocket", "idle_timeout_s",
         NumberPlace{[](C& c) -> auto& { return c.websocket.idle_timeout_s; }, 2, kDay}, "",
         "A connection that says nothing, not even a pong, for so long is closed; more than heartbeat_s."},
        {"websocket", "authenticate_timeout_s",
         NumberPlace{[](C& c) -> auto& { return c.websocket.authenticate_timeout_s; }, 1, 300}, "",
         "Seconds a new connection has to authenticate."},
        {"websocket", "compression", FlagPlace{[](C& c) -> auto& { return c.websocket.compression; }}, "",
         "Offer permessage-deflate; small frames are sent plain all the same."},
        {"websocket", "send_queue_frames",
         NumberPlace{[](C& c) -> auto& { return c.websocket.send_queue_frames; }, 8, 65'536}, "",
         "Frames that may wait for one slow reader before its connection is closed (it can resume)."},
        {"websocket", "send_queue_bytes",
         NumberPlace{[](C& c) -> auto& { return c.websocket.send_queue_bytes; }, 65'536, 268'435'456}, "",
         "The same in bytes."},

        {"backup", "folder", TextPlace{[](C& c) -> auto& { return c.backup.folder; }}, "",
         "Where `supd backup` keeps its archives. Empty: no backups."},
        {"backup", "key_file", TextPlace{[](C& c) -> auto& { return c.backup.key_file; }}, "",
         "The key that encrypts them, from `supd backup key FILE`. Keep a copy where the backups are not."},
        {"backup", "keep", NumberPlace{[](C& c) -> auto& { return c.backup.keep; }, 1, 10'000}, "",
         "How many archives of each kind stay when one is made."},
        {"backup", "ledger_interval_s",
         NumberPlace{[](C& c) -> auto& { return c.backup.ledger_interval_s; }, 1, kDay}, "",
         "Seconds between copies of the deletion ledger into the folder: what is erased in between may come "
         "back by a "
         "restore\n"
         "when the database is lost."},

        {"backup", "offsite",
         ChoicePlace{[](C& c) -> auto& { return c.backup.offsite; }, {"none", "folder", "s3"}}, "",
         "none | folder | s3: where `supd backup create` and `supd backup push` copy the archives to."},
        {"backup", "offsite_folder", TextPlace{[](C& c) -> auto& { return c.backup.offsite_folder; }}, "",
         "With offsite = \"folder\": that folder, e.g. on a mounted disk of another machine."},

        {"s3", "endpoint", TextPlace{[](C& c) -> auto& { return c.s3.endpoint; }}, "",
         "https://host[:port] of an S3 service."},
        {"s3", "region", TextPlace{[](C& c) -> auto& { return c.s3.region; }}, "", "Its region."},
        {"s3", "bucket", TextPlace{[](C& c) -> auto& { return c.s3.bucket; }}, "", "A bucket that is there."},
        {"s3", "access_key", TextPlace{[](C& c) -> auto& { return c.s3.access_key; }}, "",
         "The id of the key to sign with."},
        {"s3", "secret_key", SecretPlace{[](C& c) -> auto& { return c.s3.secret_key; }}, "",
         "The key itself."},
        {"s3", "path_style", FlagPlace{[](C& c) -> auto& { return c.s3.path_style; }}, "",
         "true: https://host/bucket/..., false: https://bucket.host/..."},
        {"s3", "ca_file", TextPlace{[](C& c) -> auto& { return c.s3.ca_file; }}, "",
         "PEM file of whom to trust for https; empty: whom the system trusts."},
        {"s3", "part_mib", NumberPlace{[](C& c) -> auto& { return c.s3.part_mib; }, 5, 5120}, "",
         "Larger files are sent in parts of so many MiB."},

        {"trace", "otlp_endpoint", TextPlace{[](C& c) -> auto& { return c.trace.otlp_endpoint; }},
         "OTEL_EXPORTER_OTLP_ENDPOINT",
         "http[s]://host[:port][/path] of a collector that speaks OTLP over HTTP (usually port 4318); "
         "/v1/traces is "
         "added.\n"
         "Empty: no traces."},
        {"trace", "otlp_headers", SecretPlace{[](C& c) -> auto& { return c.trace.otlp_headers; }},
         "OTEL_EXPORTER_OTLP_HEADERS",
         "What it wants to see, name=value,name=value; a value may be percent-encoded. Of a hosted "
         "collector, its "
         "key."},
        {"trace", "sample_ratio", RatioPlace{[](C& c) -> auto& { return c.trace.sample_ratio; }}, "",
         "Share of the requests, commands and jobs that are traced. Who comes with a traceparent has decided "
         "already."},

        {"log", "level",
         ChoicePlace{[](C& c) -> auto& { return c.log.level; }, {"debug", "info", "warn", "error"}},
         "LOG_LEVEL", "debug | info | warn | error. Lines are JSON, on stderr."},
    };
}

std::string upper(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return result;
}

// Levenshtein, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string Key::full() const {
    return section.empty() ? std::string(name) : std::string(section) + "." + std::string(name);
}

std::string Key::env() const {
    return "SUPD__" + (section.empty() ? "" : upper(section) + "__") + upper(name);
}

bool Key::secret() const {
    return std::holds_alternative<SecretPlace>(place) || std::holds_alternative<SecretListPlace>(place);
}

const std::vector<Key>& config_keys() {
    static const std::vector<Key> keys = make_keys();
    return keys;
}

const Key* find_key(std::string_view full) {
    for (const auto& key : config_keys()) {
        if (key.full() == full) return &key;
    }
    return nullptr;
}

const Key& nearest_key(std::string_view full) {
    // A key that is right but stands in the wrong section is nearer than one with similar letters.
    const auto last = full.substr(full.rfind('.') + 1);
    const auto distance = [&](const Key& key) {
        const std::size_t whole = edit_distance(full, key.full());
        return std::min(whole, edit_distance(last, key.name) + 2);
    };
    return *std::ranges::min_element(config_keys(), {}, distance);
}

std::string_view section_about(std::string_view section) {
    if (section == "server") return "Listeners and the process.";
    if (section == "tls") return "Native TLS on the public listener.";
    if (section == "database") return "PostgreSQL, the only truth.";
    if (section == "redis") return "Hints between processes.";
    if (section == "auth") return "Accounts and tokens.";
    if (section == "rate_limit") return "Token buckets, per user and per address.";
    if (section == "websocket") return "/ws";
    if (section == "backup") return "Backups; docs/backup.md.";
    if (section == "s3") return "An S3 service, for backup.offsite.";
    if (section == "trace") return "Traces for an OpenTelemetry collector; docs/monitoring.md.";
    if (section == "log") return "Logging.";
    return "";
}

namespace {

bool same(const base::Secret& a, const base::Secret& b) {
    return a.reveal() == b.reveal();
}
bool same(const std::vector<base::Secret>& a, const std::vector<base::Secret>& b) {
    return std::ranges::equal(a, b, {}, &base::Secret::reveal, &base::Secret::reveal);
}
template <class T>
bool same(const T& a, const T& b) {
    return a == b;
}

}  // namespace

bool same_value(Config a, Config b, const Key& key) {
    return std::visit([&](const auto& place) { return same(place.at(a), place.at(b)); }, key.place);
}

}  // namespace supd::app
