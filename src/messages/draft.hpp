// What a client may send as a message, read once for REST and WebSocket. The hottest parser of the product:
// it walks the fields once and allocates only what it keeps.
#pragma once

#include <supd/base/json.hpp>
#include <supd/chatlog/writer.hpp>
#include <supd/http/message.hpp>

namespace supd::messages {

/// Throws Error 400 `invalid_request` or `unknown_field` with all faults, 422 for what is well-formed but not
/// accepted. `session` is left nil.
chatlog::Draft read_draft(const base::Json& data, const http::Caller& caller);

/// The message that is stored for `draft`.
chatlog::Message message_of(chatlog::Draft draft, const chatlog::Receipt& receipt);

}  // namespace supd::messages
