#include "wire.hpp"

#include "context.hpp"
#include "profile_rules.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/http/query.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace supd::accounts {
namespace {

constexpr std::array<std::string_view, 6> kPlatforms = {"ios", "android", "web", "desktop", "bot", "other"};

base::Json text_or_null(const std::optional<std::string>& text) {
    return text ? base::Json(*text) : base::Json();
}

}  // namespace

base::Json public_profile(const User& user) {
    return {{"id", user.id.text()},
            {"username", user.username},
            {"display_name", user.display_name},
            {"bio", user.bio},
            {"created_at", base::format_time(user.created_at)}};
}

base::Json own_profile(const User& user) {
    auto out = public_profile(user);
    out["email"] = text_or_null(user.email);
    out["phone"] = text_or_null(user.phone);
    out["is_admin"] = user.admin;
    return out;
}

base::Json device_json(const Device& device) {
    return {{"id", device.id.text()},
            {"name", device.name},
            {"platform", device.platform},
            {"created_at", base::format_time(device.created_at)},
            {"last_seen_at", base::format_time(device.last_seen_at)}};
}

base::Json session_json(const Session& session, base::SessionId current) {
    return {{"id", session.id.text()},
            {"device", device_json(session.device)},
            {"current", session.id == current},
            {"remote_address", session.remote_address},
            {"user_agent", session.user_agent},
            {"created_at", base::format_time(session.created_at)},
            {"last_used_at", base::format_time(session.last_used_at)}};
}

http::Reply page(base::Json items, const std::string& last) {
    base::Json out{{"items", std::move(items)}, {"next_cursor", nullptr}};
    if (!last.empty()) out["next_cursor"] = last;
    return http::Reply::json(out);
}

DeviceRequest read_device_request(base::ObjectReader& reader) {
    DeviceRequest out;
    const auto* raw = reader.raw("device");
    if (!raw) return out;
    if (!raw->is_object()) {
        reader.fail("device", "wrong_type", "This must be an object.");
        return out;
    }
    base::ObjectReader device(*raw, "device");
    out.id = device.maybe_id<base::DeviceId>("id");
    const auto name = device.maybe_text("name", {1, kMaxDeviceNameBytes});
    out.platform = device.maybe_text("platform", {0, 16}).value_or("");
    if (!out.platform.empty() &&
        std::find(kPlatforms.begin(), kPlatforms.end(), out.platform) == kPlatforms.end())
        device.fail("platform", "bad_format", "One of ios, android, web, desktop, bot, other.");
    device.finish();
    if (name) out.name = clean_name("device.name", *name, kMaxDeviceNameBytes);
    return out;
}

void require_null(base::ObjectReader& reader, std::string_view field) {
    if (reader.raw(field))
        throw base::invalid(std::string(field), "unsupported", "This server does not have that yet.");
}

Origin origin_of(const http::Request& request) {
    return {request.remote.to_string(),
            cut_text(request.header("user-agent").value_or(""), kMaxUserAgentBytes)};
}

PageRequest read_page(const http::Request& request) {
    request.allow_query({"limit", "cursor"});
    PageRequest out;
    out.limit = static_cast<int>(request.query_integer("limit", kDefaultPage, 1, kMaxPage));
    if (const auto cursor = request.query_value("cursor")) {
        out.after = base::parse_uuid(*cursor);
        if (!out.after) throw http::cursor_error();
    }
    return out;
}

http::Reply tokens_reply(const Context& context, const SignedIn& signed_in, int status) {
    const base::Json body{{"user", own_profile(signed_in.user)},
                          {"device", device_json(signed_in.device)},
                          {"access_token", context.access.sign(signed_in.user.id, signed_in.session,
                                                               signed_in.device.id, context.clock.now_ms())},
                          {"refresh_token", signed_in.refresh_token},
                          {"token_type", "Bearer"},
                          {"expires_in", context.access.lifetime().count()}};
    auto reply = http::Reply::json(body, status);
    reply.headers.emplace_back("Cache-Control", "no-store");
    return reply;
}

}  // namespace supd::accounts
