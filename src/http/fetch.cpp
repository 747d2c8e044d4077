#include <supd/http/fetch.hpp>

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <charconv>
#include <exception>
#include <stdexcept>

namespace supd::http {
namespace {

using net::OutboundError;
namespace beast_http = boost::beast::http;

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::uint32_t kMaxHeader = 64 * 1024;

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

std::string text_of(const FetchRequest& request) {
    const std::string target = request.url.path + request.target;
    std::string out = request.method + " " + (target.starts_with('/') ? target : "/" + target) +
                      " HTTP/1.1\r\nHost: " + request.url.authority() +
                      "\r\nConnection: close\r\nUser-Agent: supd\r\n";
    for (const auto& [name, value] : request.headers)
        out.append(name).append(": ").append(value).append("\r\n");
    const auto length = request.next_piece ? request.length : request.body.size();
    if (length > 0 || request.method == "POST" || request.method == "PUT")
        out += "Content-Length: " + std::to_string(length) + "\r\n";
    return out + "\r\n" + request.body;
}

OutboundError broken(const std::string& why) {
    return {OutboundError::Kind::broken, "the answer is " + why};
}

class Answer {
public:
    explicit Answer(const FetchRequest& request) : request_(request) {
        parser_.eager(true);
        parser_.header_limit(kMaxHeader);
        parser_.skip(request.method == "HEAD");
        if (request.sink)
            parser_.body_limit(boost::none);
        else
            parser_.body_limit(kMaxFetchedBytes);
    }

    bool done() const { return parser_.is_done(); }
    void take(const std::string& bytes) {
        boost::system::error_code error;
        if (bytes.empty()) {
            if (parser_.got_some()) parser_.put_eof(error);
            if (!error && !parser_.is_done()) error = beast_http::error::partial_message;
        }
        rest_ += bytes;
        bool moves = true;
        while (!rest_.empty() && !parser_.is_done() && !error && moves)
            moves = step(error);
        if (error) throw broken("not HTTP: " + error.message());
    }
    FetchAnswer result() {
        FetchAnswer out;
        out.status = parser_.get().result_int();
        for (const auto& field : parser_.get())
            out.headers.emplace_back(lower(field.name_string()), field.value());
        out.body = std::move(body_);
        return out;
    }

private:
    // False when it takes more bytes to go on.
    bool step(boost::system::error_code& error) {
        auto& room = parser_.get().body();
        room.data = piece_.data();
        room.size = piece_.size();
        room.more = true;
        const auto used = parser_.put(boost::asio::buffer(rest_), error);
        rest_.erase(0, used);
        const auto got = std::string_view(piece_).substr(0, piece_.size() - room.size);
        const bool full = error == beast_http::error::need_buffer;
        if (full || error == beast_http::error::need_more) error = {};
        if (!got.empty()) hand_over(got);
        return full || used > 0;
    }
    void hand_over(std::string_view got) {
        if (request_.sink && parser_.get().result_int() / 100 == 2) return request_.sink(got);
        if (body_.size() + got.size() > kMaxFetchedBytes) throw broken("too large");
        body_ += got;
    }

    const FetchRequest& request_;
    beast_http::response_parser<beast_http::buffer_body> parser_;
    std::string rest_;
    std::string piece_ = std::string(kPiece, '\0');
    std::string body_;
};

void send(net::Outbound& connection, const FetchRequest& request) {
    connection.write(text_of(request));
    for (auto left = request.next_piece ? request.length : 0; left > 0;) {
        const auto piece = request.next_piece();
        if (piece.empty() || piece.size() > left)
            throw std::length_error("the body of a request is not as long as was said");
        if (request.silence) connection.allow(*request.silence);
        connection.write(piece);
        left -= piece.size();
    }
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
    Url out;
    if (text.starts_with("https://")) {
        out.tls = true;
        text.remove_prefix(8);
    } else if (text.starts_with("http://")) {
        text.remove_prefix(7);
    } else {
        return std::nullopt;
    }
    const auto slash = std::min(text.find('/'), text.size());
    out.path = text.substr(slash);
    while (out.path.ends_with('/'))
        out.path.pop_back();
    auto authority = text.substr(0, slash);
    if (authority.find_first_of("@?# ") != std::string_view::npos) return std::nullopt;
    const auto bracket = authority.rfind(']');
    const auto colon = authority.rfind(':');
    out.port = out.tls ? 443 : 80;
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        const auto digits = authority.substr(colon + 1);
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
        if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || out.port == 0)
            return std::nullopt;
        authority = authority.substr(0, colon);
    }
    if (authority.starts_with('[') && authority.ends_with(']'))
        authority = authority.substr(1, authority.size() - 2);
    out.host = authority;
    if (out.host.empty()) return std::nullopt;
    return out;
}

std::string Url::authority() const {
    const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
    return port == (tls ? 443 : 80) ? shown : shown + ":" + std::to_string(port);
}

std::string_view FetchAnswer::header(std::string_view lower_case_name) const {
    const auto found = std::ranges::find(headers, lower_case_name,
                                         [](const auto& one) { return std::string_view(one.first); });
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

FetchAnswer fetch(const FetchRequest& request) {
    net::OutboundOptions options;
    options.host = request.url.host;
    options.port = request.url.port;
    options.tls = request.url.tls;
    options.verify = request.verify;
    options.timeout = request.timeout;
    options.ca_file = request.ca_file;
    net::Outbound connection(std::move(options));
    if (request.silence) connection.allow(*request.silence);
    std::exception_ptr unsent;
    try {
        send(connection, request);
    } catch (const OutboundError& error) {
        // It may have answered and hung up before the body was through: then the answer is there to read.
        if (error.kind() == OutboundError::Kind::timeout) throw;
        unsent = std::current_exception();
    }
    Answer answer(request);
    try {
        while (!answer.done()) {
            if (request.silence) connection.allow(*request.silence);
            answer.take(connection.read());
        }
    } catch (const OutboundError&) {
        if (unsent) std::rethrow_exception(unsent);
        throw;
    }
    auto out = answer.result();
    out.certificate = connection.certificate();
    out.local_address = connection.local_address();
    return out;
}

}  // namespace supd::http
