#include <supd/base/clock.hpp>

namespace supd::base {
namespace {

void put(char* out, int digits, long value) {
    for (int i = digits - 1; i >= 0; --i) {
        out[i] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
}

}  // namespace

Millis wall_clock_ms() noexcept {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

void append_time(std::string& out, Millis ms) {
    using namespace std::chrono;
    const sys_time<milliseconds> at{milliseconds{ms}};
    const auto day = floor<days>(at);
    const year_month_day date{day};
    const auto in_day = (at - day).count();
    char text[kTimeText + 1] = "0000-00-00T00:00:00.000Z";
    put(text, 4, int{date.year()});
    put(text + 5, 2, static_cast<long>(unsigned{date.month()}));
    put(text + 8, 2, static_cast<long>(unsigned{date.day()}));
    put(text + 11, 2, in_day / 3'600'000);
    put(text + 14, 2, in_day / 60'000 % 60);
    put(text + 17, 2, in_day / 1000 % 60);
    put(text + 20, 3, in_day % 1000);
    out.append(text, kTimeText);
}

std::string format_time(Millis ms) {
    std::string out;
    append_time(out, ms);
    return out;
}

}  // namespace supd::base
