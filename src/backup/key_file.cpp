#include "file.hpp"

#include <supd/backup/archive.hpp>
#include <supd/crypto/bytes.hpp>
#include <supd/crypto/sealed_stream.hpp>

#include <fcntl.h>
#include <sys/stat.h>

namespace supd::backup {
namespace {

// A line that says what it is, so that nobody throws it away or mistakes another file for it.
constexpr std::string_view kBegin = "supd-backup-key-1 ";
constexpr std::size_t kMaxKeyFile = 256;

}  // namespace

void make_key_file(const std::filesystem::path& path) {
    File file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    file.write(std::string(kBegin) + crypto::random_token() + "\n");
    file.sync();
}

base::Secret read_key_file(const std::filesystem::path& path) {
    File file(path, O_RDONLY);
    struct stat info{};
    if (::fstat(file.get(), &info) != 0 || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        throw ArchiveError(path.string() + " is open to other users; it must have mode 0600");
    base::Secret content(file.read(kMaxKeyFile));
    std::string_view text = content.reveal();
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    if (text.starts_with(kBegin)) {
        if (auto key = crypto::from_base64url(text.substr(kBegin.size())); key)
            if (key->size() == crypto::kSealKeyBytes) return base::Secret(std::move(*key));
    }
    throw ArchiveError(path.string() + " holds no backup key; `supd backup key` makes one");
}

}  // namespace supd::backup
