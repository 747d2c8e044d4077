// Storage of whole files under keys: a folder, or a bucket of an S3 service. For commands and jobs of their
// own thread: every call blocks, one thread at a time per object. Throws StoreError with a text for the
// operator, free of secrets.
#pragma once

#include <supd/base/secret.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace supd::blob {

class StoreError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t kMaxKey = 512;
/// Letters, digits and . _ - in segments parted by /; no segment is empty, . or .. (so that a key is also a
/// path).
bool is_key(std::string_view key) noexcept;

struct Object {
    std::string key;
    std::uint64_t bytes = 0;
};

class Store {
public:
    virtual ~Store() = default;
    /// The content of `file` under `key`, whole or not at all; replaces what was there.
    virtual void put(const std::string& key, const std::filesystem::path& file) = 0;
    /// Into `file`, written beside it and renamed. False when there is no such key.
    virtual bool get(const std::string& key, const std::filesystem::path& file) = 0;
    /// Bytes; nothing when there is no such key.
    virtual std::optional<std::uint64_t> size(const std::string& key) = 0;
    /// Nothing happens when there is no such key.
    virtual void remove(const std::string& key) = 0;
    /// Everything whose key begins with `prefix`, by key.
    virtual std::vector<Object> list(const std::string& prefix) = 0;
};

std::unique_ptr<Store> folder_store(std::filesystem::path folder);

struct S3Options {
    std::string endpoint;  ///< https://host[:port] or http://...
    std::string region = "us-east-1";
    std::string bucket;
    std::string access_key;
    base::Secret secret_key;
    bool path_style = true;  ///< /bucket/key; else the bucket is the first part of the host name
    std::string ca_file;     ///< PEM; empty: what the system trusts
    /// Files above are sent in parts of this size; S3 wants at least 5 MiB.
    std::uint64_t part_bytes = 64U << 20;
};
/// Signature version 4 with a hash of every body. Throws std::invalid_argument for an endpoint that is none.
std::unique_ptr<Store> s3_store(S3Options options);

inline constexpr std::chrono::seconds kConnectPatience{10};
inline constexpr std::chrono::seconds kSilencePatience{60};  ///< nothing sent and nothing received
inline constexpr int kAttempts = 3;                          ///< when the service is away or busy
inline constexpr std::size_t kMaxListed = 1'000'000;

}  // namespace supd::blob
