#include "store.hpp"

#include <supd/base/log.hpp>
#include <supd/chatlog/reader.hpp>

#include <algorithm>
#include <limits>
#include <typeinfo>

namespace supd::chatlog {
namespace {

Cursor cursor_of(const store::Stream& stream) {
    Cursor out;
    out.epoch = base::parse_uuid(stream.epoch).value();
    out.w = stream.w;
    return out;
}

}  // namespace

asio::awaitable<std::optional<Missed>> Reader::missed(UserId user, std::optional<Cursor> cursor) {
    auto look = [&](db::Transaction& tx) -> std::optional<Missed> {
        const auto stream = store::stream_now(tx);
        Missed out;
        out.now = cursor_of(stream);
        if (cursor && (cursor->epoch != out.now.epoch || cursor->w < stream.horizon || cursor->w > stream.w))
            return std::nullopt;
        out.chats = store::joined_heads(tx, user);
        if (!cursor) return out;
        for (const auto& range : store::missed(tx, user, cursor->w))
            out.ranges.push_back({range.chat, range.after, range.upto});
        return out;
    };
    co_return co_await database_.transact(db::Access::snapshot, std::ref(look));
}

asio::awaitable<std::vector<ws::ChatEvent>> Reader::next_entries(UserId user, std::span<Missed::Range> ranges,
                                                                 std::size_t limit) {
    const auto some = std::min(ranges.size(), kPageRanges);
    std::vector<Missed::Range> left(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(some));
    std::vector<ws::ChatEvent> out;
    // One transaction: a device that was away has missed a little in many chats.
    auto look = [&](db::Transaction& tx) {
        std::size_t bytes = 0;
        std::optional<UserId> reader;  // most have hidden nothing
        if (hides_any(tx, user)) reader = user;
        for (auto& range : left) {
            if (out.size() >= limit || bytes >= kPageBytes) return;
            if (range.empty()) continue;
            const auto most = std::min(limit - out.size(), kPageEntries);
            auto page = store::entries(tx, range.chat, range.after, range.upto, most, reader);
            range.after = page.more ? page.events.back().seq : range.upto;
            for (auto& event : page.events) {
                bytes += event.frame->json().size();
                out.push_back(std::move(event));
            }
            if (page.more) return;
        }
    };
    co_await database_.transact(db::Access::snapshot, std::ref(look));
    std::ranges::copy(left, ranges.begin());
    co_return out;
}

asio::awaitable<ws::LogSource::Page> Reader::read(base::ChatId chat, std::int64_t after) {
    auto look = [=](db::Transaction& tx) {
        return store::entries(tx, chat, after, std::numeric_limits<std::int64_t>::max(), kPageEntries);
    };
    co_return co_await database_.transact(db::Access::snapshot, look);
}

asio::awaitable<std::vector<std::vector<std::string>>> Reader::marks(std::vector<MarksOf> users) {
    auto look = [&](db::Transaction& tx) { return store::missed_marks(tx, users); };
    co_return co_await database_.transact(db::Access::snapshot, std::ref(look));
}

asio::awaitable<std::vector<std::string>> Reader::marks(UserId user, std::uint64_t since_w) {
    std::vector<MarksOf> one(1, MarksOf{user, since_w});
    auto all = co_await marks(std::move(one));
    co_return std::move(all.front());
}

asio::awaitable<std::vector<ws::Mark>> Reader::marks_of(std::vector<ws::MarkOwner> owners,
                                                        std::uint64_t since_w) {
    auto look = [&](db::Transaction& tx) { return store::marks_of(tx, owners, since_w); };
    co_return co_await database_.transact(db::Access::snapshot, std::ref(look));
}

asio::awaitable<ws::LogSource::Sweep> Reader::sweep(std::uint64_t since_w, std::vector<base::ChatId> chats,
                                                    std::vector<base::UserId> users) {
    auto look = [&](db::Transaction& tx) {
        const auto stream = store::stream_now(tx);
        Sweep out;
        out.w = stream.w;
        out.cursor = cursor_of(stream).encode();
        if (!chats.empty() || !users.empty()) out.heads = store::moved_heads(tx, chats, users, since_w);
        // Without a first W every old membership would look new; sessions bring theirs with their snapshot.
        if (!users.empty() && since_w > 0) out.joined = store::new_joins(tx, users, since_w);
        std::vector<ws::MarkOwner> owners;
        for (const auto& chat : chats)
            owners.push_back({chat.bytes});
        for (const auto& user : users)
            owners.push_back({user.bytes});
        if (since_w > 0) out.marks = store::mark_heads(tx, owners, since_w);
        return out;
    };
    co_return co_await database_.transact(db::Access::snapshot, std::ref(look));
}

asio::awaitable<base::Uuid> Reader::check_origin() {
    try {
        const bool another = co_await database_.transact(store::adopt_origin);
        if (another) base::log::warn("stream_epoch_changed", {{"reason", "another server or timeline"}});
    } catch (const std::exception& error) {
        base::log::warn("stream_origin_unknown", {{"kind", typeid(error).name()}});
    }
    const auto stream = co_await database_.transact(store::stream_now);
    co_return cursor_of(stream).epoch;
}

void Reader::prune(db::Transaction& tx, int keep_days) {
    store::mark_and_prune(tx, keep_days);
}

asio::awaitable<double> Reader::w_age() {
    auto look = [](db::Transaction& tx) { return store::w_age(tx); };
    co_return co_await database_.transact(db::Access::read_only, look);
}

}  // namespace supd::chatlog
