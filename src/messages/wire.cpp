#include "wire.hpp"

#include <supd/base/hex.hpp>
#include <supd/base/json_text.hpp>
#include <supd/http/limits.hpp>

#include <algorithm>
#include <charconv>
#include <span>

namespace supd::messages {
namespace {

template <class IdType>
void append_id(std::string& out, std::string_view before, const IdType& id) {
    out += before;
    out += '"';
    id.append_to(out);
    out += '"';
}

void append_at(std::string& out, std::string_view before, Millis at) {
    out += before;
    out += '"';
    base::append_time(out, at);
    out += '"';
}

std::string cursor_of(const Reaction& reaction) {
    return reaction.user.text() + "_" + base::hex(std::as_bytes(std::span(reaction.emoji)));
}

}  // namespace

std::string message_json(const Item& item) {
    std::string out;
    chatlog::append_message_json(out, item.message, item.reactions);
    return out;
}

std::string page_json(const Page& page) {
    const auto& items = page.items;
    std::vector<std::string> texts(items.size());
    std::size_t first = page.from, last = page.from, bytes = 0;
    const auto add = [&](std::size_t index) {
        texts[index] = message_json(items[index]);
        bytes += texts[index].size();
    };
    // Older and newer in turn, so that what does not fit is what is farthest away.
    while (bytes < http::kPageBytes && (first > 0 || last < items.size())) {
        if (first > 0) add(--first);
        if (last < items.size() && bytes < http::kPageBytes) add(last++);
    }
    std::string out = "{\"items\":[";
    out.reserve(bytes + items.size() + 32);
    for (auto at = first; at < last; ++at) {
        if (at > first) out += ',';
        out += texts[at];
    }
    const bool more = page.has_more || first > 0 || last < items.size();
    out += more ? "],\"has_more\":true}" : "],\"has_more\":false}";
    return out;
}

std::string edits_json(const std::vector<Edit>& edits, std::size_t limit) {
    std::string out = "{\"items\":[";
    std::size_t shown = 0;
    for (; shown < std::min(limit, edits.size()) && out.size() < http::kPageBytes; ++shown) {
        if (shown) out += ',';
        out += "{\"text\":";
        base::append_json_string(out, edits[shown].text);
        append_at(out, ",\"replaced_at\":", edits[shown].replaced_at);
        out += '}';
    }
    out += "],\"next_cursor\":";
    out += shown < edits.size() ? '"' + std::to_string(edits[shown - 1].seq) + '"' : "null";
    return out + "}";
}

std::string reactions_json(const std::vector<Reaction>& reactions, std::size_t limit) {
    std::string out = "{\"items\":[";
    const auto shown = std::min(limit, reactions.size());
    for (std::size_t i = 0; i < shown; ++i) {
        if (i) out += ',';
        append_id(out, "{\"user_id\":", reactions[i].user);
        out += ",\"emoji\":";
        base::append_json_string(out, reactions[i].emoji);
        append_at(out, ",\"created_at\":", reactions[i].at);
        out += '}';
    }
    out += "],\"next_cursor\":";
    out += reactions.size() > limit ? '"' + cursor_of(reactions[shown - 1]) + '"' : "null";
    return out + "}";
}

std::string counts_json(MessageId message, const std::vector<chatlog::ReactionCount>& reactions) {
    std::string out;
    append_id(out, "{\"message_id\":", message);
    out += ",\"reactions\":[";
    for (const auto& reaction : reactions) {
        if (out.back() != '[') out += ',';
        out += "{\"emoji\":";
        base::append_json_string(out, reaction.emoji);
        out += ",\"count\":" + std::to_string(reaction.count) +
               (reaction.me ? ",\"me\":true}" : ",\"me\":false}");
    }
    return out + "]}";
}

std::string ack_json(const base::Uuid& id, ChatId chat, std::int64_t seq, Millis created_at) {
    constexpr std::size_t kRoom = 192;
    std::string out;
    out.reserve(kRoom);
    base::MessageId named;
    named.bytes = id;
    append_id(out, "{\"id\":", named);
    append_id(out, ",\"chat_id\":", chat);
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, seq).ptr;
    out += ",\"seq\":";
    out.append(digits, end);
    append_at(out, ",\"created_at\":", created_at);
    out += '}';
    return out;
}

std::optional<std::int64_t> edit_cursor(std::string_view text) {
    std::int64_t seq = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seq);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return seq;
}

std::optional<Reaction> reaction_cursor(std::string_view text) {
    if (text.size() < base::kUuidText + 1 || text[base::kUuidText] != '_' || text.size() % 2 == 0)
        return std::nullopt;
    const auto user = UserId::parse(text.substr(0, base::kUuidText));
    if (!user) return std::nullopt;
    Reaction out;
    out.user = *user;
    for (auto at = base::kUuidText + 1; at < text.size(); at += 2) {
        unsigned byte = 0;
        const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 2, byte, 16);
        if (error != std::errc{} || end != text.data() + at + 2) return std::nullopt;
        out.emoji += static_cast<char>(byte);
    }
    if (!base::is_utf8(out.emoji) || out.emoji.find('\0') != std::string::npos) return std::nullopt;
    return out;
}

std::string edited_data(MessageId message, UserId sender, std::optional<std::string_view> text, Millis at) {
    std::string out;
    append_id(out, "{\"id\":", message);
    out += ",\"text\":";
    if (text)
        base::append_json_string(out, *text);
    else
        out += "null";
    append_at(out, ",\"edited_at\":", at);
    append_id(out, ",\"sender_id\":", sender);
    return out + "}";
}

std::string deleted_data(MessageId message, const std::optional<UserId>& actor, Millis at) {
    std::string out;
    append_id(out, "{\"id\":", message);
    append_at(out, ",\"deleted_at\":", at);
    if (actor)
        append_id(out, ",\"deleted_by\":", *actor);
    else
        out += ",\"deleted_by\":null";
    return out + "}";
}

std::string reaction_data(MessageId message, UserId user, std::string_view emoji, std::int64_t count) {
    std::string out;
    append_id(out, "{\"message_id\":", message);
    append_id(out, ",\"user_id\":", user);
    out += ",\"emoji\":";
    base::append_json_string(out, emoji);
    return out + ",\"count\":" + std::to_string(count) + "}";
}

}  // namespace supd::messages
