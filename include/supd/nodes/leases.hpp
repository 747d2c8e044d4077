// What each process says of the users that it serves, kept in Redis for as long as it renews it: a lease per
// user and process, with a small value that is the caller's business. Who watches a user is told of changes.
// Not the truth: a lease may be missing for a while (Redis was emptied), so its absence proves little.
#pragma once

#include <supd/base/ids.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace supd::nodes {

namespace asio = boost::asio;

struct Lease {
    std::uint64_t node = 0;
    std::string value;
};

/// What another process told: it holds a lease with this value, or has released it.
struct LeaseChange {
    base::UserId user;
    Lease lease;
    bool released = false;
};

/// Thread-safe.
class Leases {
public:
    virtual ~Leases() = default;

    /// Before start(). On an io thread; of users that are watched or held here, now and then twice.
    virtual void on_change(std::function<void(const LeaseChange&)> call) = 0;

    /// This process holds one for the user from now on, until release(); whoever watches is told.
    virtual void hold(base::UserId user, std::string value) = 0;
    /// The value of a lease that is held, without telling anybody.
    virtual void rewrite(base::UserId user, std::string value) = 0;
    virtual void release(base::UserId user, std::string last_value) = 0;
    /// Counted: as many ends as beginnings.
    virtual void watch(base::UserId user, bool begins) = 0;
    /// The leases of other processes, for each user in order; nothing where Redis did not answer.
    virtual asio::awaitable<std::vector<std::optional<std::vector<Lease>>>> read(
        std::vector<base::UserId> users) = 0;
    /// Grows when changes may have been missed: what is watched should be read again.
    virtual std::uint64_t interruptions() const noexcept = 0;
};

}  // namespace supd::nodes
