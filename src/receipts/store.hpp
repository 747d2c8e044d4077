// All SQL of receipts. db thread.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/ids.hpp>
#include <supd/db/transaction.hpp>
#include <supd/ws/hub.hpp>

#include <cstdint>
#include <vector>

namespace supd::receipts {

using base::ChatId;
using base::UserId;

/// A wish: seqs of 0 say nothing.
struct Mark {
    ChatId chat;
    UserId user;
    std::int64_t read = 0;
    std::int64_t delivered = 0;
};

/// What has become of it.
struct Moved {
    Mark mark;  ///< as stored now
    bool read = false;
    bool delivered = false;
    std::int64_t member_count = 0;
    /// By whom the mark is counted, and that one's version after this transaction.
    ws::MarkOwner owner;
    std::int64_t version = 0;
    base::Millis at = 0;
};

namespace store {

/// Moves marks forward, for joined members, up to the chat's last seq; returns those that moved,
/// ordered by owner. One mark per
/// chat and user, sorted, so that two processes do not lock rows in opposite orders.
std::vector<Moved> move(db::Transaction& tx, const std::vector<Mark>& marks);

}  // namespace store
}  // namespace supd::receipts
