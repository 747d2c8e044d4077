// One batch into the log, by the cheapest of the append functions that takes it: append_one for a message
// alone, append_fresh for several, append_messages when an id may be known, a sender may not, or something is
// replied to. One lane's thread.
#pragma once

#include "batch_arrays.hpp"
#include "single_row.hpp"

#include <span>

namespace supd::chatlog {

class Appender {
public:
    /// The connection must outlive this.
    explicit Appender(db::AsyncConnection& connection) : connection_(connection) {}

    struct Result {
        bool lost = false;  ///< the connection broke: whether the batch was committed is unknown
        /// One per draft, committed. Nothing: lost, or PostgreSQL has refused the batch and kept none of it.
        std::optional<std::vector<Receipt>> receipts;
    };
    /// The drafts differ in id and stay until it returns. `again`: the batch may be there already.
    asio::awaitable<Result> append(std::span<const Draft* const> drafts, bool again);

private:
    asio::awaitable<db::AsyncResult> append_fresh(std::span<const Draft* const> drafts);

    db::AsyncConnection& connection_;
    BatchArrays arrays_;
    SingleRow single_;
};

}  // namespace supd::chatlog
