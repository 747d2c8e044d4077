#include "config_keys.hpp"
#include "trace_export.hpp"

#include <supd/cache/url.hpp>
#include <supd/db/server.hpp>
#include <supd/net/address.hpp>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>
#include <set>
#include <stdexcept>

namespace supd::app {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMinSecretBytes = 32;
constexpr std::size_t kMinDistinct = 10;
constexpr double kMinEntropyBits = 96;  // 32 random hexadecimal digits measure about 115
constexpr double kMaxRunShare = 0.5;
constexpr std::size_t kMaxName = 255;

// What documentation, examples and templates put where a secret belongs.
constexpr std::array kPlaceholders = {"secret",   "changeme", "change-me",   "change_me", "change me",
                                      "password", "example",  "your-",       "your_",     "insecure",
                                      "default",  "develop",  "placeholder", "replace",   "12345678",
                                      "qwerty",   "letmein",  "test-",       "testing"};
// In lower case.
constexpr std::array kDefaultPasswords = {
    "postgres", "password", "secret",   "changeme", "change-me", "change_me", "supd",    "admin",     "root",
    "redis",    "valkey",   "foobared", "test",     "1234",      "123456",    "example", "minioadmin"};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return result;
}

bool periodic(std::string_view text) {
    for (std::size_t period = 1; period <= text.size() / 2; ++period) {
        if (text.substr(period) == text.substr(0, text.size() - period)) return true;
    }
    return false;
}

double entropy_bits(std::string_view text) {
    std::array<std::size_t, 256> counts{};
    for (const char c : text)
        ++counts[static_cast<unsigned char>(c)];
    double bits = 0;
    for (const auto count : counts) {
        if (count == 0) continue;
        const double share = static_cast<double>(count) / static_cast<double>(text.size());
        bits -= static_cast<double>(count) * std::log2(share);
    }
    return bits;
}

// Share of neighbours that are equal or next to each other in the alphabet: aaaa, abcd, 4321.
double run_share(std::string_view text) {
    std::size_t runs = 0;
    for (std::size_t i = 1; i < text.size(); ++i)
        runs += std::abs(text[i] - text[i - 1]) <= 1 ? 1 : 0;
    return static_cast<double>(runs) / static_cast<double>(text.size() - 1);
}

// scheme://host[:port], nothing after it.
bool exact_origin(const std::string& origin) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (!origin.starts_with(scheme)) continue;
        const std::string host = origin.substr(scheme.size());
        return !host.empty() &&
               host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == std::string::npos;
    }
    return false;
}

bool postgres_url(const std::string& url) {
    return url.starts_with("postgres://") || url.starts_with("postgresql://") ||
           url.find('=') != std::string::npos;
}

bool plain_name(const std::string& name) {
    return !name.empty() && name.size() <= kMaxName &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_") ==
               std::string::npos;
}

bool readable(const std::string& path) {
    return std::ifstream(path).good();
}

// None: it is no connection string.
std::optional<std::string> database_password(const std::string& url) {
    try {
        return db::password_of(url);
    } catch (const db::ServerError&) {
        return std::nullopt;
    }
}

std::optional<cache::Url> redis_url(const std::string& url) {
    if (url.empty()) return std::nullopt;
    try {
        return cache::parse_url(url);
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
}

bool default_password(std::string_view password) {
    return std::ranges::find(kDefaultPasswords, lower(password)) != kDefaultPasswords.end();
}

class Check {
public:
    Check(const Config& config, std::vector<std::string>& faults) : config_(config), faults_(faults) {}

    void run() {
        shapes();
        relations();
        if (config_.production()) production();
    }

private:
    void fault(std::string text) { faults_.push_back(std::move(text)); }

    void shapes() {
        if (!plain_name(config_.name)) fault("name must be 1 to 255 letters, digits and . : - _");
        for (const auto& origin : config_.server.cors_origins) {
            if (!exact_origin(origin)) {
                fault("server.cors_origins: \"" + origin +
                      "\" is not an origin like https://app.example (no wildcard, no path)");
            }
        }
        for (const auto& proxy : config_.server.trusted_proxies) {
            if (!net::Network::parse(proxy)) {
                fault("server.trusted_proxies: \"" + proxy +
                      "\" is not an address or a network like 10.0.0.0/8");
            }
        }
        for (const auto& [key, host] : {std::pair("server.host", config_.server.host),
                                        std::pair("server.admin_host", config_.server.admin_host)}) {
            boost::system::error_code ec;
            asio::ip::make_address(host, ec);
            if (ec) fault(std::string(key) + " must be an IP address, e.g. 0.0.0.0, 127.0.0.1 or ::");
        }
        if (config_.server.data_dir.empty()) fault("server.data_dir must not be empty");
        const std::string& url = config_.database.url.reveal();
        if (!url.empty() && !postgres_url(url)) {
            fault("database.url must begin with postgresql://");
        } else if (!url.empty() && !database_password(url)) {
            fault("database.url is not a valid connection string");
        }
        for (const auto& replica : config_.database.replica_urls) {
            if (!postgres_url(replica.reveal()))
                fault("database.replica_urls: one does not begin with postgresql://");
            else if (!database_password(replica.reveal()))
                fault("database.replica_urls: one is not a valid connection string");
        }
        if (url.empty() && !config_.database.replica_urls.empty())
            fault("database.replica_urls needs database.url");
        const std::string& redis = config_.redis.url.reveal();
        try {
            if (!redis.empty()) cache::parse_url(redis);
        } catch (const std::invalid_argument& why) {
            fault(std::string("redis.url: ") + why.what());
        }
        if (const auto& endpoint = config_.trace.otlp_endpoint; !endpoint.empty() && !otlp_url(endpoint))
            fault("trace.otlp_endpoint must be http://host[:port][/path] or https://..., without a query");
        if (!otlp_headers(config_.trace.otlp_headers.reveal()))
            fault("trace.otlp_headers must be name=value,name=value");
        if (!config_.auth.jwt_secret.empty() && config_.auth.jwt_secret.reveal().size() < kMinSecretBytes) {
            fault("auth.jwt_secret is shorter than 32 bytes");
        }
        for (const auto& secret : config_.auth.jwt_previous_secrets) {
            if (secret.reveal().size() < kMinSecretBytes)
                fault("auth.jwt_previous_secrets: one is shorter than 32 bytes");
        }
    }

    void relations() {
        if (config_.tls.certificate.empty() != config_.tls.key.empty()) {
            fault("tls.certificate and tls.key belong together: set both or none");
        }
        for (const auto& [key, path] :
             {std::pair("tls.certificate", config_.tls.certificate), std::pair("tls.key", config_.tls.key)}) {
            if (!path.empty() && !readable(path)) fault(std::string(key) + ": cannot read " + path);
        }
        if (!config_.redis.ca_file.empty() && !readable(config_.redis.ca_file))
            fault("redis.ca_file: cannot read " + config_.redis.ca_file);
        if (config_.server.port != 0 && config_.server.port == config_.server.admin_port) {
            fault("server.port and server.admin_port are the same");
        }
        if (config_.backup.folder.empty() != config_.backup.key_file.empty()) {
            fault("backup.folder and backup.key_file belong together: set both or none");
        }
        if (config_.backup.offsite == "folder" && config_.backup.offsite_folder.empty()) {
            fault("backup.offsite = folder needs backup.offsite_folder");
        }
        if (config_.backup.offsite == "s3" &&
            (config_.s3.endpoint.empty() || config_.s3.bucket.empty() || config_.s3.access_key.empty() ||
             config_.s3.secret_key.empty())) {
            fault("backup.offsite = s3 needs s3.endpoint, s3.bucket, s3.access_key and s3.secret_key");
        }
        if (config_.websocket.idle_timeout_s <= config_.websocket.heartbeat_s) {
            fault("websocket.idle_timeout_s must be more than websocket.heartbeat_s");
        }
    }

    void production() {
        if (config_.auth.jwt_secret.empty()) {
            fault(
                "auth.jwt_secret (JWT_SECRET) must be set in production mode, e.g. from `openssl rand "
                "-base64 48`");
        } else if (const auto why = secret_weakness(config_.auth.jwt_secret.reveal()); !why.empty()) {
            fault("auth.jwt_secret " + why + ", which production mode refuses");
        }
        for (const auto& secret : config_.auth.jwt_previous_secrets) {
            if (const auto why = secret_weakness(secret.reveal()); !why.empty()) {
                fault("auth.jwt_previous_secrets: one " + why + ", which production mode refuses");
            }
        }
        default_passwords();
        if (!config_.rate_limit.enabled) fault("rate_limit.enabled = false is for development mode only");
        if (config_.auth.password_hash != "moderate") {
            fault("auth.password_hash = " + config_.auth.password_hash + " is for development mode only");
        }
        if (config_.tls.certificate.empty() && config_.server.trusted_proxies.empty()) {
            fault(
                "plain HTTP without a proxy is for development mode only: set tls.certificate and tls.key, "
                "or "
                "server.trusted_proxies");
        }
    }

    // What cannot be read is a fault already, of shapes().
    void default_passwords() {
        const auto refuse = [&](const std::string& key) {
            fault(key + " has a default password, which production mode refuses");
        };
        if (default_password(database_password(config_.database.url.reveal()).value_or("")))
            refuse("database.url");
        for (const auto& replica : config_.database.replica_urls) {
            if (default_password(database_password(replica.reveal()).value_or("")))
                refuse("database.replica_urls: one");
        }
        const auto redis = redis_url(config_.redis.url.reveal());
        if (redis && (default_password(redis->password.reveal()) ||
                      default_password(redis->sentinel_password.reveal())))
            refuse("redis.url");
        if (default_password(config_.s3.secret_key.reveal()))
            fault("s3.secret_key is a default password, which production mode refuses");
    }

    const Config& config_;
    std::vector<std::string>& faults_;
};

}  // namespace

std::string secret_weakness(std::string_view secret) {
    if (secret.size() < kMinSecretBytes) return "is shorter than 32 bytes";
    const std::string folded = lower(secret);
    for (const std::string_view word : kPlaceholders) {
        if (folded.contains(word)) return "looks like a placeholder";
    }
    const std::set<char> distinct(secret.begin(), secret.end());
    if (distinct.size() < kMinDistinct || periodic(secret) || run_share(secret) > kMaxRunShare ||
        entropy_bits(secret) < kMinEntropyBits) {
        return "is too easy to guess";
    }
    return "";
}

void check_config(const Config& config, std::vector<std::string>& faults) {
    Check(config, faults).run();
}

}  // namespace supd::app
