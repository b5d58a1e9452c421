import DiffusionModels
import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import TestSupport
import Testing

/// What ranks take down, and how it comes onto one clock.
@Suite struct TraceTests {
    private func event(_ number: Int, kind: TraceEvent.Kind = .task, leg: Leg = .down) -> TraceEvent {
        TraceEvent(
            kind: kind,
            subject: TraceSubject(content: .leg(leg), job: 1, branch: .conditional, number: UInt32(number)),
            start: Int64(number), end: Int64(number) + 1, peer: kind == .task ? -1 : 0, bytes: 7)
    }

    @Test func theOldestStayAndTheRestIsCounted() {
        let recorder = TraceRecorder(capacity: 10)
        for number in 0..<25 { recorder.record(event(number)) }
        let (events, dropped) = recorder.snapshot()
        #expect(events == (0..<10).map { event($0) })
        #expect(dropped == 15)
        #expect(TraceRecorder(capacity: 4).snapshot().events.isEmpty)
    }

    @Test func manyThreadsLoseNothing() async {
        let recorder = TraceRecorder(capacity: 50_000)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                group.addTask {
                    for number in 0..<5000 { recorder.record(event(thread * 5000 + number)) }
                }
            }
            // What is read meanwhile is whole.
            for _ in 0..<100 {
                #expect(recorder.snapshot().events.allSatisfy { $0.end == $0.start + 1 && $0.bytes == 7 })
            }
        }
        let (events, dropped) = recorder.snapshot()
        #expect(dropped == 0)
        #expect(Set(events.map(\.start)).count == 40_000)
    }

    @Test func aTraceTravelsAndDamageIsAnError() throws {
        let trace = RankTrace(
            hostName: "node-ü", readings: [ClockReading(time: 5, offset: -9, roundTrip: 2)],
            events: [event(1), event(2, kind: .sent, leg: .upGradient), event(3, kind: .received)], dropped: 4)
        var writer = ByteWriter()
        writer.write(trace)
        var reader = ByteReader(writer.bytes, subject: "a trace")
        #expect(try reader.readTrace() == trace)
        for count in writer.bytes.indices {
            var short = ByteReader(Array(writer.bytes[..<count]), subject: "a trace")
            #expect(throws: Failure.self) { try short.readTrace() }
        }
        // Whatever byte is changed, it is read or refused.
        for index in writer.bytes.indices {
            var bytes = writer.bytes
            bytes[index] ^= 0xff
            var damaged = ByteReader(bytes, subject: "a trace")
            _ = try? damaged.readTrace()
        }
    }

    @Test func clocksAreComparedHalfWay() {
        let apart = ClockReading(asked: 1000, answered: 1200, reference: 51_100, isSameClock: false)
        #expect(apart == ClockReading(time: 1100, offset: 50_000, roundTrip: 200))
        let same = ClockReading(asked: 1000, answered: 1200, reference: 1170, isSameClock: true)
        #expect(same.offset == 0)
        // One machine, but a container with a clock of its own.
        let moved = ClockReading(asked: 1000, answered: 1200, reference: 9100, isSameClock: true)
        #expect(moved.offset == 8000)
    }

    @Test func driftIsInterpolated() {
        let readings = [
            ClockReading(time: 1_000_000, offset: 500, roundTrip: 1),
            ClockReading(time: 3_000_000, offset: 900, roundTrip: 1),
        ]
        let trace = RankTrace(hostName: "a", readings: readings, events: [], dropped: 0)
        #expect(trace.reference(at: 1_000_000) == 1_000_500)
        #expect(trace.reference(at: 2_000_000) == 2_000_700)
        #expect(trace.reference(at: 3_000_000) == 3_000_900)
        #expect(trace.reference(at: 3_500_000) == 3_501_000)
        let once = RankTrace(hostName: "a", readings: [readings[0]], events: [], dropped: 0)
        #expect(once.reference(at: 9) == 509)
        #expect(RankTrace(hostName: "a", readings: [], events: [], dropped: 0).reference(at: 9) == 9)
    }

    /// Ranks with clocks years apart: on one clock the message arrives after it left.
    @Test func ranksOfDifferentClocksAreBroughtTogether() throws {
        let offset: Int64 = 1 << 55
        func moment(_ kind: TraceEvent.Kind, _ start: Int64, _ end: Int64, peer: Int32) -> TraceEvent {
            TraceEvent(
                kind: kind, subject: TraceSubject(content: .leg(.down), job: 1, branch: .unconditional, number: 1),
                start: start, end: end, peer: peer, bytes: 1000)
        }
        let first = RankTrace(
            hostName: "a\"\\\u{1}", readings: [],
            events: [moment(.task, 1000, 2_001_000, peer: -1), moment(.sent, 2_001_000, 2_002_000, peer: 1)], dropped: 0
        )
        let second = RankTrace(
            hostName: "<b>", readings: [ClockReading(time: 0, offset: offset, roundTrip: 10)],
            events: [
                moment(.received, 2_501_000 - offset, 2_502_000 - offset, peer: 0),
                moment(.task, 3_001_000 - offset, 4_001_000 - offset, peer: -1),
            ], dropped: 3)
        let path = FileManager.default.temporaryDirectory.appending(path: "trace-\(UUID().uuidString).json").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try JobTrace(layout: Layout(branches: 1, stages: [0..<1, 1..<3]), ranks: [first, second]).write(to: path)
        _ = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
        let file = try TraceFile(path)
        #expect(file.names == ["rank 0 on a\"\\\u{1}, rung 0", "rank 1 on <b>, rungs 1..2"])
        #expect(file.dropped == 3)
        #expect(file.sentBytes == [1000, 0])
        let arrow = try #require(file.arrows.first)
        #expect(file.arrows.count == 1 && arrow.source == 0 && arrow.destination == 1)
        #expect(abs(arrow.sent - 2e-3) < 1e-9 && abs(arrow.received - 2.5e-3) < 1e-9)
        func seconds(_ rank: Int, _ kind: TraceFile.Kind) -> Double {
            file.spans.filter { $0.rank == rank && $0.kind == kind }.reduce(0) { $0 + $1.seconds }
        }
        #expect(abs(file.seconds - 4e-3) < 1e-9)
        #expect(abs(seconds(1, .compute) - 1e-3) < 1e-9)
        #expect(abs(seconds(1, .wait) - 2e-3) < 1e-9)
        #expect(abs(seconds(1, .communicate) - 1e-3) < 1e-9)
        #expect(abs(seconds(0, .compute) - 2e-3) < 1e-9)
        #expect(abs(seconds(0, .wait) - 2e-3) < 1e-9)
    }
}
