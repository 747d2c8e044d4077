#include "s3_answers.hpp"
#include "sigv4.hpp"

#include <supd/base/clock.hpp>
#include <supd/base/log.hpp>
#include <supd/blob/store.hpp>
#include <supd/crypto/sealed_stream.hpp>
#include <supd/http/fetch.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>

namespace supd::blob {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::uint64_t kSmallestPart = 5U << 20;
constexpr std::uint64_t kMostParts = 10'000;
constexpr std::chrono::seconds kFirstPause{1};

// A stretch of a file: read once for its hash and once to be sent.
struct Stretch {
    fs::path file;
    std::uint64_t from = 0;
    std::uint64_t bytes = 0;

    std::function<std::string()> reader() const {
        auto in = std::make_shared<std::ifstream>(file, std::ios::binary);
        in->seekg(static_cast<std::streamoff>(from));
        auto left = std::make_shared<std::uint64_t>(bytes);
        return [in, left] {
            std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, *left)), '\0');
            in->read(piece.data(), static_cast<std::streamsize>(piece.size()));
            piece.resize(static_cast<std::size_t>(in->gcount()));
            *left -= piece.size();
            return piece;
        };
    }
    std::string hash() const {
        crypto::Sha256 hash;
        const auto next = reader();
        for (auto piece = next(); !piece.empty(); piece = next())
            hash.add(piece);
        return crypto::hex(hash.finish());
    }
};

struct Body {
    std::uint64_t bytes = 0;
    std::string hash = crypto::hex(crypto::sha256(""));
    std::function<std::function<std::string()>()> reader = [] { return [] { return std::string(); }; };

    static Body of(const Stretch& stretch) {
        return {stretch.bytes, stretch.hash(), [stretch] { return stretch.reader(); }};
    }
    static Body of(const std::string& text) {
        return {text.size(), crypto::hex(crypto::sha256(text)), [text] { return [text] { return text; }; }};
    }
};

http::Url endpoint_of(const S3Options& options) {
    auto out = http::Url::parse(options.endpoint);
    if (!out || !out->path.empty())
        throw std::invalid_argument(
            "the S3 endpoint must be https://host[:port] or http://host[:port], without a path");
    if (!options.path_style) out->host = options.bucket + "." + out->host;
    return *out;
}

class S3Store final : public Store {
public:
    explicit S3Store(S3Options options)
        : options_(std::move(options)),
          endpoint_(endpoint_of(options_)),
          key_{options_.access_key, options_.secret_key, options_.region, "s3"} {
        options_.part_bytes = std::max(options_.part_bytes, kSmallestPart);
    }

    void put(const std::string& key, const fs::path& file) override {
        std::error_code ec;
        const auto size = fs::file_size(file, ec);
        if (ec) throw StoreError(file.string() + ": " + ec.message());
        if (size > options_.part_bytes) return put_in_parts(key, file, size);
        must(call("PUT", key, {}, Body::of(Stretch{file, 0, size})), "store", key);
    }

    bool get(const std::string& key, const fs::path& file) override {
        const fs::path partial = file.string() + ".partial";
        std::ofstream out;
        std::uint64_t got = 0;
        const auto sink = [&](std::string_view piece) {
            out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
            got += piece.size();
        };
        const auto begin = [&] {
            out = std::ofstream(partial, std::ios::binary | std::ios::trunc);
            got = 0;
        };
        const auto answer = call("GET", key, {}, {}, sink, begin);
        out.close();
        if (answer.status / 100 != 2) fs::remove(partial);
        if (answer.status == 404) return false;
        must(answer, "fetch", key);
        if (!out || std::to_string(got) != answer.header("content-length")) {
            fs::remove(partial);
            throw StoreError("fetch " + key + ": what came is not what was announced");
        }
        fs::rename(partial, file);
        return true;
    }

    std::optional<std::uint64_t> size(const std::string& key) override {
        const auto answer = call("HEAD", key, {}, {});
        if (answer.status == 404) return std::nullopt;
        must(answer, "look at", key);
        const auto text = answer.header("content-length");
        std::uint64_t bytes = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), bytes);
        if (parsed.ec != std::errc{}) throw StoreError("look at " + key + ": no length in the answer");
        return bytes;
    }

    void remove(const std::string& key) override {
        const auto answer = call("DELETE", key, {}, {});
        if (answer.status != 404) must(answer, "remove", key);
    }

    std::vector<Object> list(const std::string& prefix) override {
        std::vector<Object> out;
        std::string next;
        do {
            Pairs query{{"list-type", "2"}, {"prefix", prefix}};
            if (!next.empty()) query.emplace_back("continuation-token", next);
            const auto answer = call("GET", "", query, {});
            must(answer, "list", prefix);
            for (const auto& entry : elements(answer.body, "Contents")) {
                const auto size = element(entry, "Size");
                std::uint64_t bytes = 0;
                std::from_chars(size.data(), size.data() + size.size(), bytes);
                if (out.size() == kMaxListed) throw StoreError(options_.bucket + " holds too much to list");
                out.push_back({element(entry, "Key"), bytes});
            }
            next = element(answer.body, "NextContinuationToken");
        } while (!next.empty());
        std::ranges::sort(out, {}, &Object::key);
        return out;
    }

private:
    void put_in_parts(const std::string& key, const fs::path& file, std::uint64_t size) {
        const auto begun = call("POST", key, {{"uploads", ""}}, {});
        must(begun, "begin to store", key);
        const auto upload = element(begun.body, "UploadId");
        if (upload.empty()) throw StoreError("begin to store " + key + ": no UploadId in the answer");
        try {
            const auto part_bytes = std::max(options_.part_bytes, size / kMostParts + 1);
            std::string parts;
            int number = 1;
            for (std::uint64_t at = 0; at < size; at += part_bytes, ++number) {
                const Stretch stretch{file, at, std::min(part_bytes, size - at)};
                const Pairs query{{"partNumber", std::to_string(number)}, {"uploadId", upload}};
                const auto answer = call("PUT", key, query, Body::of(stretch));
                must(answer, "store a part of", key);
                parts += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" +
                         std::string(answer.header("etag")) + "</ETag></Part>";
            }
            const auto done =
                call("POST", key, {{"uploadId", upload}},
                     Body::of("<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>"));
            must(done, "finish storing", key);
            // S3 may answer 200 and find a fault afterwards, in the body.
            if (done.body.find("<Error>") != std::string::npos)
                throw StoreError("finish storing " + key + ": " + element(done.body, "Code"));
        } catch (...) {
            abandon(key, upload);
            throw;
        }
    }

    // Parts of an upload that is never finished are paid for. When not even that can be said, what went wrong
    // before is told.
    void abandon(const std::string& key, const std::string& upload) {
        try {
            call("DELETE", key, {{"uploadId", upload}}, {});
        } catch (const StoreError& error) {
            base::log::warn("upload_left", {{"name", key}, {"error", error.what()}});
        }
    }

    void must(const http::FetchAnswer& answer, const char* what, const std::string& key) const {
        if (answer.status / 100 == 2) return;
        const auto code = element(answer.body, "Code");
        throw StoreError(std::string(what) + " " + options_.bucket + "/" + key + ": the service answers " +
                         std::to_string(answer.status) + (code.empty() ? "" : " " + code));
    }

    // Every operation may be repeated: parts and objects are replaced by the same again.
    http::FetchAnswer call(
        const std::string& method, const std::string& key, const Pairs& query, const Body& body,
        const std::function<void(std::string_view)>& sink = {}, const std::function<void()>& begin = [] {}) {
        auto pause = kFirstPause;
        for (int attempt = 1;; ++attempt) {
            try {
                begin();
                auto answer = once(method, key, query, body, sink);
                if (answer.status < 500 || attempt == kAttempts) return answer;
            } catch (const net::OutboundError& error) {
                if (attempt == kAttempts) throw StoreError(error.what());
            }
            boost::asio::io_context context;
            boost::asio::steady_timer(context, pause).wait();
            pause *= 2;
        }
    }

    http::FetchAnswer once(const std::string& method, const std::string& key, const Pairs& query,
                           const Body& body, const std::function<void(std::string_view)>& sink) const {
        const auto time = amz_time(base::format_time(base::wall_clock_ms()));
        ToSign to_sign;
        to_sign.method = method;
        to_sign.path = (options_.path_style ? "/" + options_.bucket : "") + "/" + key;
        if (key.empty() && options_.path_style) to_sign.path.pop_back();
        to_sign.query = query;
        to_sign.payload_hash = body.hash;
        to_sign.headers = {
            {"host", endpoint_.authority()}, {"x-amz-content-sha256", body.hash}, {"x-amz-date", time}};
        http::FetchRequest request;
        request.method = method;
        request.url = endpoint_;
        request.target = percent_encoded(to_sign.path, true);
        if (!query.empty()) request.target += "?" + query_text(query);
        request.headers = {to_sign.headers.begin() + 1, to_sign.headers.end()};  // host: fetch's own
        request.headers.emplace_back("authorization", authorization(to_sign, key_, time));
        request.length = body.bytes;
        request.next_piece = body.reader();
        request.sink = sink;
        request.timeout = kConnectPatience;
        request.silence = kSilencePatience;
        request.ca_file = options_.ca_file;
        try {
            return http::fetch(request);
        } catch (const std::length_error&) {
            throw StoreError("the file that is being sent changes under way");
        }
    }

    S3Options options_;
    http::Url endpoint_;
    SigningKey key_;
};

}  // namespace

std::unique_ptr<Store> s3_store(S3Options options) {
    return std::make_unique<S3Store>(std::move(options));
}

}  // namespace supd::blob
