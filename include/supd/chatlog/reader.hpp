// Reading the log behind cursors and gaps. Coroutines on io threads; the SQL runs on the db pool.
#pragma once

#include <supd/chatlog/cursor.hpp>
#include <supd/chatlog/log.hpp>
#include <supd/db/database.hpp>
#include <supd/ws/hub.hpp>

#include <optional>
#include <span>
#include <vector>

namespace supd::chatlog {

/// A page of entries on its way to one client.
inline constexpr std::size_t kPageEntries = 200;
inline constexpr std::size_t kPageBytes = 1 << 20;
/// Chats that one such page is read from.
inline constexpr std::size_t kPageRanges = 50;

/// In larger chats a mark is told only to its own user's devices: everybody telling everybody grows with the
/// square. Who wants to know asks GET /chats/:id/reads.
inline constexpr std::size_t kMaxMarkMembers = 100;
/// Members whose marks one resume brings; who wants more asks as above.
inline constexpr std::size_t kMaxMarks = 5000;

/// What a cursor has missed, as of one snapshot.
struct Missed {
    Cursor now;  ///< resumes from this snapshot
    /// Joined chats, and ws::own_log() of the user, with the last seq of the snapshot.
    std::vector<ws::LogSource::Head> chats;
    struct Range {
        ChatId chat;
        std::int64_t after = 0;
        std::int64_t upto = 0;
        bool empty() const noexcept { return after >= upto; }
    };
    std::vector<Range> ranges;  ///< by chat id; empty without a cursor
};

class Reader final : public ws::LogSource {
public:
    explicit Reader(db::Database& database) : database_(database) {}

    /// nullopt: the cursor is too old, or from before a restore (the client starts over with a snapshot).
    asio::awaitable<std::optional<Missed>> missed(UserId user, std::optional<Cursor> cursor);
    /// The next entries of the first kPageRanges of these, chat by chat and ascending: a page of at most
    /// `limit` and about kPageBytes. What was read is taken off the ranges, which must outlive the call. What
    /// the user has hidden looks deleted.
    asio::awaitable<std::vector<ws::ChatEvent>> next_entries(UserId user, std::span<Missed::Range> ranges,
                                                             std::size_t limit = kPageEntries);
    /// For all who hear of the chat together: what one of them hid in this very moment stands in it.
    asio::awaitable<Page> read(base::ChatId chat, std::int64_t after) override;
    asio::awaitable<std::vector<std::vector<std::string>>> marks(std::vector<MarksOf> users) override;
    /// The same for one.
    asio::awaitable<std::vector<std::string>> marks(UserId user, std::uint64_t since_w);
    asio::awaitable<std::vector<ws::Mark>> marks_of(std::vector<ws::MarkOwner> owners,
                                                    std::uint64_t since_w) override;
    asio::awaitable<Sweep> sweep(std::uint64_t since_w, std::vector<base::ChatId> chats,
                                 std::vector<base::UserId> users) override;

    /// At the start: when this is another PostgreSQL than before (a restore, a promoted replica), transaction
    /// ids have lost their meaning, so every cursor is refused from now on. A server that does not tell which
    /// one it is (missing rights) is taken for the same. Returns the stream's epoch.
    asio::awaitable<base::Uuid> check_origin();
    /// For the job queue: moves the horizon of old cursors.
    static void prune(db::Transaction& tx, int keep_days);
    /// Age of the oldest transaction that holds W back, in seconds (a gauge and an alert).
    asio::awaitable<double> w_age();

private:
    db::Database& database_;
};

}  // namespace supd::chatlog
