#include "sigv4.hpp"

#include <supd/crypto/bytes.hpp>
#include <supd/crypto/sealed_stream.hpp>

#include <algorithm>

namespace supd::blob {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string hmac(std::string_view key, std::string_view data) {
    return std::string(crypto::view_of(crypto::hmac_sha256(key, data)));
}

// Without spaces around it, runs of spaces as one.
std::string folded(std::string_view value) {
    std::string out;
    for (const char c : value) {
        const bool space = c == ' ' || c == '\t' || c == '\n';
        if (space && (out.empty() || out.back() == ' ')) continue;
        out += space ? ' ' : c;
    }
    if (out.ends_with(' ')) out.pop_back();
    return out;
}

}  // namespace

std::string percent_encoded(std::string_view text, bool keep_slash) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
        const auto byte = static_cast<unsigned char>(c);
        if (plain)
            out += c;
        else
            out += std::string("%") + kDigits[byte >> 4U] + kDigits[byte & 15U];
    }
    return out;
}

std::string query_text(const Pairs& query) {
    Pairs encoded;
    for (const auto& [name, value] : query)
        encoded.emplace_back(percent_encoded(name, false), percent_encoded(value, false));
    std::ranges::sort(encoded);
    std::string out;
    for (const auto& [name, value] : encoded) {
        if (!out.empty()) out += '&';
        out.append(name).append("=").append(value);
    }
    return out;
}

std::string amz_time(const std::string& rfc3339) {
    std::string out;
    for (const char c : rfc3339.substr(0, rfc3339.find('.')))
        if (c != '-' && c != ':') out += c;
    if (!out.ends_with('Z')) out += 'Z';
    return out;
}

std::string authorization(const ToSign& request, const SigningKey& key, const std::string& time) {
    auto headers = request.headers;
    std::ranges::sort(headers);
    std::string canonical_headers;
    std::string names;
    for (const auto& [name, value] : headers) {
        canonical_headers += name + ":" + folded(value) + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    const std::string canonical = request.method + "\n" + percent_encoded(request.path, true) + "\n" +
                                  query_text(request.query) + "\n" + canonical_headers + "\n" + names + "\n" +
                                  request.payload_hash;
    const auto day = time.substr(0, 8);
    const auto scope = day + "/" + key.region + "/" + key.service + "/aws4_request";
    const auto to_sign =
        std::string(kAlgorithm) + "\n" + time + "\n" + scope + "\n" + crypto::hex(crypto::sha256(canonical));
    const base::Secret of_day(hmac("AWS4" + key.secret_key.reveal(), day));
    const base::Secret of_region(hmac(of_day.reveal(), key.region));
    const base::Secret of_service(hmac(of_region.reveal(), key.service));
    const base::Secret signing(hmac(of_service.reveal(), "aws4_request"));
    return std::string(kAlgorithm) + " Credential=" + key.access_key + "/" + scope +
           ", SignedHeaders=" + names + ", Signature=" + crypto::hex(hmac(signing.reveal(), to_sign));
}

}  // namespace supd::blob
