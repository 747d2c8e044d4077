// From an endpoint to a stream that is signed in: connect, TLS, the first commands.
#pragma once

#include <supd/cache/reply.hpp>
#include <supd/cache/url.hpp>
#include <supd/net/stream.hpp>
#include <supd/net/tls_client.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace supd::cache {

namespace asio = boost::asio;

/// Null when it cannot be reached within `limit`. `home`'s thread; `tls` null = plain.
asio::awaitable<std::unique_ptr<net::Stream>> dial(asio::io_context& home, Endpoint to,
                                                   std::shared_ptr<const net::TlsClient> tls,
                                                   std::chrono::milliseconds limit);

/// Sends the commands and reads as many replies; nothing when the connection ends or `limit` passes before.
/// Nobody else may use the stream meanwhile.
asio::awaitable<std::optional<std::vector<Reply>>> converse(net::Stream& stream, std::vector<Words> commands,
                                                            std::chrono::milliseconds limit);

}  // namespace supd::cache
