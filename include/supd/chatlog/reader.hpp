// Reading the log behind cursors and gaps. Coroutines on io threads; the SQL runs on the db pool.
#pragma once

#include <supd/chatlog/cursor.hpp>
#include <supd/chatlog/log.hpp>
#include <supd/db/database.hpp>
#include <supd/ws/hub.hpp>

#include <optional>
#include <vector>

namespace supd::chatlog {

/// What a cursor has missed, as of one snapshot.
struct Missed {
    Cursor now;                              ///< resumes from this snapshot
    std::vector<ws::LogSource::Head> chats;  ///< joined chats with the last seq of the snapshot
    struct Range {
        ChatId chat;
        std::int64_t after = 0;
        std::int64_t upto = 0;
    };
    std::vector<Range> ranges;       ///< by chat id; empty without a cursor
    std::vector<std::string> marks;  ///< event frames of read and delivered marks that moved (JSON)
};

class Reader final : public ws::LogSource {
public:
    explicit Reader(db::Database& database) : database_(database) {}

    /// nullopt: the cursor is too old, or from before a restore (the client starts over with a snapshot).
    asio::awaitable<std::optional<Missed>> missed(UserId user, std::optional<Cursor> cursor);
    /// Entries with after < seq <= upto, ascending, at most `limit`.
    asio::awaitable<std::vector<ws::ChatEvent>> entries(ChatId chat, std::int64_t after, std::int64_t upto,
                                                        std::size_t limit);

    asio::awaitable<std::vector<ws::ChatEvent>> read(base::ChatId chat, std::int64_t after,
                                                     std::size_t limit) override;
    asio::awaitable<Sweep> sweep(std::uint64_t since_w, std::vector<base::ChatId> chats,
                                 std::vector<base::UserId> users) override;

    /// For the job queue: moves the horizon of old cursors.
    static void prune(db::Transaction& tx, int keep_days);
    /// Age of the oldest transaction that holds W back, in seconds (a gauge and an alert).
    asio::awaitable<double> w_age();

private:
    db::Database& database_;
};

}  // namespace supd::chatlog
