/// Measures tasks as they happen, one after the other.
struct PhaseClock {
    private(set) var times = PhaseTimes()
    private var lastEnd: ContinuousClock.Instant?

    /// Runs `body` and counts its time, whether it succeeds or throws.
    mutating func measure<Value>(_ task: StageTask, _ body: () throws -> Value) rethrows -> Value {
        let start = ContinuousClock.now
        if let lastEnd { times.idleSeconds += seconds(start - lastEnd) }
        defer { count(task, from: start, to: .now) }
        return try body()
    }

    private mutating func count(
        _ task: StageTask, from start: ContinuousClock.Instant, to end: ContinuousClock.Instant
    ) {
        lastEnd = end
        let passed = seconds(end - start)
        switch task {
        case .leg(_, let leg) where leg.isGradient:
            times.backwardCount += leg == .upGradient ? 1 : 0
            times.backwardSeconds += passed
        case .leg(_, let leg):
            times.forwardCount += leg == .down ? 1 : 0
            times.forwardSeconds += passed
        case .picture: times.pictureSeconds += passed
        }
    }

    private func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}
