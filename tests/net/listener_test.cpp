// Accepting, caps, deadlines, and TLS with a certificate that is replaced while serving.
#include <supd/async/task_group.hpp>
#include <supd/net/listener.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace supd::net {
namespace {

int dial(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    return fd;
}

bool ended(int fd, int timeout_ms = 5000) {
    pollfd waiting{fd, POLLIN, 0};
    char byte;
    return ::poll(&waiting, 1, timeout_ms) == 1 && ::recv(fd, &byte, 1, 0) <= 0;
}

// Sends back what comes.
class EchoServer {
public:
    explicit EchoServer(ListenerOptions options, std::shared_ptr<TlsContext> tls = nullptr,
                        std::chrono::milliseconds deadline = std::chrono::seconds(30))
        : listener(io, std::move(options), std::move(tls), [this, deadline](std::unique_ptr<Stream> stream) {
              auto executor = stream->executor();
              stream->set_deadline(std::chrono::steady_clock::now() + deadline);
              if (stream->peer().is_loopback()) tasks.spawn(executor, echo(std::move(stream)));
          }) {
        io.start();
        listener.start();
    }
    /// All clients must have gone.
    ~EchoServer() {
        listener.stop();
        while (tasks.size() != 0)
            std::this_thread::yield();
        io.stop();
    }

    static asio::awaitable<void> echo(std::unique_ptr<Stream> stream) {
        std::string bytes(100'000, '\0');
        for (;;) {
            const auto got = co_await stream->read_some(bytes);
            if (got == 0) break;
            const iovec part{bytes.data(), got};
            const bool sent = co_await stream->write_all(std::span<const iovec>(&part, 1));
            if (!sent) break;
        }
        stream->shutdown_write();
    }

    async::TaskGroup tasks{"echo"};
    async::IoThreads io{2};
    Listener listener;
};

TEST(Listener, EchoesAndCounts) {
    EchoServer server({});
    const int fd = dial(server.listener.port());
    const std::string text(1 << 20, 'x');
    std::thread writer([&] { (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL); });
    std::string back(text.size(), '\0');
    EXPECT_EQ(::recv(fd, back.data(), back.size(), MSG_WAITALL), static_cast<ssize_t>(text.size()));
    writer.join();
    EXPECT_EQ(back, text);
    EXPECT_EQ(server.listener.connections(), 1u);
    ::close(fd);
    while (server.listener.connections() != 0)
        std::this_thread::yield();
}

TEST(Listener, ConnectionsOverTheCapAreClosed) {
    ListenerOptions options;
    options.max_connections = 3;
    EchoServer server(options);
    std::vector<int> fds;
    for (int i = 0; i < 3; ++i) {
        fds.push_back(dial(server.listener.port()));
        (void)!::send(fds.back(), "x", 1, 0);
        char byte;
        EXPECT_EQ(::recv(fds.back(), &byte, 1, 0), 1);
    }
    const int over = dial(server.listener.port());
    EXPECT_TRUE(ended(over));
    EXPECT_EQ(server.listener.refused(), 1u);
    ::close(over);
    for (const int fd : fds)
        ::close(fd);
}

TEST(Stream, TheDeadlineCloses) {
    EchoServer server({}, nullptr, std::chrono::milliseconds(100));
    const int fd = dial(server.listener.port());
    EXPECT_TRUE(ended(fd));
    ::close(fd);
}

class Tls : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/supd-tls-XXXXXX";
        folder_ = ::mkdtemp(name);
        make_certificate("one");
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    void make_certificate(const std::string& common_name, int days = 2) {
        const auto command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days " +
                             std::to_string(days) + " -subj /CN=" + common_name + " -keyout " + key() +
                             " -out " + certificate() + " 2>/dev/null";
        ASSERT_EQ(std::system(command.c_str()), 0);
    }
    std::string key() const { return folder_ + "/key.pem"; }
    std::string certificate() const { return folder_ + "/cert.pem"; }

    struct Talk {
        std::string common_name;
        std::string answer;
        std::string version;
        std::string protocol;
    };
    static Talk talk(std::uint16_t port, const std::string& text, int max_version = TLS1_3_VERSION) {
        Talk out;
        const int fd = dial(port);
        auto* context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(context, max_version);
        static constexpr unsigned char kOffer[] = "\x02h2\x08http/1.1";
        SSL_CTX_set_alpn_protos(context, kOffer, sizeof kOffer - 1);
        auto* ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        if (SSL_connect(ssl) == 1) {
            auto* peer = SSL_get1_peer_certificate(ssl);
            char name[64] = {};
            X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
            X509_free(peer);
            out.common_name = name;
            out.version = SSL_get_version(ssl);
            const unsigned char* chosen = nullptr;
            unsigned size = 0;
            SSL_get0_alpn_selected(ssl, &chosen, &size);
            out.protocol.assign(reinterpret_cast<const char*>(chosen), size);
            std::thread writer([&] {
                for (std::size_t at = 0; at < text.size(); at += 10'000)
                    SSL_write(ssl, text.data() + at,
                              static_cast<int>(std::min<std::size_t>(10'000, text.size() - at)));
            });
            writer.join();
            std::string buffer(16384, '\0');
            while (out.answer.size() < text.size()) {
                const int n = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
                if (n <= 0) break;
                out.answer.append(buffer, 0, static_cast<std::size_t>(n));
            }
        }
        SSL_free(ssl);
        SSL_CTX_free(context);
        ::close(fd);
        return out;
    }

    std::string folder_;
};

TEST_F(Tls, ServesAndReloads) {
    auto context = std::make_shared<TlsContext>(certificate(), key());
    EchoServer server({}, context);
    const std::string text(150'000, 'y');
    auto heard = talk(server.listener.port(), text);
    EXPECT_EQ(heard.common_name, "one");
    EXPECT_EQ(heard.answer, text);
    EXPECT_EQ(heard.version, "TLSv1.3");
    EXPECT_EQ(heard.protocol, "http/1.1");
    EXPECT_EQ(talk(server.listener.port(), "a", TLS1_2_VERSION).answer, "a");
    EXPECT_EQ(talk(server.listener.port(), "a", TLS1_1_VERSION).answer, "");

    EXPECT_FALSE(context->reload_if_changed().has_value());
    make_certificate("two");
    EXPECT_EQ(context->reload_if_changed(), "");
    EXPECT_EQ(talk(server.listener.port(), "a").common_name, "two");
    std::ofstream(certificate()) << "nonsense";
    EXPECT_NE(context->reload_if_changed().value_or(""), "") << "the reason is for the log";
    EXPECT_FALSE(context->reload().empty());
    EXPECT_EQ(talk(server.listener.port(), "a").common_name, "two") << "a bad new one leaves the old";

    const int plain = dial(server.listener.port());
    (void)!::send(plain, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
    char bytes[64];
    EXPECT_LE(::recv(plain, bytes, sizeof bytes, 0), 7) << "at most an alert";
    ::close(plain);
}

TEST_F(Tls, SaysWhenItsCertificateEnds) {
    const auto in_days = [](const TlsContext& context) {
        return static_cast<double>(context.expires_at().value_or(0) - std::time(nullptr)) / 86400;
    };
    TlsContext context(certificate(), key());
    EXPECT_NEAR(in_days(context), 2, 0.1);
    make_certificate("two", 30);
    EXPECT_NEAR(in_days(context), 2, 0.1) << "that of the one in use";
    EXPECT_EQ(context.reload(), "");
    EXPECT_NEAR(in_days(context), 30, 0.1);
}

TEST_F(Tls, AFaultyPairIsRefusedAtOnce) {
    EXPECT_THROW(TlsContext(folder_ + "/none.pem", key()), std::runtime_error);
    EXPECT_THROW(TlsContext(certificate(), certificate()), std::runtime_error);
}

}  // namespace
}  // namespace supd::net
