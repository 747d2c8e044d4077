// Where Redis (or Valkey) is and how to sign in, from one URL:
//
//   redis://[[user]:password@]host[:port][/database]
//   redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master[?sentinel_password=...]
//   redis+cluster://[[user]:password@]host[:port][,host[:port]...]
//
// and the same with `rediss` for TLS. Percent-encoding is decoded in user, password and query. The first
// sign-in is for Redis itself; sentinels get none but that of the query.
#pragma once

#include <supd/base/secret.hpp>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace supd::cache {

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    auto operator<=>(const Endpoint&) const = default;
};

enum class Layout { single, sentinel, cluster };

struct Url {
    Layout layout = Layout::single;
    bool tls = false;
    std::vector<Endpoint> endpoints;  ///< never empty; of the sentinels, or some nodes of the cluster
    std::string user;
    base::Secret password;
    base::Secret sentinel_password;
    std::string master;  ///< the name that the sentinels know; layout sentinel only
    int database = 0;    ///< layouts single and sentinel
};

inline constexpr std::uint16_t kPort = 6379;
inline constexpr std::uint16_t kSentinelPort = 26379;
inline constexpr std::size_t kMaxEndpoints = 32;
inline constexpr int kMaxDatabase = 15;

/// Throws std::invalid_argument with a text for the operator that quotes nothing of the URL.
Url parse_url(std::string_view text);

}  // namespace supd::cache
