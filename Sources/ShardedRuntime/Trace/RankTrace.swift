import DiffusionModels
import Failures
import MessagePassing

/// What one rank has taken down, as it goes to rank 0.
package struct RankTrace: Sendable, Equatable {
    let hostName: String
    /// How the rank's clock stood to rank 0's, at the start and at the end; none for rank 0 itself.
    let readings: [ClockReading]
    /// In the order in which they ended, more or less.
    let events: [TraceEvent]
    /// How many more there were than the rank could keep.
    let dropped: Int

    /// What the rank behind `post` has to tell.
    init(_ post: StagePost) {
        let (events, dropped) = post.recorder?.snapshot() ?? ([], 0)
        self.init(
            hostName: post.communicator.hostName, readings: post.clock.readings, events: events, dropped: dropped)
    }

    package init(hostName: String, readings: [ClockReading], events: [TraceEvent], dropped: Int) {
        self.hostName = hostName
        self.readings = readings
        self.events = events
        self.dropped = dropped
    }

    /// Rank 0's time at the rank's `time`: between two readings the clocks drift apart evenly.
    package func reference(at time: Int64) -> Int64 {
        guard let first = readings.first, let last = readings.last else { return time }
        guard last.time > first.time else { return time + last.offset }
        let share = Double(time - first.time) / Double(last.time - first.time)
        let drift = Double(last.offset - first.offset) * share
        return time + first.offset + Int64(drift.rounded())
    }
}

extension ByteWriter {
    package mutating func write(_ trace: RankTrace) {
        write(trace.hostName)
        write(UInt8(clamping: trace.readings.count))
        for reading in trace.readings.prefix(Int(UInt8.max)) {
            write(reading.time)
            write(reading.offset)
            write(reading.roundTrip)
        }
        write(Int64(trace.dropped))
        write(UInt32(clamping: trace.events.count))
        for event in trace.events { write(event) }
    }

    private mutating func write(_ event: TraceEvent) {
        write(event.kind.rawValue)
        write(event.subject.content.code)
        write(event.subject.job)
        write(UInt8(event.subject.branch.map(\.rawValue) ?? 0xff))
        write(event.subject.number)
        write(event.start)
        write(event.end)
        write(event.peer)
        write(event.bytes)
    }
}

extension ByteReader {
    /// The bytes of an event.
    private static var eventBytes: Int { 39 }

    package mutating func readTrace() throws -> RankTrace {
        let hostName = try readText()
        let readings = try (0..<Int(try read(UInt8.self))).map { _ in
            ClockReading(
                time: try read(Int64.self), offset: try read(Int64.self), roundTrip: try read(Int64.self))
        }
        let dropped = Int(try read(Int64.self))
        let count = Int(try read(UInt32.self))
        guard count <= remaining / Self.eventBytes else {
            throw Failure.internalFault("a trace claims \(count) events, \(remaining) bytes are left")
        }
        let events = try (0..<count).map { _ in try readEvent() }
        return RankTrace(hostName: hostName, readings: readings, events: events, dropped: dropped)
    }

    private mutating func readEvent() throws -> TraceEvent {
        let kind = TraceEvent.Kind(rawValue: try read(UInt8.self))
        let content = TraceSubject.Content(code: try read(UInt8.self))
        let job = try read(UInt32.self)
        let branch = GuidanceBranch(rawValue: Int(try read(UInt8.self)))
        let number = try read(UInt32.self)
        let (start, end) = (try read(Int64.self), try read(Int64.self))
        let (peer, bytes) = (try read(Int32.self), try read(UInt64.self))
        guard let kind, let content else { throw Failure.internalFault("a trace holds an unknown kind of event") }
        return TraceEvent(
            kind: kind, subject: TraceSubject(content: content, job: job, branch: branch, number: number),
            start: start, end: end, peer: peer, bytes: bytes)
    }
}
