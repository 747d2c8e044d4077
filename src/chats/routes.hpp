// The table of contents of chats.
#pragma once

#include "context.hpp"

#include <supd/chats/limits.hpp>
#include <supd/http/router.hpp>

namespace supd::chats {

struct RouteRow {
    std::string_view method;
    std::string_view path;
    std::string_view operation;
    asio::awaitable<http::Reply> (*handle)(Context&, http::Request);
};

inline constexpr RouteRow kRoutes[] = {
    {"GET", "/api/v1/chats", "list_chats", handle_list},
    {"POST", "/api/v1/chats", "create_chat", handle_create},
    {"GET", "/api/v1/chats/:id", "get_chat", handle_get},
    {"PATCH", "/api/v1/chats/:id", "edit_chat", handle_edit},
    {"DELETE", "/api/v1/chats/:id", "delete_chat", handle_delete},
    {"GET", "/api/v1/chats/:id/members", "list_members", handle_list_members},
    {"POST", "/api/v1/chats/:id/members", "add_members", handle_add_members},
    {"PATCH", "/api/v1/chats/:id/members/:user_id", "change_role", handle_change_role},
    {"DELETE", "/api/v1/chats/:id/members/:user_id", "remove_member", handle_remove_member},
    {"GET", "/api/v1/chats/:id/settings", "get_chat_settings", handle_get_settings},
    {"PATCH", "/api/v1/chats/:id/settings", "edit_chat_settings", handle_edit_settings},
    {"GET", "/api/v1/chats/:id/reads", "list_reads", handle_list_reads},
    {"POST", "/api/v1/chats/:id/archive", "archive_chat", handle_archive},
    {"POST", "/api/v1/chats/:id/close", "close_chat", handle_close},
    {"POST", "/api/v1/chats/:id/reopen", "reopen_chat", handle_reopen},
    {"POST", "/api/v1/chats/:id/transfer", "transfer_chat", handle_transfer},
};

}  // namespace supd::chats
