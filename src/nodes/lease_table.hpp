// Leases in Redis: one hash per user, a field per process that holds its end by Redis's clock.
#pragma once

#include "hint.hpp"
#include "interest.hpp"
#include "script.hpp"

#include <supd/async/task_group.hpp>
#include <supd/nodes/leases.hpp>

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

namespace supd::nodes {

class LeaseTable final : public Leases {
public:
    /// `tell` hands a hint to the channel of that name.
    using Tell = std::function<void(std::string channel, const Hint& hint)>;
    LeaseTable(asio::io_context& home, NodeId me, cache::Client& client, Interest& interest, Tell tell);

    void start();
    void stop();
    /// A hint of another process. Home's thread.
    void take(NodeId from, const LeaseTold& hint);

    void on_change(std::function<void(const LeaseChange&)> call) override { changed_ = std::move(call); }
    void hold(base::UserId user, std::string value) override;
    void rewrite(base::UserId user, std::string value) override;
    void release(base::UserId user, std::string last_value) override;
    void watch(base::UserId user, bool begins) override;
    asio::awaitable<std::vector<std::optional<std::vector<Lease>>>> read(
        std::vector<base::UserId> users) override;
    std::uint64_t interruptions() const noexcept override { return interruptions_.load(); }

private:
    void write(base::UserId user, const std::string& value);
    void announce(base::UserId user, const std::string& value, bool released);
    asio::awaitable<void> keep_up();
    asio::awaitable<bool> interrupted();
    // Both wait for Redis now and then; false: it went away.
    asio::awaitable<bool> renew(std::function<bool(base::UserId)> which);
    asio::awaitable<bool> tell_all();
    asio::awaitable<bool> caught_up(base::UserId user);
    std::vector<std::pair<base::UserId, std::string>> held(const std::function<bool(base::UserId)>& which);
    bool still(base::UserId user, const std::string& value);
    std::vector<Lease> leases_of(const cache::Reply& reply) const;

    asio::io_context& home_;
    const NodeId me_;
    cache::Client& client_;
    Interest& interest_;
    Tell tell_;
    std::function<void(const LeaseChange&)> changed_;
    std::shared_ptr<Script> hold_;
    std::shared_ptr<Script> read_;
    std::mutex mutex_;
    std::unordered_map<base::UserId, std::string> held_;
    std::atomic<std::uint64_t> interruptions_{0};
    std::uint64_t connects_seen_ = 0;
    std::minstd_rand chance_;
    async::TaskGroup tasks_{"leases"};
};

}  // namespace supd::nodes
