#include "http_exchange.hpp"

#include <supd/blob/store.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace supd::blob {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Stream = beast::tcp_stream;
using TlsStream = asio::ssl::stream<Stream>;

namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::uint32_t kMaxHeader = 64 * 1024;
// Of an object; the caller counts what it takes.
constexpr std::uint64_t kMaxBody = std::uint64_t{1} << 50;

Stream& lowest(Stream& stream) {
    return stream;
}
Stream& lowest(TlsStream& stream) {
    return stream.next_layer();
}

class Exchange {
public:
    explicit Exchange(const Endpoint& endpoint) : endpoint_(endpoint) {}

    HttpAnswer run(const HttpRequest& request, const std::function<void(std::string_view)>& sink) {
        if (!endpoint_.tls) {
            Stream stream(context_);
            connect(stream);
            return talk(stream, request, sink);
        }
        asio::ssl::context tls(asio::ssl::context::tls_client);
        if (endpoint_.ca_file.empty())
            tls.set_default_verify_paths();
        else
            tls.load_verify_file(endpoint_.ca_file);
        TlsStream stream(context_, tls);
        stream.set_verify_mode(asio::ssl::verify_peer);
        stream.set_verify_callback(asio::ssl::host_name_verification(endpoint_.host));
        // What SSL_set_tlsext_host_name is a macro for.
        SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(endpoint_.host.c_str()));
        connect(stream.next_layer());
        stream.next_layer().expires_after(kConnectPatience);
        require("TLS with", step([&](auto done) { stream.async_handshake(TlsStream::client, done); }));
        return talk(stream, request, sink);
    }

private:
    // Starts one operation and lets the context run until it is done; the stream's own timer bounds it.
    template <class Start>
    error_code step(Start start) {
        std::optional<error_code> result;
        start([&](error_code ec, auto&&...) { result = ec; });
        context_.restart();
        context_.run();
        return result.value_or(asio::error::timed_out);
    }

    void require(const char* what, error_code ec) const {
        if (ec) throw ExchangeError(std::string(what) + " " + endpoint_.authority() + ": " + ec.message());
    }

    void connect(Stream& stream) {
        asio::ip::tcp::resolver resolver(context_);
        asio::ip::tcp::resolver::results_type found;
        error_code result = asio::error::timed_out;
        resolver.async_resolve(endpoint_.host, endpoint_.port, [&](error_code ec, auto results) {
            result = ec;
            found = std::move(results);
        });
        context_.restart();
        context_.run_for(kConnectPatience);
        require("look up", result);
        stream.expires_after(kConnectPatience);
        require("connect to", step([&](auto done) { stream.async_connect(found, done); }));
    }

    template <class S>
    HttpAnswer talk(S& stream, const HttpRequest& request,
                    const std::function<void(std::string_view)>& sink) {
        const auto sent = send(stream, request);
        // A refusal may come before all was sent, and the connection then ends: the answer says more than
        // that.
        try {
            return receive(stream, request.method == "HEAD", sink);
        } catch (const ExchangeError&) {
            require("send to", sent);
            throw;
        }
    }

    template <class S>
    error_code send(S& stream, const HttpRequest& request) {
        http::request<http::empty_body> head;
        head.version(11);
        head.method_string(request.method);
        head.target(request.target);
        for (const auto& [name, value] : request.headers)
            head.set(name, value);
        head.set(http::field::connection, "close");
        if (request.length > 0 || request.method == "PUT" || request.method == "POST")
            head.content_length(request.length);
        http::request_serializer<http::empty_body> serializer(head);
        lowest(stream).expires_after(kSilencePatience);
        auto ec = step([&](auto done) { http::async_write_header(stream, serializer, done); });
        for (std::uint64_t left = request.length; left > 0 && !ec;) {
            const auto piece = request.next_piece();
            if (piece.empty() || piece.size() > left)
                throw StoreError("the file that is being sent changes under way");
            lowest(stream).expires_after(kSilencePatience);
            ec = step([&](auto done) { asio::async_write(stream, asio::buffer(piece), done); });
            left -= piece.size();
        }
        return ec;
    }

    template <class S>
    HttpAnswer receive(S& stream, bool head_only, const std::function<void(std::string_view)>& sink) {
        beast::flat_buffer buffer(kMaxHeader + kPiece);
        http::response_parser<http::buffer_body> parser;
        parser.header_limit(kMaxHeader);
        parser.body_limit(kMaxBody);
        parser.skip(head_only);
        lowest(stream).expires_after(kSilencePatience);
        require("hear from", step([&](auto done) { http::async_read_header(stream, buffer, parser, done); }));
        HttpAnswer answer;
        answer.status = parser.get().result_int();
        for (const auto& field : parser.get()) {
            std::string name(field.name_string());
            std::ranges::transform(name, name.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            });
            answer.headers.emplace_back(std::move(name), std::string(field.value()));
        }
        std::string piece(kPiece, '\0');
        while (!parser.is_done()) {
            parser.get().body().data = piece.data();
            parser.get().body().size = piece.size();
            lowest(stream).expires_after(kSilencePatience);
            auto ec = step([&](auto done) { http::async_read(stream, buffer, parser, done); });
            if (ec == http::error::need_buffer) ec = {};
            require("read from", ec);
            const auto got = std::string_view(piece).substr(0, piece.size() - parser.get().body().size);
            if (sink && answer.status / 100 == 2)
                sink(got);
            else if (answer.body.size() + got.size() > kMaxAnswer)
                throw StoreError("the answer of " + endpoint_.authority() + " is too large");
            else
                answer.body += got;
        }
        return answer;
    }

    const Endpoint& endpoint_;
    asio::io_context context_{1};
};

}  // namespace

std::string Endpoint::authority() const {
    return port == (tls ? "443" : "80") ? host : host + ":" + port;
}

std::string HttpAnswer::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return "";
}

HttpAnswer exchange(const Endpoint& endpoint, const HttpRequest& request,
                    const std::function<void(std::string_view)>& sink) {
    return Exchange(endpoint).run(request, sink);
}

}  // namespace supd::blob
