// A Lua script that Redis keeps: sent by its digest, and whole when Redis does not have it (after a restart,
// SCRIPT FLUSH, a failover, or on another master of a cluster). Thread-safe.
#pragma once

#include <supd/cache/client.hpp>

#include <memory>
#include <mutex>
#include <string>

namespace supd::nodes {

class Script : public std::enable_shared_from_this<Script> {
public:
    explicit Script(std::string text) : text_(std::move(text)) {}

    /// One key; `done` as of Client::send.
    void run(cache::Client& client, std::string key, cache::Words arguments, cache::Client::Done done);

private:
    cache::Words words(const char* verb, std::string body, const std::string& key,
                       const cache::Words& arguments) const;
    void learn(cache::Client& client);
    std::string digest() const;

    const std::string text_;
    mutable std::mutex mutex_;
    std::string digest_;  // as Redis told it
    bool asked_ = false;
};

}  // namespace supd::nodes
