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
#include <string>
#include <vector>

namespace supd::cache {

namespace asio = boost::asio;

/// How far an attempt came, and why no further. For the log: names no host and quotes nothing that is secret.
struct Trouble {
    const char* stage = "";  ///< resolve, connect, tls, sign_in, role, sentinel; link for one that was up
    std::string reason;
};

struct Dialled {
    std::shared_ptr<net::Stream> stream;  ///< null when it cannot be reached within the limit
    Trouble trouble;
};
/// `home`'s thread; `tls` null = plain.
asio::awaitable<Dialled> dial(asio::io_context& home, Endpoint to, std::shared_ptr<const net::TlsClient> tls,
                              std::chrono::milliseconds limit);

struct Conversation {
    std::vector<Reply> replies;  ///< empty when the connection ended or the limit passed before the last
    Trouble trouble;
};
/// Sends the commands and reads as many replies. Nobody else may use the stream meanwhile.
asio::awaitable<Conversation> converse(std::shared_ptr<net::Stream> stream, std::vector<Words> commands,
                                       std::chrono::milliseconds limit);

/// The first word of an error: the rest may quote.
std::string code_of(const Reply& error);

}  // namespace supd::cache
