import Failures
import Foundation
import MessagePassing
import ShardedRuntime
import Synchronization
import TensorKernels
import Testing

/// Exchanges that are begun first and waited for later, by messages and through memory.
@Suite struct StripWireTests {
    private static let strips = 4

    /// How the strips reach each other: all by messages, all through memory, or two and two on a machine.
    enum Way: CaseIterable {
        case messages, memory, both

        /// The strips on the machine of `strip`.
        func neighbours(of strip: Int) -> [Int] {
            switch self {
            case .messages: [strip]
            case .memory: Array(0..<StripWireTests.strips)
            case .both: strip < 2 ? [0, 1] : [2, 3]
            }
        }
    }

    /// Calls `body` for every strip at the same time.
    private func onThreads(_ way: Way, _ body: @escaping @Sendable (StripWire, Int) throws -> Void) throws {
        let layout = Layout(branches: 1, stages: [0..<1], strips: Self.strips)
        let communicators = LocalCommunicator.group(of: layout.ranks)
        let arenas = try (0..<Self.strips).map { strip in
            try SharedArena.create(byteCount: StripMemory.byteCount(members: way.neighbours(of: strip).count))
        }
        let failures = Mutex<[String]>([])
        let finished = DispatchSemaphore(value: 0)
        for strip in 0..<Self.strips {
            Thread.detachNewThread {
                defer { finished.signal() }
                do {
                    let wires = StripWires(layout, communicator: communicators[strip])
                    let wire = try #require(wires.stage)
                    let members = way.neighbours(of: strip)
                    if members.count > 1 {
                        let memory = try StripMemory(in: arenas[members[0]], members: members, own: strip)
                        wire.share(try #require(memory))
                    }
                    try body(wire, strip)
                    #expect(wires.awaited == nil)
                } catch { failures.withLock { $0.append("strip \(strip): \(error)") } }
            }
        }
        for _ in 0..<Self.strips { finished.wait() }
        #expect(failures.withLock { $0 } == [])
    }

    private static func bytes(_ round: Int, from: Int, to: Int, part: Int) -> [UInt8] {
        let count = [1, 0, 100, 70_000, 300_000, 1_500_001][(round * 7 + from * 3 + to + part) % 6]
        return (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ from &* 7 &+ to &+ part &* 3 &+ round) }
    }

    /// Two runs of bytes from each to each, begun at random times, waited for in random order and with computing in between.
    @Test(arguments: Way.allCases)
    func waitingInAnyOrder(way: Way) throws {
        try onThreads(way) { wire, strip in
            let others = (0..<Self.strips).filter { $0 != strip }
            let parts = others.flatMap { other in (0..<2).map { (other, $0) } }
            for round in 0..<12 {
                let outgoing = parts.map { other, part in
                    let bytes = Self.bytes(round, from: strip, to: other, part: part)
                    return (strip: other, bytes: bytes.withUnsafeBytes { StripBytes($0, keeping: bytes) })
                }
                let expected = parts.map { Self.bytes(round, from: $0, to: strip, part: $1) }
                let targets = expected.map {
                    UnsafeMutableRawBufferPointer.allocate(byteCount: $0.count, alignment: 64)
                }
                defer { for target in targets { target.deallocate() } }
                usleep(UInt32.random(in: 0..<2000))
                let transfer = try wire.begin(outgoing, zip(parts, targets).map { ($0.0, $1) })
                for awaited in (0..<Self.strips).shuffled().prefix(round % (Self.strips + 1)) {
                    usleep(UInt32.random(in: 0..<1000))
                    try transfer.wait(for: awaited)
                    #expect(transfer.hasCome(from: awaited))
                    for (index, part) in parts.enumerated() where part.0 == awaited {
                        #expect(targets[index].elementsEqual(expected[index]), "round \(round), \(part) to \(strip)")
                    }
                }
                try transfer.finish()
                for (target, expected) in zip(targets, expected) { #expect(target.elementsEqual(expected)) }
            }
        }
    }

    /// After an error between begin and finish the targets are freed; nothing writes there any more, and the next exchange is
    /// refused and not filled with what belongs to the abandoned one.
    @Test(arguments: Way.allCases)
    func abandoned(way: Way) throws {
        try onThreads(way) { wire, strip in
            let others = (0..<Self.strips).filter { $0 != strip }
            let bytes = [UInt8](repeating: 7, count: 100_000)
            let outgoing = others.map { ($0, bytes.withUnsafeBytes { StripBytes($0, keeping: bytes) }) }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 300_000, alignment: 64)
            defer { memory.deallocate() }
            let targets = others.indices.map {
                UnsafeMutableRawBufferPointer(rebasing: memory[$0 * 100_000..<($0 + 1) * 100_000])
            }
            _ = try wire.begin(outgoing, zip(others, targets).map { ($0, $1) })
            memory.initializeMemory(as: UInt8.self, repeating: 1)
            usleep(20_000)
            #expect(memory.allSatisfy { $0 == 1 })
            #expect(throws: Failure.self) { try wire.exchange(outgoing, []) }
            #expect(memory.allSatisfy { $0 == 1 })
        }
    }

    /// Whoever waits for a strip that is late says so, and not while it only has begun.
    @Test func lateStrips() throws {
        let layout = Layout(branches: 1, stages: [0..<1], strips: 2)
        let communicators = LocalCommunicator.group(of: layout.ranks)
        let wires = communicators.map { StripWires(layout, communicator: $0) }
        let first = try #require(wires[0].stage)
        let second = try #require(wires[1].stage)
        let done = DispatchSemaphore(value: 0)
        let isBegun = DispatchSemaphore(value: 0)
        let mayWait = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { target in
                let transfer = try? first.begin([], [(1, target)])
                isBegun.signal()
                mayWait.wait()
                try? transfer?.wait(for: 1)
                try? transfer?.finish()
            }
            done.signal()
        }
        isBegun.wait()
        #expect(wires[0].awaited == nil)
        mayWait.signal()
        let limit = ContinuousClock.now + .seconds(20)
        while wires[0].awaited != 1, .now < limit { usleep(1000) }
        #expect(wires[0].awaited == 1)
        let one: [UInt8] = [7]
        try second.exchange([(0, one.withUnsafeBytes { StripBytes($0, keeping: one) })], [])
        done.wait()
        #expect(wires[0].awaited == nil)
    }
}
