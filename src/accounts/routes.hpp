// The table of contents of accounts: every route with its policy and limit, one operation per file.
#pragma once

#include "context.hpp"

#include <supd/http/router.hpp>

namespace supd::accounts {

using Operation = asio::awaitable<http::Reply> (*)(const Context&, http::Request);

asio::awaitable<http::Reply> register_account(const Context&, http::Request);
asio::awaitable<http::Reply> log_in(const Context&, http::Request);
asio::awaitable<http::Reply> refresh_session(const Context&, http::Request);
asio::awaitable<http::Reply> log_out(const Context&, http::Request);
asio::awaitable<http::Reply> change_password(const Context&, http::Request);
asio::awaitable<http::Reply> list_sessions(const Context&, http::Request);
asio::awaitable<http::Reply> revoke_session(const Context&, http::Request);
asio::awaitable<http::Reply> get_user(const Context&, http::Request);
asio::awaitable<http::Reply> edit_profile(const Context&, http::Request);
asio::awaitable<http::Reply> list_devices(const Context&, http::Request);
asio::awaitable<http::Reply> remove_device(const Context&, http::Request);

struct Row {
    std::string_view method;
    std::string_view path;
    http::Policy policy;
    http::Limit limit;
    std::string_view name;
    Operation operation;
    bool shared = false;  // as in http::Route
};

using enum http::Policy;
using enum http::Limit;

inline constexpr Row kRoutes[] = {
    {"POST", "/api/v1/auth/register", open, auth, "register_account", register_account},
    {"POST", "/api/v1/auth/login", open, auth, "log_in", log_in},
    // A stolen token is caught by reuse detection, not by counting.
    {"POST", "/api/v1/auth/refresh", open, api, "refresh_session", refresh_session, true},
    {"POST", "/api/v1/auth/logout", user, api, "log_out", log_out},
    {"POST", "/api/v1/auth/password/change", user, auth, "change_password", change_password},
    {"GET", "/api/v1/auth/sessions", user, api, "list_sessions", list_sessions},
    {"DELETE", "/api/v1/auth/sessions/:id", user, api, "revoke_session", revoke_session},
    {"GET", "/api/v1/users/:id", user, api, "get_user", get_user},
    {"PATCH", "/api/v1/users/:id", user, api, "edit_profile", edit_profile},
    {"GET", "/api/v1/users/me/devices", user, api, "list_devices", list_devices},
    {"DELETE", "/api/v1/users/me/devices/:id", user, api, "remove_device", remove_device},
};

}  // namespace supd::accounts
