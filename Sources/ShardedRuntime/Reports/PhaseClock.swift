/// Measures tasks as they happen, one after the other.
struct PhaseClock {
    private let recorder: TraceRecorder?
    private let waited: () -> Int64
    private let start = MonotonicTime.now()
    private var counted = PhaseTimes()
    private var lastEnd: Int64

    /// - Parameters:
    ///   - recorder: takes down each task.
    ///   - waited: the nanoseconds in which tasks waited for other ranks so far.
    init(_ recorder: TraceRecorder? = nil, waited: @escaping () -> Int64 = { 0 }) {
        self.recorder = recorder
        self.waited = waited
        lastEnd = start
    }

    /// What was counted up to now.
    var times: PhaseTimes {
        var times = counted
        times.elapsedSeconds = MonotonicTime.seconds(MonotonicTime.now() - start)
        return times
    }

    /// Runs `body` and counts its time, whether it succeeds or throws.
    ///
    /// - Parameter sent: when another rank sent what the task starts from; nil if none did, or it is not known.
    mutating func measure<Value>(_ task: StageTask, sent: Int64?, _ body: () throws -> Value) rethrows -> Value {
        let begin = MonotonicTime.now()
        if let sent {
            counted.communicatingSeconds += MonotonicTime.seconds(max(0, begin - max(sent, lastEnd)))
        }
        let waitedBefore = waited()
        defer {
            let end = MonotonicTime.now()
            lastEnd = end
            let waiting = waited() - waitedBefore
            counted.communicatingSeconds += MonotonicTime.seconds(waiting)
            count(task, MonotonicTime.seconds(end - begin - waiting))
            recorder?.record(task, from: begin, to: end)
        }
        return try body()
    }

    private mutating func count(_ task: StageTask, _ seconds: Double) {
        switch task {
        case .leg(_, let leg) where leg.isGradient:
            counted.backwardCount += leg == .upGradient ? 1 : 0
            counted.backwardSeconds += seconds
        case .leg(_, let leg):
            counted.forwardCount += leg == .down ? 1 : 0
            counted.forwardSeconds += seconds
        case .picture: counted.pictureSeconds += seconds
        }
    }
}
