// What operators and load balancers ask: /livez (the process turns), /readyz (it can serve), /health (in
// words).
#pragma once

#include <supd/chatlog/reader.hpp>
#include <supd/db/database.hpp>
#include <supd/http/router.hpp>
#include <supd/jobs/queue.hpp>
#include <supd/metrics/metrics.hpp>

#include <atomic>
#include <mutex>
#include <string>

namespace supd::app {

namespace asio = boost::asio;

class Health {
public:
    Health(db::Database& database, jobs::Queue& jobs, std::string version);

    void add_routes(http::Router& router);
    /// The same with detail, and /metrics: for the admin listener.
    void add_admin_routes(http::Router& router, metrics::Registry& metrics, chatlog::Reader& reader);
    void set_ready(bool ready) noexcept { ready_ = ready; }

private:
    struct Probe {
        bool database = false;
        base::Monotonic::time_point at;
    };
    asio::awaitable<Probe> probe();
    asio::awaitable<http::Reply> health(http::Request request);
    asio::awaitable<http::Reply> readyz(http::Request request);
    asio::awaitable<http::Reply> livez(http::Request request);
    asio::awaitable<void> measure_w_age(chatlog::Reader& reader);
    asio::awaitable<http::Reply> scrape(metrics::Registry& metrics, chatlog::Reader& reader);

    db::Database& database_;
    jobs::Queue& jobs_;
    std::string version_;
    base::Monotonic::time_point started_ = base::Monotonic::now();
    std::atomic<bool> ready_{false};
    std::mutex mutex_;
    bool asking_ = false;
    base::Monotonic::time_point asked_;
    Probe last_;
    std::atomic<double> w_age_s_;  // NaN: not known
};

/// `GET /`, `/.well-known/supd`, `GET /api/v1/server`, the API documents.
void add_public_pages(http::Router& router, std::string server_name);
/// The limits that a client can hit, as a JSON object: for hello and GET /api/v1/server.
std::string limits_json();

}  // namespace supd::app
