/// When a log is due for another line: the rarer the longer a job takes, so that a week's log can be read.
struct LogPace {
    private static let leastSeconds = 5.0
    /// Of the time that has passed.
    private static let share = 0.05
    private static let mostSeconds = 600.0

    private var last: Double?

    /// - Parameter seconds: since the job began.
    mutating func isDue(at seconds: Double) -> Bool {
        let gap = min(max(Self.leastSeconds, Self.share * seconds), Self.mostSeconds)
        if let last, seconds - last < gap { return false }
        last = seconds
        return true
    }
}
