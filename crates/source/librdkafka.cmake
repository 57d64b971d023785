# What librdkafka 2.12's CMake build forgets to tell its sources, and its other build does: which atomic operations the
# compiler has. Without it `rd_atomic32_set` answers the new value in the place of the old one, so that the client never
# says that all brokers are down, and never looks for them at `bootstrap` again.
add_compile_definitions(HAVE_ATOMICS_32_ATOMIC=1 HAVE_ATOMICS_64_ATOMIC=1)
