// JSON of accounts: domain type -> allow-listed object, and the parts that several requests share.
#pragma once

#include "store.hpp"
#include "types.hpp"

#include <supd/base/json.hpp>
#include <supd/http/message.hpp>
#include <supd/ws/hub.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace supd::accounts {

struct Context;

/// Everything but what only the server knows; for the user alone.
nlohmann::json own_profile(const User& user);
/// What anybody signed in may see.
nlohmann::json public_profile(const User& user);
nlohmann::json device_json(const Device& device);
nlohmann::json session_json(const Session& session, base::SessionId current);
/// {"items", "next_cursor"}; `last` empty: this was the last page.
http::Reply page(nlohmann::json items, const std::string& last);

/// `device` of register and login; absent = nothing known.
DeviceRequest read_device_request(base::ObjectReader& reader);
/// A field of the protocol that this server has no use for yet: null is as good as absent; throws 422 for
/// more.
void require_null(base::ObjectReader& reader, std::string_view field);
Origin origin_of(const http::Request& request);
/// `?limit=&cursor=` of a list whose cursor is the last id shown.
struct PageRequest {
    int limit = 0;
    std::optional<base::Uuid> after;
};
PageRequest read_page(const http::Request& request);

/// Somebody is signed in: who, where, and with which tokens.
struct SignedIn {
    User user;
    Device device;
    base::SessionId session;
    std::string refresh_token;
    store::Revoked replaced;            // sessions that this one ended
    std::vector<ws::ChatEvent> events;  // of the user's own log
};
http::Reply tokens_reply(const Context& context, const SignedIn& signed_in, int status);

}  // namespace supd::accounts
