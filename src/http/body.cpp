#include "body.hpp"

#include <supd/http/limits.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace supd::http {
namespace {

namespace beast = boost::beast;
using Error = beast::error_code;

constexpr std::size_t kMaxLastChunk = kMaxChunkLine + kMaxTrailerBytes;
// "0" CR LF CR LF: no chunked body is shorter.
constexpr std::size_t kMinChunked = 5;

Fault too_large() {
    return {413, "too_large", "The body is larger than this route takes."};
}
Fault bad() {
    return {400, "malformed_request", "The body's framing is malformed."};
}

}  // namespace

struct BodyReader::Impl {
    beast::http::request_parser<beast::http::string_body> parser;
    std::uint64_t limit = 0;
    std::uint64_t chunks = 0;
    const char* put_from = nullptr;
    bool chunked = false;
    bool begun = false;
    bool refused_at_once = false;
    // Beast keeps a reference to the callback.
    std::function<void(std::uint64_t, beast::string_view, Error&)> on_chunk;
};

BodyReader::BodyReader(std::string_view head_bytes, const Head& head, std::uint64_t limit)
    : impl_(std::make_unique<Impl>()) {
    auto& parser = impl_->parser;
    impl_->chunked = head.chunked;
    impl_->limit = limit;
    parser.header_limit(static_cast<std::uint32_t>(kMaxHeaderBytes + kMaxTrailerBytes));
    parser.body_limit(limit);
    parser.eager(false);  // one element per put, so that the size of each is seen
    if (head.chunked) {
        impl_->on_chunk = [this](std::uint64_t, beast::string_view extensions, Error& error) {
            const auto line = extensions.data() + extensions.size() + 2 - impl_->put_from;
            if (static_cast<std::size_t>(line) > kMaxChunkLine ||
                extensions.find('"') != beast::string_view::npos)
                error = beast::http::error::bad_chunk_extension;
            // Tiny chunks cost the server more than the client: their number is bounded with the body.
            if (++impl_->chunks > impl_->limit / 16 + 1024) error = beast::http::error::bad_chunk;
        };
        parser.on_chunk_header(impl_->on_chunk);
    }
    Error error;
    const auto used = parser.put(boost::asio::buffer(head_bytes.data(), head_bytes.size()), error);
    if (error && error != beast::http::error::need_more) {
        fault_ = error == beast::http::error::body_limit ? too_large() : bad();
        impl_->refused_at_once = true;
    } else if (used != head_bytes.size() || !parser.is_header_done()) {
        fault_ = bad();
        impl_->refused_at_once = true;
    }
}

BodyReader::~BodyReader() = default;

BodyReader::State BodyReader::feed(std::string_view bytes, std::size_t& used) {
    used = 0;
    auto& parser = impl_->parser;
    if (impl_->refused_at_once) return State::refused;
    while (!parser.is_done() && used < bytes.size()) {
        Error error;
        const auto rest = bytes.substr(used);
        // Beast 1.81 asserts that a last chunk it has seen the first line of has all of its five bytes, which
        // it makes sure of for every chunk but the first.
        if (impl_->chunked && !impl_->begun && rest.size() < kMinChunked) break;
        impl_->begun = true;
        impl_->put_from = rest.data();
        const auto taken = parser.put(boost::asio::buffer(rest.data(), rest.size()), error);
        used += taken;
        if (error && error != beast::http::error::need_more) {
            fault_ = error == beast::http::error::body_limit ? too_large() : bad();
            return State::refused;
        }
        if (error == beast::http::error::need_more || taken == 0) {
            // A chunk line or trailer that is not complete: it waits in the caller's buffer, so it is bounded
            // here.
            const auto waiting = bytes.substr(used);
            const auto line = waiting.substr(0, waiting.find('\n', 2));
            // Beast looks for the end of a quoted extension beyond the line; nobody sends one.
            if (impl_->chunked && line.find('"') != std::string_view::npos) {
                fault_ = bad();
                return State::refused;
            }
            const bool line_ends = waiting.substr(0, kMaxChunkLine).find('\n', 2) != std::string_view::npos;
            if (impl_->chunked && waiting.size() > (line_ends ? kMaxLastChunk : kMaxChunkLine)) {
                fault_ = bad();
                return State::refused;
            }
            break;
        }
        if (impl_->chunked && parser.is_done() && taken > kMaxLastChunk) {
            fault_ = bad();
            return State::refused;
        }
    }
    return parser.is_done() ? State::done : State::more;
}

std::string BodyReader::take() {
    return std::move(impl_->parser.get().body());
}

}  // namespace supd::http
