#include "wire.hpp"

#include <supd/base/json_text.hpp>
#include <supd/chats/limits.hpp>

#include <nlohmann/json.hpp>

#include <charconv>

namespace supd::chats {
namespace {

using base::append_json_string;
using base::append_time;
using nlohmann::json;

void append_text(std::string& out, const std::optional<std::string>& text) {
    if (text)
        append_json_string(out, *text);
    else
        out += "null";
}

template <class Id>
void append_id(std::string& out, const Id& id) {
    out += '"';
    id.append_to(out);
    out += '"';
}

void append_at(std::string& out, base::Millis at) {
    out += '"';
    append_time(out, at);
    out += '"';
}

const char* truth(bool value) {
    return value ? "true" : "false";
}

void append_permissions(std::string& out, const Chat& chat) {
    const bool open = chat.status == Status::active;
    const bool many = chat.type != Type::direct;
    const bool admin = many && chat.power >= kAdminPower;
    const bool owner = many && chat.power >= kOwnerPower;
    bool first = true;
    const auto add = [&](bool granted, std::string_view name) {
        if (!granted) return;
        out += first ? "\"" : ",\"";
        out += name;
        out += '"';
        first = false;
    };
    out += '[';
    add(true, "read");
    add(open && (chat.type != Type::channel || admin), "send");
    add(open, "react");
    add(admin && open, "edit_chat");
    add(admin && open, "add_members");
    add(admin, "remove_members");
    add(admin, "delete_messages");
    add(admin || !many, "change_status");
    add(owner, "change_roles");
    add(owner, "transfer");
    add(owner, "delete_chat");
    add(many, "leave");
    out += ']';
}

void append_settings(std::string& out, bool mute, bool pin, bool archive) {
    out += "{\"mute\":";
    out += truth(mute);
    out += ",\"pin\":";
    out += truth(pin);
    out += ",\"archive\":";
    out += truth(archive);
    out += '}';
}

void append_member(std::string& out, const Member& member) {
    out += "{\"user_id\":";
    append_id(out, member.user);
    out += ",\"username\":";
    append_json_string(out, member.username);
    out += ",\"display_name\":";
    append_json_string(out, member.display_name);
    out += ",\"role\":\"";
    out += role_name(member.power);
    out += "\",\"joined_at\":";
    append_at(out, member.joined_at);
    out += '}';
}

void append_marks(std::string& out, const Member& member) {
    out += "{\"user_id\":";
    append_id(out, member.user);
    out += ",\"read_seq\":" + std::to_string(member.read_seq);
    out += ",\"delivered_seq\":" + std::to_string(member.delivered_seq) + "}";
}

template <class Append>
std::string page_json(const std::vector<Member>& members, std::size_t limit, Append append) {
    std::string out = "{\"items\":[";
    const auto shown = std::min(limit, members.size());
    for (std::size_t i = 0; i < shown; ++i) {
        if (i) out += ',';
        append(out, members[i]);
    }
    out += "],\"next_cursor\":";
    if (members.size() > limit)
        append_id(out, members[shown - 1].user);
    else
        out += "null";
    out += '}';
    return out;
}

}  // namespace

void append_chat_json(std::string& out, const Chat& chat) {
    out += "{\"id\":";
    append_id(out, chat.id);
    out += ",\"type\":\"";
    out += name_of(chat.type);
    out += "\",\"title\":";
    append_text(out, chat.title);
    out += ",\"context\":";
    if (chat.context_type) {
        out += "{\"type\":";
        append_json_string(out, *chat.context_type);
        out += ",\"id\":";
        append_text(out, chat.context_id);
        out += '}';
    } else {
        out += "null";
    }
    out += ",\"status\":\"";
    out += name_of(chat.status);
    out += "\",\"encryption\":";
    append_json_string(out, chat.encryption);
    out += ",\"peer_id\":";
    if (chat.peer)
        append_id(out, *chat.peer);
    else
        out += "null";
    out += ",\"last_seq\":" + std::to_string(chat.last_seq);
    out += ",\"last_message\":";
    if (chat.last_message)
        chatlog::append_message_json(out, *chat.last_message, chat.last_reactions);
    else
        out += "null";
    out += ",\"unread_count\":" + std::to_string(chat.unread);
    out += ",\"read_seq\":" + std::to_string(chat.read_seq);
    out += ",\"delivered_seq\":" + std::to_string(chat.delivered_seq);
    out += ",\"my_role\":\"";
    out += role_name(chat.power);
    out += "\",\"permissions\":";
    append_permissions(out, chat);
    out += ",\"member_count\":" + std::to_string(chat.member_count);
    out += ",\"settings\":";
    append_settings(out, chat.mute, chat.pin, chat.archive);
    out += ",\"created_at\":";
    append_at(out, chat.created_at);
    out += ",\"last_message_at\":";
    if (chat.last_message)
        append_at(out, chat.last_message->created_at);
    else
        out += "null";
    out += '}';
}

std::string chat_json(const Chat& chat) {
    std::string out;
    append_chat_json(out, chat);
    return out;
}

std::string members_json(const std::vector<Member>& members, std::size_t limit) {
    return page_json(members, limit, append_member);
}

std::string member_json(const Member& member) {
    std::string out;
    append_member(out, member);
    return out;
}

std::string reads_json(const std::vector<Member>& members, std::size_t limit) {
    return page_json(members, limit, append_marks);
}

std::string settings_json(const OwnSettings& settings) {
    std::string out;
    append_settings(out, settings.mute.value_or(false), settings.pin.value_or(false),
                    settings.archive.value_or(false));
    return out;
}

std::string settings_data(ChatId chat, const OwnSettings& settings) {
    return R"({"chat_id":")" + chat.text() + R"(","settings":)" + settings_json(settings) + "}";
}

std::string ListCursor::text() const {
    return std::to_string(activity_us) + "_" + chat.text();
}

std::optional<ListCursor> ListCursor::parse(std::string_view text) {
    const auto at = text.find('_');
    if (at == std::string_view::npos) return std::nullopt;
    ListCursor out;
    const auto [end, error] = std::from_chars(text.data(), text.data() + at, out.activity_us);
    const auto chat = base::ChatId::parse(text.substr(at + 1));
    if (error != std::errc{} || end != text.data() + at || !chat) return std::nullopt;
    out.chat = *chat;
    return out;
}

std::string created_data(const NewChat& chat, UserId creator, int owner_power) {
    json out = {{"id", chat.id.text()},
                {"type", name_of(chat.type)},
                {"title", nullptr},
                {"context", nullptr},
                {"status", name_of(Status::active)},
                {"encryption", chat.encryption},
                {"member_count", chat.members.size()},
                {"created_by", creator.text()}};
    if (chat.title) out["title"] = *chat.title;
    if (chat.context_type) out["context"] = {{"type", *chat.context_type}, {"id", *chat.context_id}};
    if (chat.members.size() <= kMaxMembersInEvent) {
        auto members = json::array();
        for (const auto& user : chat.members)
            members.push_back(
                {{"user_id", user.text()}, {"role", role_name(user == creator ? owner_power : 0)}});
        out["members"] = std::move(members);
    }
    return out.dump();
}

std::string updated_data(ChatId chat, const Header& header, UserId actor) {
    json out = {{"id", chat.text()},
                {"title", nullptr},
                {"status", name_of(header.status)},
                {"actor_id", actor.text()}};
    if (header.title) out["title"] = *header.title;
    return out.dump();
}

std::string deleted_data(ChatId chat, UserId actor) {
    return json{{"id", chat.text()}, {"actor_id", actor.text()}}.dump();
}

std::string added_data(const std::vector<UserId>& users, UserId actor) {
    auto ids = json::array();
    for (const auto& user : users)
        ids.push_back(user.text());
    return json{{"user_ids", std::move(ids)}, {"role", role_name(kMemberPower)}, {"actor_id", actor.text()}}
        .dump();
}

std::string removed_data(UserId user, bool left, UserId actor) {
    return json{{"user_id", user.text()}, {"reason", left ? "left" : "removed"}, {"actor_id", actor.text()}}
        .dump();
}

std::string role_data(UserId user, int power, UserId actor) {
    return json{{"user_id", user.text()}, {"role", role_name(power)}, {"actor_id", actor.text()}}.dump();
}

}  // namespace supd::chats
