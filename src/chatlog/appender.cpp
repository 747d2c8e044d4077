#include "appender.hpp"

#include "store.hpp"

#include <algorithm>

namespace supd::chatlog {
namespace {

constexpr const char* kUniqueViolation = "23505";

}  // namespace

asio::awaitable<Appender::Result> Appender::append(std::span<const Draft* const> drafts, bool again) {
    using State = db::AsyncResult::State;
    Result out;
    const bool plain =
        !again && std::ranges::none_of(drafts, [](const Draft* d) { return d->reply_to.has_value(); });
    if (plain) {
        const auto result = co_await append_fresh(drafts);
        out.lost = result.state == State::lost;
        if (result.state == State::ok)
            out.receipts = drafts.size() == 1 ? SingleRow::read(result) : arrays_.read_fresh(result);
        // Left alone (a sender who may not) or refused for a known id, the batch is judged row by row.
        const bool to_judge =
            !out.receipts && (result.state == State::ok || result.sqlstate == kUniqueViolation);
        if (!to_judge) co_return out;
    }
    arrays_.fill(drafts);
    const auto params = arrays_.judged();
    const auto result = co_await connection_.exec(store::kAppendMessages, params);
    out.lost = result.state == State::lost;
    if (result.state == State::ok) out.receipts = arrays_.read_judged(result);
    co_return out;
}

asio::awaitable<db::AsyncResult> Appender::append_fresh(std::span<const Draft* const> drafts) {
    if (drafts.size() == 1) {
        single_.fill(*drafts.front());
        co_return co_await connection_.exec(store::kAppendOne, single_.params());
    }
    arrays_.fill(drafts);
    const auto params = arrays_.fresh();
    co_return co_await connection_.exec(store::kAppendFresh, params);
}

}  // namespace supd::chatlog
