// What the operations of chats read from requests.
#pragma once

#include "rules.hpp"

#include <supd/base/json.hpp>
#include <supd/http/message.hpp>

namespace supd::chats {

/// A field or query parameter `change_id`, or a new id when the client did not name one.
inline ChangeId change_id_of(base::ObjectReader& reader) {
    return reader.maybe_id<ChangeId>("change_id").value_or(ChangeId::make());
}
ChangeId query_change_id(const http::Request& request);

NewChat read_new_chat(const base::Json& body);
/// The `cursor` of a list of people; 400 `invalid_cursor`.
std::optional<UserId> query_user_cursor(const http::Request& request);
std::size_t query_limit(const http::Request& request);

}  // namespace supd::chats
