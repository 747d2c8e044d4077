#include "requests.hpp"

#include <supd/chats/limits.hpp>
#include <supd/http/query.hpp>

#include <nlohmann/json.hpp>

namespace supd::chats {

Act act_of(const http::Request& request, std::optional<ChangeId> change) {
    Act act;
    act.actor = request.caller().user;
    act.chat = request.path_id<ChatId>("id");
    act.change = change.value_or(ChangeId::make());
    return act;
}

NewChat read_new_chat(const base::Json& body) {
    base::ObjectReader reader(body);
    NewChat chat;
    const auto type = reader.text("type", {.min = 1, .max = 16});
    if (const auto known = type_named(type))
        chat.type = *known;
    else if (!type.empty())
        reader.fail("type", "bad_format", "One of direct, group, channel.");
    chat.title = reader.maybe_text("title", {.min = 1, .max = kMaxTitleBytes});
    chat.members = reader.ids<UserId>("member_ids", kMaxMembers);
    chat.id = reader.maybe_id<ChatId>("id").value_or(ChatId::make());
    const auto encryption = reader.maybe_text("encryption", {.min = 1, .max = 32}).value_or("none");
    const auto* context = reader.raw("context");
    if (context) {
        base::ObjectReader inner(*context, "context");
        chat.context_type = inner.text("type", {.min = 1, .max = kMaxContextTypeBytes});
        chat.context_id = inner.text("id", {.min = 1, .max = kMaxContextIdBytes});
        inner.finish();
    }
    reader.finish();
    if (chat.id.is_nil()) throw base::invalid("id", "nil", "The nil UUID is no id.");
    if (encryption != "none")
        throw base::invalid("encryption", "unsupported", "This server does not keep encrypted chats yet.");
    if (chat.type == Type::direct && chat.title)
        throw base::invalid("title", "direct_chat", "A direct chat has no title of its own.");
    return chat;
}

std::optional<UserId> query_user_cursor(const http::Request& request) {
    const auto text = request.query_value("cursor");
    if (!text) return std::nullopt;
    const auto id = UserId::parse(*text);
    if (!id) throw http::cursor_error();
    return id;
}

std::size_t query_limit(const http::Request& request) {
    return static_cast<std::size_t>(request.query_integer("limit", static_cast<std::int64_t>(kDefaultPage), 1,
                                                          static_cast<std::int64_t>(kMaxPage)));
}

}  // namespace supd::chats
