// What the connections of one server share.
#pragma once

#include "request_metrics.hpp"

#include <supd/http/server.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <unordered_set>

namespace supd::http {

class Connection;

class ServerState {
public:
    ServerState(async::IoThreads& threads, const Router& routes, ServerOptions opts, ServerServices used);

    struct Thread {
        std::unordered_set<Connection*> live;  // only on its io thread
        async::TaskGroup tasks{"http"};
    };

    async::IoThreads& io;
    const Router& router;
    const ServerOptions options;
    const ServerServices services;
    RequestMetrics metrics;
    std::map<std::string, UpgradeHandler, std::less<>> upgrades;
    std::vector<std::unique_ptr<Thread>> threads;

    std::atomic<bool> draining{false};
    std::atomic<std::size_t> connections{0};
    std::mutex mutex;
    std::condition_variable gone;
    std::vector<std::unique_ptr<net::Listener>> listeners;

    /// A connection ended.
    void leave();
};

}  // namespace supd::http
