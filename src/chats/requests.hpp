// What the operations of chats read from requests.
#pragma once

#include "rules.hpp"

#include <supd/base/json.hpp>
#include <supd/http/message.hpp>

namespace supd::chats {

/// The caller and the chat of the path; without a `change` of the client's a new id.
Act act_of(const http::Request& request, std::optional<ChangeId> change);

NewChat read_new_chat(const base::Json& body);
/// The `cursor` of a list of people; 400 `invalid_cursor`.
std::optional<UserId> query_user_cursor(const http::Request& request);
std::size_t query_limit(const http::Request& request);

}  // namespace supd::chats
