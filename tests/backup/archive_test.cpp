#include <supd/backup/archive.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <random>

namespace supd::backup {
namespace {

namespace fs = std::filesystem;

class Archive : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = fs::temp_directory_path() / "supd-archive-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
        make_key_file(folder_ / "key");
        key_ = read_key_file(folder_ / "key");
    }
    void TearDown() override { fs::remove_all(folder_); }

    Head head() const {
        Head head;
        head.kind = "backup";
        head.supd_version = "1.2.3";
        head.schema_version = 10;
        head.postgres_version = 15;
        head.epoch = "00000000-0000-0000-0000-000000000001";
        head.created_at = "2026-01-28T14:30:22.123Z";
        return head;
    }

    fs::path written(const std::vector<std::pair<std::string, std::string>>& parts) const {
        const auto path = folder_ / "a.supd";
        ArchiveWriter writer(path, key_, head());
        for (const auto& [name, bytes] : parts) {
            writer.begin_part(name);
            writer.write(bytes);
        }
        const auto size = writer.commit();
        EXPECT_EQ(size, fs::file_size(path));
        return path;
    }

    static std::string content(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    // Refused at some point, and everything that was handed out before is as it was written.
    void expect_refused(const std::string& bytes, const std::map<std::string, std::string>& parts) {
        const auto path = folder_ / "damaged.supd";
        std::ofstream(path, std::ios::binary) << bytes;
        std::map<std::string, std::string> read;
        EXPECT_THROW(ArchiveReader(path, key_).read([&](const std::string& name, std::string_view piece) {
            read[name] += piece;
        }),
                     ArchiveError);
        for (const auto& [name, text] : read) {
            ASSERT_TRUE(parts.contains(name));
            EXPECT_TRUE(parts.at(name).starts_with(text));
        }
    }

    fs::path folder_;
    base::Secret key_;
};

std::string noise(std::size_t size) {
    std::mt19937 chance(7);
    std::string out(size, '\0');
    for (auto& c : out)
        c = static_cast<char>(chance());
    return out;
}

TEST_F(Archive, GivesBackWhatWasWritten) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kArchiveChunk - 1, kArchiveChunk,
                                   kArchiveChunk + 1, 3 * kArchiveChunk + 5}) {
        const auto large = noise(size);
        const auto path = written({{"rows", "a\t1\n"}, {"database.pgdump", large}, {"empty", ""}});
        ArchiveReader reader(path, key_);
        EXPECT_EQ(reader.head().schema_version, 10);
        EXPECT_EQ(reader.head().created_at, "2026-01-28T14:30:22.123Z");
        std::map<std::string, std::string> read;
        const auto parts =
            reader.read([&](const std::string& name, std::string_view piece) { read[name] += piece; });
        ASSERT_EQ(parts.size(), 3U);
        EXPECT_EQ(read["rows"], "a\t1\n");
        EXPECT_EQ(read["database.pgdump"], large);
        EXPECT_EQ(parts[1].bytes, size);
        EXPECT_EQ(parts[2].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        EXPECT_EQ(read_part(path, key_, "rows", 100), "a\t1\n");
        EXPECT_EQ(read_part(path, key_, "absent", 100), "");
    }
}

TEST_F(Archive, APartAboveTheLimitIsRefused) {
    const auto path = written({{"rows", std::string(101, 'x')}});
    EXPECT_THROW(read_part(path, key_, "rows", 100), ArchiveError);
}

TEST_F(Archive, IsPrivateAndShowsNothing) {
    const auto path = written({{"secret", "the text of a message"}});
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_EQ(content(path).find("message"), std::string::npos);
    EXPECT_EQ(content(path).find("schema"), std::string::npos);
}

TEST_F(Archive, CutOffAnywhereIsRefused) {
    const auto large = noise(kArchiveChunk + 100);
    const std::map<std::string, std::string> parts{{"rows", "a\t1\n"}, {"database.pgdump", large}};
    const auto whole = content(written({{"rows", "a\t1\n"}, {"database.pgdump", large}}));
    // Every length near a border (the opening, the header, each chunk, the end), and a sample between.
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto in_chunk = length < 40 ? 0 : (length - 40) % (kArchiveChunk + 17);
        const bool border = length < 80 || in_chunk < 20 || in_chunk > kArchiveChunk - 3 ||
                            whole.size() - length < 120 || length % 997 == 0;
        if (border) expect_refused(whole.substr(0, length), parts);
    }
}

TEST_F(Archive, AFlippedBitAnywhereIsRefused) {
    const auto text = noise(300);
    const std::map<std::string, std::string> parts{{"rows", "a\t1\n"}, {"database.pgdump", text}};
    const auto whole = content(written({{"rows", "a\t1\n"}, {"database.pgdump", text}}));
    for (std::size_t at = 0; at < whole.size(); ++at) {
        auto bad = whole;
        bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
        expect_refused(bad, parts);
    }
}

TEST_F(Archive, MoreAtTheEndIsRefused) {
    const std::map<std::string, std::string> parts{{"rows", "a"}};
    const auto whole = content(written({{"rows", "a"}}));
    expect_refused(whole + "x", parts);
    expect_refused(whole + whole, parts);
}

TEST_F(Archive, ChunksInAnotherOrderAreRefused) {
    const auto large = noise(3 * kArchiveChunk);
    const std::map<std::string, std::string> parts{{"database.pgdump", large}};
    const auto whole = content(written({{"database.pgdump", large}}));
    const std::size_t sealed = kArchiveChunk + 17;
    expect_refused(whole.substr(0, 40) + whole.substr(40 + sealed, sealed) + whole.substr(40, sealed) +
                       whole.substr(40 + 2 * sealed),
                   parts);
    expect_refused(whole.substr(0, 40 + sealed) + whole.substr(40 + 2 * sealed), parts);
}

TEST_F(Archive, AnotherKeyIsRefusedAndSaidSo) {
    const auto path = written({{"rows", "a"}});
    make_key_file(folder_ / "other");
    try {
        check_archive(path, read_key_file(folder_ / "other"));
        FAIL();
    } catch (const ArchiveError& error) {
        EXPECT_NE(std::string(error.what()).find("another key"), std::string::npos);
    }
}

TEST_F(Archive, WhatIsNotFinishedLeavesNothing) {
    {
        ArchiveWriter writer(folder_ / "b.supd", key_, head());
        writer.begin_part("rows");
        writer.write("a");
    }
    EXPECT_FALSE(fs::exists(folder_ / "b.supd"));
    EXPECT_FALSE(fs::exists(folder_ / ".b.supd.partial"));
}

TEST_F(Archive, AKeyFileIsPrivateAndNeverReplaced) {
    struct stat info{};
    ASSERT_EQ(::stat((folder_ / "key").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_THROW(make_key_file(folder_ / "key"), std::system_error);
    ::chmod((folder_ / "key").c_str(), 0640);
    EXPECT_THROW(read_key_file(folder_ / "key"), ArchiveError);
    std::ofstream(folder_ / "junk") << "supd-backup-key-1 tooshort\n";
    ::chmod((folder_ / "junk").c_str(), 0600);
    EXPECT_THROW(read_key_file(folder_ / "junk"), ArchiveError);
}

}  // namespace
}  // namespace supd::backup
