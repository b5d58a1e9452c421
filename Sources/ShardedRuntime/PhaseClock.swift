/// Measures evaluations as they happen, one after the other.
struct PhaseClock {
    enum Phase {
        case forward, backward
    }

    private(set) var times = PhaseTimes()
    private var lastEnd: ContinuousClock.Instant?

    /// Runs `body` and counts its time, whether it succeeds or throws.
    mutating func measure<Value>(_ phase: Phase, _ body: () throws -> Value) rethrows -> Value {
        let start = ContinuousClock.now
        if let lastEnd { times.idleSeconds += seconds(start - lastEnd) }
        defer { count(phase, from: start, to: .now) }
        return try body()
    }

    private mutating func count(
        _ phase: Phase, from start: ContinuousClock.Instant, to end: ContinuousClock.Instant
    ) {
        lastEnd = end
        switch phase {
        case .forward:
            times.forwardCount += 1
            times.forwardSeconds += seconds(end - start)
        case .backward:
            times.backwardCount += 1
            times.backwardSeconds += seconds(end - start)
        }
    }

    private func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}
