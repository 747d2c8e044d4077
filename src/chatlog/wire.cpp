#include <supd/base/json_text.hpp>
#include <supd/chatlog/log.hpp>

#include <nlohmann/json.hpp>

#include <utility>

namespace supd::chatlog {
namespace {

void append_id(std::string& out, const auto& id) {
    out += '"';
    id.append_to(out);
    out += '"';
}

void append_maybe_time(std::string& out, const std::optional<base::Millis>& at) {
    if (!at) {
        out += "null";
        return;
    }
    out += '"';
    base::append_time(out, *at);
    out += '"';
}

}  // namespace

std::string event_json(std::string_view kind, ChatId chat, std::int64_t seq, std::string_view data) {
    std::string out;
    out.reserve(data.size() + kind.size() + 100);
    out += R"({"type":")";
    out += kind;
    out += R"(","chat_id":")";
    chat.append_to(out);
    out += R"(","seq":)";
    out += std::to_string(seq);
    out += R"(,"data":)";
    out += data;
    out += '}';
    return out;
}

void append_message_json(std::string& out, const Message& m, const std::vector<ReactionCount>& reactions) {
    const bool gone = m.deleted_at.has_value();
    out += R"({"id":)";
    append_id(out, m.id);
    out += R"(,"chat_id":)";
    append_id(out, m.chat);
    out += R"(,"seq":)";
    out += std::to_string(m.seq);
    out += R"(,"sender_id":)";
    append_id(out, m.sender);
    out += R"(,"sender_device_id":)";
    append_id(out, m.sender_device);
    out += R"(,"type":)";
    base::append_json_string(out, m.type);
    out += R"(,"text":)";
    if (m.text && !gone)
        base::append_json_string(out, *m.text);
    else
        out += "null";
    if (gone || m.extra.empty()) {
        out += R"(,"attachments":[],"forwarded_from":null,"mentions":[],"metadata":{})";
    } else {
        const auto extra = nlohmann::json::parse(m.extra);
        out += R"(,"attachments":)" + extra.value("attachments", nlohmann::json::array()).dump();
        out += R"(,"forwarded_from":)" + extra.value("forwarded_from", nlohmann::json()).dump();
        out += R"(,"mentions":)" + extra.value("mentions", nlohmann::json::array()).dump();
        out += R"(,"metadata":)" + extra.value("metadata", nlohmann::json::object()).dump();
    }
    out += R"(,"reply_to":)";
    if (m.reply_to && !gone)
        append_id(out, *m.reply_to);
    else
        out += "null";
    out += R"(,"reactions":[)";
    bool first = true;
    for (const auto& reaction : reactions) {
        if (gone) break;
        if (!std::exchange(first, false)) out += ',';
        out += R"({"emoji":)";
        base::append_json_string(out, reaction.emoji);
        out += R"(,"count":)" + std::to_string(reaction.count) + R"(,"me":)" +
               (reaction.me ? "true}" : "false}");
    }
    out += R"(],"edited_at":)";
    append_maybe_time(out, m.edited_at);
    out += R"(,"deleted_at":)";
    append_maybe_time(out, m.deleted_at);
    out += R"(,"expires_at":)";
    append_maybe_time(out, m.expires_at);
    out += R"(,"created_at":)";
    append_maybe_time(out, m.created_at);
    out += '}';
}

}  // namespace supd::chatlog
