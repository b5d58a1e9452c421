import Synchronization

/// Takes down what a rank does, in memory that is set aside before: any thread writes at any time, none ever waits for
/// another. What does not fit is counted, and the oldest stays.
///
/// Each event claims a place by counting up, then fills it; places are filled for good. So there is nothing to lock, and
/// that is why the buffer is safe to share.
package final class TraceRecorder: @unchecked Sendable {
    /// Enough for some hundred jobs, in memory that the system grants only as it is written.
    package static let standardCapacity = 1 << 18

    private let capacity: Int
    private let events: UnsafeMutablePointer<TraceEvent>
    private let claimed = Atomic(0)
    private let filled = Atomic(0)

    package init(capacity: Int = standardCapacity) {
        self.capacity = capacity
        events = .allocate(capacity: capacity)
    }

    // Events are plain numbers: there is nothing to deinitialise.
    deinit { events.deallocate() }

    package func record(_ event: TraceEvent) {
        let place = claimed.wrappingAdd(1, ordering: .relaxed).oldValue
        guard place < capacity else { return }
        (events + place).initialize(to: event)
        filled.wrappingAdd(1, ordering: .releasing)
    }

    func record(_ task: StageTask, from start: Int64, to end: Int64) {
        record(TraceEvent(kind: .task, subject: TraceSubject(task), start: start, end: end, peer: -1, bytes: 0))
    }

    /// Takes down a message, unless it is no part of a job.
    func record(_ kind: TraceEvent.Kind, _ message: StageMessage, bytes: Int, peer: Int, from start: Int64) {
        guard let subject = TraceSubject(message) else { return }
        record(
            TraceEvent(
                kind: kind, subject: subject, start: start, end: MonotonicTime.now(),
                peer: Int32(clamping: peer), bytes: UInt64(clamping: bytes)))
    }

    /// What was taken down so far, and how many events found no place.
    package func snapshot() -> (events: [TraceEvent], dropped: Int) {
        while true {
            let filled = filled.load(ordering: .acquiring)
            let claimed = claimed.load(ordering: .relaxed)
            // Whoever has claimed a place fills it at once.
            guard filled == min(claimed, capacity) else { continue }
            return (Array(UnsafeBufferPointer(start: events, count: filled)), claimed - filled)
        }
    }
}
