// A batch of drafts as the arrays that the append functions take, and their answers as receipts. One lane's
// thread.
#pragma once

#include <supd/chatlog/writer.hpp>
#include <supd/db/async_connection.hpp>

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace supd::chatlog {

class BatchArrays {
public:
    /// The drafts must differ in id. Forgets the batch before.
    void fill(std::span<const Draft* const> drafts);

    /// Parameters of append_fresh and append_messages. Valid until the next fill().
    std::vector<db::Param> fresh() const { return params(fresh_); }
    std::vector<db::Param> judged() const { return params(judged_); }

    /// One receipt per draft; nothing when append_fresh has left the batch to append_messages.
    std::optional<std::vector<Receipt>> read_fresh(const db::AsyncResult& result) const;
    /// Nothing when the answer is not one row per draft.
    std::optional<std::vector<Receipt>> read_judged(const db::AsyncResult& result) const;

private:
    struct Place {
        std::size_t group;   ///< from 0: the chat
        std::int32_t place;  ///< from 1: among the chat's rows
    };
    using Array = db::ArrayParam;

    static std::vector<db::Param> params(const std::vector<Array*>& arrays);
    std::size_t group_of(ChatId chat);

    std::vector<Place> places_;
    std::vector<std::int32_t> group_rows_;
    std::unordered_map<ChatId, std::size_t> groups_;
    std::vector<std::int64_t> lock_keys_;
    Array locks_array_{Array::Type::int8}, group_chats_array_{Array::Type::uuid},
        group_rows_array_{Array::Type::int4}, groups_array_{Array::Type::int4},
        places_array_{Array::Type::int4}, chats_{Array::Type::uuid}, ids_{Array::Type::uuid},
        senders_{Array::Type::uuid}, devices_{Array::Type::uuid}, types_{Array::Type::text},
        texts_{Array::Type::text}, replies_{Array::Type::uuid}, extras_{Array::Type::text},
        digests_{Array::Type::bytea}, expires_{Array::Type::int4};
    const std::vector<Array*> judged_{&locks_array_, &chats_,   &ids_,    &senders_, &devices_, &types_,
                                      &texts_,       &replies_, &extras_, &digests_, &expires_};
    const std::vector<Array*> fresh_{&locks_array_,
                                     &group_chats_array_,
                                     &group_rows_array_,
                                     &groups_array_,
                                     &places_array_,
                                     &chats_,
                                     &ids_,
                                     &senders_,
                                     &devices_,
                                     &types_,
                                     &texts_,
                                     &extras_,
                                     &digests_,
                                     &expires_};
};

}  // namespace supd::chatlog
