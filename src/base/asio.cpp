// Asio's functions, compiled here once instead of in each file that uses them
// (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
