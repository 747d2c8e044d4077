// Who the client is when trusted proxies stand in between.
#pragma once

#include "head.hpp"

#include <supd/net/address.hpp>

#include <string_view>
#include <utility>
#include <vector>

namespace supd::http {

struct Client {
    boost::asio::ip::address address;
    bool secure = false;
};

/// X-Forwarded-For is read from the right: each entry was written by the hop to its right, so it counts only
/// while that hop is trusted. X-Forwarded-Proto counts only from a trusted peer.
Client client_of(const Head& head, const boost::asio::ip::address& peer, bool secure,
                 const std::vector<net::Network>& trusted);

}  // namespace supd::http
