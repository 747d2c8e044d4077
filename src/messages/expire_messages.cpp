#include "context.hpp"
#include "rules.hpp"

#include <supd/messages/limits.hpp>

namespace supd::messages {

/// One transaction per message, of its own: the chat's lock must come before the first write, and the
/// transaction of a job has written already.
asio::awaitable<void> expire_due(Context& context) {
    for (;;) {
        auto look = [](db::Transaction& tx) { return store::due(tx, kExpireBatch); };
        const auto due = co_await context.database.transact(db::Access::read_only, look);
        for (const auto& message : due) {
            auto rule = [&](db::Transaction& tx) { return expire(tx, message); };
            co_await change(context, rule);
        }
        if (due.size() < static_cast<std::size_t>(kExpireBatch)) co_return;
    }
}

}  // namespace supd::messages
