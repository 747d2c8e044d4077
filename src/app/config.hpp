// The configuration of one process: what the keys are called, where values come from, and what is refused.
// config_keys.cpp holds the one table of keys; parsing, environment, printing and the example file follow it.
//
// A later source wins: default, TOML file, flat name (PORT, DATABASE_URL ...), SUPD__SECTION__KEY, command
// line. Secrets may also be read from a file named by <NAME>_FILE. An empty environment variable counts as
// not set.
#pragma once

#include <supd/base/secret.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace supd::app {

struct Config {
    std::string mode;  ///< development | production; empty only before load_config fills it
    std::string name = "supd";

    struct Server {
        std::string host = "0.0.0.0";
        std::int64_t port = 3000;
        std::string admin_host = "127.0.0.1";
        std::int64_t admin_port = 3900;
        std::int64_t io_threads = 0;
        std::int64_t max_connections = 100'000;
        std::int64_t max_connections_per_address = 512;
        std::int64_t grace_s = 15;
        std::vector<std::string> trusted_proxies;
        std::vector<std::string> cors_origins;
        std::string data_dir = "data";
    } server;

    struct Tls {
        std::string certificate;
        std::string key;
    } tls;

    struct Database {
        base::Secret url;
        std::vector<base::Secret> replica_urls;
        std::int64_t pool_size = 8;
        std::string run_as = "postgres";
        std::int64_t statement_timeout_s = 5;
        std::int64_t connect_patience_s = 10;
    } database;

    struct Redis {
        base::Secret url;
        std::string ca_file;
    } redis;

    struct Auth {
        base::Secret jwt_secret;
        std::vector<base::Secret> jwt_previous_secrets;
        std::string password_hash = "moderate";  ///< moderate | interactive | minimal
        std::string registration = "open";       ///< open | closed
    } auth;

    struct RateLimit {
        bool enabled = true;
        std::int64_t api_per_minute = 100;
        std::int64_t api_burst = 100;
        std::int64_t auth_per_minute = 5;
        std::int64_t auth_burst = 10;
        std::int64_t message_per_minute = 3000;
        std::int64_t message_burst = 300;
    } rate_limit;

    struct WebSocket {
        std::int64_t heartbeat_s = 25;
        std::int64_t idle_timeout_s = 60;
        std::int64_t authenticate_timeout_s = 10;
        bool compression = true;
        std::int64_t send_queue_frames = 256;
        std::int64_t send_queue_bytes = 1'048'576;
    } websocket;

    struct Backup {
        std::string folder;
        std::string key_file;
        std::int64_t keep = 7;
        std::int64_t ledger_interval_s = 300;
        std::string offsite = "none";  ///< none | folder | s3
        std::string offsite_folder;
    } backup;

    struct S3 {
        std::string endpoint;
        std::string region = "us-east-1";
        std::string bucket;
        std::string access_key;
        base::Secret secret_key;
        bool path_style = true;
        std::string ca_file;
        std::int64_t part_mib = 64;
    } s3;

    struct Trace {
        std::string otlp_endpoint;
        base::Secret otlp_headers;
        double sample_ratio = 0.1;
    } trace;

    struct Log {
        std::string level = "info";
    } log;

    bool production() const { return mode == "production"; }
    bool embedded_database() const { return database.url.empty(); }
};

/// Everything that is wrong, one line each; what() is all of them (exit code 78).
class ConfigError : public std::runtime_error {
public:
    explicit ConfigError(std::vector<std::string> faults);
    const std::vector<std::string>& faults() const noexcept { return faults_; }

private:
    std::vector<std::string> faults_;
};

struct ConfigSources {
    std::optional<std::filesystem::path> file;
    std::map<std::string, std::string> environment;
    /// From the command line: full key ("server.port") and text.
    std::vector<std::pair<std::string, std::string>> flags;
};

struct LoadedConfig {
    Config config;
    /// Full key -> where its value came from ("default", "supd.toml line 3", "PORT" ...).
    std::map<std::string, std::string> origins;
};

/// Throws ConfigError with every fault of every source.
LoadedConfig load_config(const ConfigSources& sources);

/// The environment of this process.
std::map<std::string, std::string> process_environment();

/// TOML with the origin of each value as a comment; secrets are shown as "***".
std::string print_config(const LoadedConfig& loaded);

/// What config/supd.example.toml holds: every key with its default, commented out, and what it means.
std::string example_config();

}  // namespace supd::app
