// AWS Signature Version 4 (docs.aws.amazon.com, "Create a signed AWS API request"), as S3 wants it: paths are
// encoded once.
#pragma once

#include <supd/base/secret.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::blob {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct ToSign {
    std::string method;
    std::string path;          ///< not encoded, begins with /
    Pairs query;               ///< not encoded
    Pairs headers;             ///< lower-case names; all are signed, host and x-amz-date must be there
    std::string payload_hash;  ///< SHA-256 in hexadecimal
};

struct SigningKey {
    std::string access_key;
    base::Secret secret_key;
    std::string region;
    std::string service;
};

/// Value of the Authorization header. `time`: 20150830T123600Z, that of x-amz-date.
std::string authorization(const ToSign& request, const SigningKey& key, const std::string& time);

/// RFC 3986: everything but letters, digits and -._~ as %XX; / too unless it is kept.
std::string percent_encoded(std::string_view text, bool keep_slash);
/// Sorted and encoded, as it is signed and sent.
std::string query_text(const Pairs& query);
/// 20150830T123600Z from 2015-08-30T12:36:00.000Z.
std::string amz_time(const std::string& rfc3339);

}  // namespace supd::blob
