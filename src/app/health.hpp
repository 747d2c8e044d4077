// What operators and load balancers ask: /livez (the process turns), /readyz (it can serve), /health (in
// words).
#pragma once

#include "config.hpp"
#include "observe.hpp"

#include <supd/backup/backups.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/db/database.hpp>
#include <supd/http/router.hpp>
#include <supd/jobs/queue.hpp>
#include <supd/metrics/metrics.hpp>

#include <nlohmann/json_fwd.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace supd::app {

namespace asio = boost::asio;

class Health {
public:
    /// `newest`: the newest migration of this binary.
    Health(db::Database& database, jobs::Queue& jobs, std::string version, std::int64_t newest);

    void add_routes(http::Router& router);
    /// The same, /health with `numbers` and what the jobs and the cursors wait for, and /metrics: for the
    /// admin listener.
    void add_admin_routes(http::Router& router, metrics::Registry& metrics, chatlog::Reader& reader,
                          std::vector<Number> numbers);
    void set_ready(bool ready) noexcept { ready_ = ready; }

private:
    struct Probe {
        db::Contact database;
        base::Monotonic::time_point at;
        backup::Ages backups;
    };
    asio::awaitable<Probe> probe();
    bool fits(const Probe& probe) const;
    http::Reply report(const Probe& probe, const nlohmann::ordered_json& detail) const;
    asio::awaitable<http::Reply> health(http::Request request);
    asio::awaitable<http::Reply> health_in_detail(chatlog::Reader& reader);
    asio::awaitable<http::Reply> readyz(http::Request request);
    asio::awaitable<http::Reply> livez(http::Request request);
    void add_probes(http::Router& router);
    double backup_age(std::optional<double> backup::Ages::* which);
    asio::awaitable<void> measure_w_age(chatlog::Reader& reader);
    asio::awaitable<http::Reply> scrape(metrics::Registry& metrics, chatlog::Reader& reader);

    db::Database& database_;
    jobs::Queue& jobs_;
    std::string version_;
    std::int64_t newest_;
    std::vector<Number> numbers_;
    base::Monotonic::time_point started_ = base::Monotonic::now();
    std::atomic<bool> ready_{false};
    std::mutex mutex_;
    bool asking_ = false;
    base::Monotonic::time_point asked_;
    Probe last_;
    std::atomic<double> w_age_s_;  // NaN: not known
};

/// `GET /`, `/.well-known/supd`, `GET /api/v1/server`, `GET /api/v1/client`, the API documents.
void add_public_pages(http::Router& router, const Config& config);
/// The limits that a client can hit, as a JSON object: for hello and GET /api/v1/server.
std::string limits_json(const Config& config);

}  // namespace supd::app
