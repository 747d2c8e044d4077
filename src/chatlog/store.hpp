// All SQL of the log. Functions are synchronous and take the transaction.
#pragma once

#include <supd/chatlog/log.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace supd::chatlog::store {

extern const db::Statement kAppendOne;
extern const db::Statement kAppendFresh;
extern const db::Statement kAppendMessages;

struct Stream {
    std::string epoch;  ///< UUID text
    std::uint64_t w = 0;
    std::uint64_t horizon = 0;
};
/// In a snapshot transaction: W belongs to the rows that the same transaction reads.
Stream stream_now(db::Transaction& tx);

/// Remembers which server this is; true when it was another one before: the stream has a new epoch then.
bool adopt_origin(db::Transaction& tx);

/// Chats that the user has joined and the user's own log, with the last seq of each.
std::vector<ws::LogSource::Head> joined_heads(db::Transaction& tx, UserId user);

/// The part of a chat's log, or of the user's own, that a cursor has missed: entries with after < seq <=
/// upto.
struct Range {
    ChatId chat;
    std::int64_t after = 0;
    std::int64_t upto = 0;
};
std::vector<Range> missed(db::Transaction& tx, UserId user, std::uint64_t since_w);

/// Read and delivered marks that moved since each user's cursor, of the user's own and of all in chats of up
/// to kMaxMarkMembers, as event frames.
std::vector<std::vector<std::string>> missed_marks(db::Transaction& tx,
                                                   const std::vector<ws::LogSource::MarksOf>& users);

/// Those owners whose marks moved since.
std::vector<ws::LogSource::MarkHead> mark_heads(db::Transaction& tx, const std::vector<ws::MarkOwner>& owners,
                                                std::uint64_t since_w);
/// The marks of these owners that moved since.
std::vector<ws::Mark> marks_of(db::Transaction& tx, const std::vector<ws::MarkOwner>& owners,
                               std::uint64_t since_w);

/// Seconds since the oldest transaction that holds W back began to write; 0 when there is none.
double w_age(db::Transaction& tx);

/// Log entries ready to be sent, ascending; the page ends after `limit` entries or kPageBytes. `chat` may be
/// ws::own_log() of a user. What `reader` has hidden looks deleted: without it the seqs would have a gap.
ws::LogSource::Page entries(db::Transaction& tx, ChatId chat, std::int64_t after, std::int64_t upto,
                            std::size_t limit, std::optional<UserId> reader = std::nullopt);

/// Those of the messages that the user has hidden, and when.
std::map<MessageId, base::Millis> hidden(db::Transaction& tx, UserId user,
                                         const std::vector<MessageId>& messages);

/// The same of a user's own log alone.
ws::LogSource::Page user_entries(db::Transaction& tx, UserId user, std::int64_t after, std::int64_t upto,
                                 std::size_t limit);

/// Of these chats and of the own logs of these users.
std::vector<ws::LogSource::Head> moved_heads(db::Transaction& tx, const std::vector<ChatId>& chats,
                                             const std::vector<UserId>& users, std::uint64_t since_w);
std::vector<ws::LogSource::Joined> new_joins(db::Transaction& tx, const std::vector<UserId>& users,
                                             std::uint64_t since_w);

/// Remembers which W it is now, and moves the horizon past marks older than `keep_days`.
void mark_and_prune(db::Transaction& tx, int keep_days);

}  // namespace supd::chatlog::store
