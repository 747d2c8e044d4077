#include <supd/messages/restore.hpp>

namespace supd::messages {
namespace {

constexpr db::Statement kMessages{
    "messages_erase_again",
    "update messages m set text = null, extra = null, reply_to = null, edited_at = null, expires_at = null, "
    "digest = '', deleted_at = date_trunc('milliseconds', l.deleted_at) from deletion_ledger l "
    "where l.kind = 'message' and l.id = m.id and m.deleted_at is null"};

constexpr db::Statement kEdits{"messages_erase_edits_again",
                               "delete from message_edits e using deletion_ledger l "
                               "where l.kind = 'message' and l.id = e.message_id"};

constexpr db::Statement kReactions{"messages_erase_reactions_again",
                                   "delete from message_reactions r using deletion_ledger l "
                                   "where l.kind = 'message' and l.id = r.message_id"};

constexpr db::Statement kChanges{
    "messages_erase_changes_again",
    "update chat_changes c set data = json_build_object('id', data->'id', 'text', null, 'edited_at', "
    "data->'edited_at', 'sender_id', data->'sender_id'), digest = null from deletion_ledger l "
    "where l.kind = 'message' and l.id = c.message_id and c.kind = 'message_edited' "
    "and c.data->>'text' is not null"};

}  // namespace

void erase_again(db::Transaction& tx) {
    for (const auto& statement : {kMessages, kEdits, kReactions, kChanges})
        tx.exec(statement);
}

}  // namespace supd::messages
