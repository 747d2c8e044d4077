// The table of contents of receipts.
#pragma once

#include "context.hpp"

#include <supd/http/router.hpp>

namespace supd::receipts {

struct RouteRow {
    std::string_view method;
    std::string_view path;
    http::Limit limit;
    std::string_view operation;
    asio::awaitable<http::Reply> (*handle)(Context&, http::Request);
};

inline constexpr RouteRow kRoutes[] = {
    {"POST", "/api/v1/chats/:id/read", http::Limit::message, "mark_read", handle_read},
};

}  // namespace supd::receipts
