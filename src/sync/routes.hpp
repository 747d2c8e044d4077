#pragma once

#include <supd/http/router.hpp>

namespace supd::sync::routes {

inline http::Route get_sync(http::Handler handler) {
    return {"GET", "/api/v1/sync", http::Policy::user, http::Limit::api, "get_sync", std::move(handler)};
}

}  // namespace supd::sync::routes
