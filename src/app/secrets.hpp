// Secrets that supd makes for itself: files of mode 0600 in <data_dir>/secrets (0700).
#pragma once

#include "config.hpp"

#include <supd/base/secret.hpp>

#include <filesystem>
#include <string>

namespace supd::app {

inline constexpr std::size_t kGeneratedSecretBytes = 48;

/// The secret of that name, made by getrandom when there is none. Processes that start at once get the same.
/// Throws ConfigError when the file is open to others or cannot be had.
base::Secret generated_secret(const std::filesystem::path& data_dir, const std::string& name);

/// Fills auth.jwt_secret when it is not configured (development mode only: load_config refuses that in
/// production).
void fill_generated_secrets(Config& config);

}  // namespace supd::app
