// What a request and a reply are to the rest of supd: our own small types, so that Beast stays inside http/.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>
#include <supd/base/ids.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::http {

namespace asio = boost::asio;

/// Who acts, proven by the access token of the request; never taken from a field.
struct Caller {
    base::UserId user;
    base::DeviceId device;
    base::SessionId session;
    bool admin = false;
};

struct Request {
    std::string method;
    std::string path;  ///< decoded, without the query
    std::vector<std::pair<std::string, std::string>> query;
    std::vector<std::pair<std::string, std::string>>
        path_values;                                           ///< ":name" of the route -> decoded segment
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;
    std::string request_id;
    boost::asio::ip::address remote;  ///< of the client, behind trusted proxies
    bool secure = false;
    std::optional<Caller> caller_;  ///< set by the router for every policy but open
    base::Monotonic::time_point deadline;

    /// Throws 401 when the route let in a request without a caller (a bug in the route's policy).
    const Caller& caller() const;
    std::optional<std::string_view> header(std::string_view lower_case_name) const;
    /// Path value as text; throws 404 when there is none.
    std::string_view path_value(std::string_view name) const;
    /// Path value as an id; a malformed id is 404: it names nothing.
    template <class IdType>
    IdType path_id(std::string_view name) const {
        auto id = IdType::parse(path_value(name));
        if (!id) throw base::not_found();
        return *id;
    }
    std::optional<std::string_view> query_value(std::string_view name) const;
    /// Integer in the query; absent = fallback; malformed or out of [min, max] = 400 `invalid_request`.
    std::int64_t query_integer(std::string_view name, std::int64_t fallback, std::int64_t min,
                               std::int64_t max) const;
    /// Throws 400 `unknown_field` for any query parameter not listed.
    void allow_query(std::initializer_list<std::string_view> names) const;
    /// The body as JSON: 415 unless Content-Type is application/json, 400 when malformed, or when there is a
    /// query: what has a body takes nothing there. An empty body is an empty object.
    nlohmann::json json() const;
};

struct Reply {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    /// False: it holds what may be deleted later, so its Idempotency-Key must not bring it back. A repeat
    /// runs again, and the client's ids make it harmless.
    bool kept = true;

    static Reply json(std::string text, int status = 200);
    static Reply json(const nlohmann::json& value, int status = 200);
    static Reply no_content();
};

}  // namespace supd::http
