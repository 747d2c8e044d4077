#include "draft.hpp"

#include <supd/base/error.hpp>

namespace supd::chatlog {

std::size_t weight(const Draft& draft) {
    return 200 + (draft.text ? draft.text->size() : 0) + draft.extra.size();
}

Outcome outcome_of(std::int64_t code) {
    switch (code) {
        case 0:
            return Outcome::stored;
        case 1:
            return Outcome::repeated;
        case 2:
            return Outcome::id_reused;
        case 3:
            return Outcome::not_found;
        case 4:
            return Outcome::forbidden;
        case 5:
            return Outcome::bad_reply;
        default:
            return Outcome::unknown;
    }
}

ws::ChatEvent event_of(const Draft& draft, const Receipt& receipt) {
    Message m;
    m.id = draft.id;
    m.chat = draft.chat;
    m.seq = receipt.seq;
    m.sender = draft.sender;
    m.sender_device = draft.sender_device;
    m.type = draft.type;
    m.text = draft.text;
    m.reply_to = draft.reply_to;
    m.extra = draft.extra;
    m.created_at = receipt.created_at;
    if (draft.expires_in_s) m.expires_at = receipt.created_at + 1000 * std::int64_t{*draft.expires_in_s};
    std::string json;
    json.reserve(700 + (m.text ? m.text->size() : 0));
    json += R"({"type":"message","chat_id":")";
    m.chat.append_to(json);
    json += R"(","seq":)";
    json += std::to_string(m.seq);
    json += R"(,"data":)";
    append_message_json(json, m);
    json += '}';
    ws::ChatEvent event;
    event.chat = draft.chat;
    event.seq = receipt.seq;
    event.frame = ws::make_frame(json);
    event.skip = draft.socket;
    return event;
}

void throw_unless_stored(const Receipt& receipt) {
    switch (receipt.outcome) {
        case Outcome::stored:
        case Outcome::repeated:
            return;
        case Outcome::id_reused:
            throw base::conflict("id_reused", "This message id was used for another message.");
        case Outcome::not_found:
            throw base::not_found();
        case Outcome::forbidden:
            throw base::forbidden("This chat takes no messages from you.");
        case Outcome::bad_reply:
            throw base::invalid("reply_to", "bad_reply", "The message replied to is not in this chat.");
        case Outcome::overloaded:
            throw base::unavailable("overloaded", "The server is busy.");
        case Outcome::unknown:
            break;
    }
    throw base::unavailable(
        "commit_unknown", "It is not known whether the message was stored; send it again with the same id.");
}

void end_span(trace::Span span, Outcome outcome, std::size_t rows) {
    if (!span) return;
    span.set("db.system.name", "postgresql");
    if (rows > 0) span.set("db.operation.batch.size", static_cast<std::int64_t>(rows));
    if (outcome == Outcome::unknown) span.fail("commit_unknown");
    if (outcome == Outcome::overloaded) span.fail("overloaded");
}

}  // namespace supd::chatlog
