#include "blob/s3_answers.hpp"

#include <supd/blob/store.hpp>

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace supd::blob {
namespace {

namespace fs = std::filesystem;

class FolderStore : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = fs::temp_directory_path() / "supd-blob-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
        store_ = folder_store(folder_ / "store");
    }
    void TearDown() override { fs::remove_all(folder_); }

    fs::path file(const std::string& name, const std::string& content) const {
        std::ofstream(folder_ / name, std::ios::binary) << content;
        return folder_ / name;
    }
    static std::string content(const fs::path& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    fs::path folder_;
    std::unique_ptr<Store> store_;
};

TEST_F(FolderStore, GivesBackWhatItGot) {
    EXPECT_TRUE(store_->list("").empty());
    store_->put("a/b", file("in", "first"));
    store_->put("a/b", file("in", "second"));
    store_->put("c", file("in", "third"));
    EXPECT_EQ(store_->size("a/b"), 6U);
    EXPECT_TRUE(store_->get("a/b", folder_ / "out"));
    EXPECT_EQ(content(folder_ / "out"), "second");
    const auto all = store_->list("");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].key, "a/b");
    EXPECT_EQ(store_->list("a/").size(), 1U);
    store_->remove("a/b");
    store_->remove("a/b");
    EXPECT_FALSE(store_->size("a/b").has_value());
    EXPECT_FALSE(store_->get("a/b", folder_ / "other"));
    EXPECT_FALSE(fs::exists(folder_ / "other"));
}

TEST_F(FolderStore, KeysStayInside) {
    EXPECT_TRUE(is_key("backups/backup-20260128T143022123Z.supd"));
    for (const auto* key : {"", "/a", "a/", "a//b", "..", "a/../b", "./a", "a b", "a\\b", "\xC3\xA4"}) {
        EXPECT_FALSE(is_key(key)) << key;
        EXPECT_THROW(store_->put(key, file("in", "x")), StoreError) << key;
    }
    EXPECT_TRUE(is_key(std::string(kMaxKey, 'a')));
    EXPECT_FALSE(is_key(std::string(kMaxKey + 1, 'a')));
}

TEST_F(FolderStore, AFileThatIsNotThereIsAnError) {
    EXPECT_THROW(store_->put("a", folder_ / "absent"), StoreError);
}

TEST(S3Answers, ElementsAreFoundAndResolved) {
    const std::string xml =
        "<ListBucketResult><Contents><Key>a&amp;b</Key><Size>3</Size></Contents>"
        "<Contents><Key>c</Key><Size>4</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>";
    const auto contents = elements(xml, "Contents");
    ASSERT_EQ(contents.size(), 2U);
    EXPECT_EQ(element(contents[0], "Key"), "a&b");
    EXPECT_EQ(element(contents[1], "Size"), "4");
    EXPECT_EQ(element(xml, "Absent"), "");
    EXPECT_TRUE(elements("<Key>never closed", "Key").empty());
}

TEST(S3Store, AnEndpointIsAHostAndAPort) {
    S3Options options;
    for (const auto* endpoint :
         {"", "s3.example", "ftp://s3.example", "https://", "https://s3.example/path"}) {
        options.endpoint = endpoint;
        EXPECT_THROW(s3_store(options), std::invalid_argument) << endpoint;
    }
    options.endpoint = "https://s3.example:9000/";
    EXPECT_NO_THROW(s3_store(options));
}

TEST(S3Store, NobodyThereIsAnErrorWithoutSecrets) {
    S3Options options;
    options.endpoint = "http://127.0.0.1:1";
    options.bucket = "b";
    options.access_key = "key";
    options.secret_key = base::Secret("do not print me");
    try {
        s3_store(options)->list("");
        FAIL();
    } catch (const StoreError& error) {
        EXPECT_EQ(std::string(error.what()).find("do not print"), std::string::npos);
    }
}

}  // namespace
}  // namespace supd::blob
