import Glibc

/// Moments of this machine's monotonic clock, in nanoseconds: equal for all processes of one machine, and of no meaning
/// on another one until `RankClock` has compared the two.
public enum MonotonicTime {
    public static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    static func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) * 1e-9 }

    static func nanoseconds(_ seconds: Double) -> Int64 { Int64(min(max(seconds, 0), 1e9) * 1e9) }
}
