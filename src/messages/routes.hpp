// The table of contents of messages.
#pragma once

#include "context.hpp"

#include <supd/http/router.hpp>
#include <supd/messages/limits.hpp>

namespace supd::messages {

struct RouteRow {
    std::string_view method;
    std::string_view path;
    http::Limit limit;
    std::string_view operation;
    asio::awaitable<http::Reply> (*handle)(Context&, http::Request);
};

inline constexpr RouteRow kRoutes[] = {
    {"GET", "/api/v1/messages/chat/:chat_id", http::Limit::api, "list_messages", handle_history},
    {"POST", "/api/v1/messages", http::Limit::message, "send_message", handle_send},
    {"GET", "/api/v1/messages/:id", http::Limit::api, "get_message", handle_get},
    {"PATCH", "/api/v1/messages/:id", http::Limit::message, "edit_message", handle_edit},
    {"DELETE", "/api/v1/messages/:id", http::Limit::message, "delete_message", handle_delete},
    {"GET", "/api/v1/messages/:id/edits", http::Limit::api, "list_edits", handle_edits},
    {"GET", "/api/v1/messages/:id/reactions", http::Limit::api, "list_reactions", handle_list_reactions},
    {"POST", "/api/v1/messages/:id/reactions", http::Limit::message, "add_reaction", handle_add_reaction},
    {"DELETE", "/api/v1/messages/:id/reactions", http::Limit::message, "remove_reaction",
     handle_remove_reaction},
    {"GET", "/api/v1/messages/:id/thread", http::Limit::api, "list_thread", list_thread},
};

}  // namespace supd::messages
