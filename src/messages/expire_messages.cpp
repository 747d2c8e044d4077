#include "context.hpp"
#include "rules.hpp"

#include <supd/messages/limits.hpp>

namespace supd::messages {

/// One transaction per message, of its own: the chat's lock must come before the first write, and the
/// transaction of a job has written already.
asio::awaitable<void> expire_due(Context& context) {
    auto look = [](db::Transaction& tx) { return store::due(tx, kExpireBatch); };
    const auto due = co_await context.database.transact(db::Access::read_only, look);
    for (const auto& message : due) {
        auto work = [&](db::Transaction& tx) { return expire(tx, message); };
        auto done = co_await context.database.transact(work);
        context.hub.publish(std::move(done.events));
    }
}

}  // namespace supd::messages
