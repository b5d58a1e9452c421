import Foundation
import Synchronization
import TensorKernels

/// One picture cut into strips, each on a thread of its own with a context of its own: what ranks do, without messages.
public struct StripsOnThreads: Sendable {
    private let grid: StripGrid
    private let delays: Bool

    /// - Parameter delays: whether each strip waits now and then for a while, another every time.
    public init(_ grid: StripGrid, delays: Bool = false) {
        self.grid = grid
        self.delays = delays
    }

    /// Calls `body` for every strip at the same time, and gives the results from the top down.
    ///
    /// - Parameter context: makes each strip's context.
    public func callAsFunction<Value: Sendable>(
        context: @escaping @Sendable () throws -> ComputeContext,
        _ body: @escaping @Sendable (_ context: ComputeContext) throws -> Value
    ) throws -> [Value] {
        let meeting = Meeting()
        let results = Mutex<[Int: Result<Value, any Error>]>([:])
        let finished = DispatchSemaphore(value: 0)
        for strip in 0..<grid.strips {
            let exchange = Exchange(strip: strip, meeting: meeting, delays: delays)
            let work: @Sendable () -> Void = { [grid] in
                let result = Result { try body(context().with(grid, exchange)) }
                results.withLock { $0[strip] = result }
                finished.signal()
            }
            let thread = Thread(block: work)
            thread.stackSize = 16 << 20
            thread.start()
        }
        for _ in 0..<grid.strips { finished.wait() }
        return try results.withLock { results in try results.sorted { $0.key < $1.key }.map { try $0.value.get() } }
    }

    private struct Exchange: StripExchange {
        let strip: Int
        let meeting: Meeting
        let delays: Bool

        func begin(
            _ outgoing: [(strip: Int, bytes: StripBytes)],
            _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
        ) -> any StripTransfer {
            pause()
            for (other, bytes) in outgoing { meeting.leave(bytes, from: strip, for: other) }
            return Transfer(self, incoming)
        }

        func pause() { if delays { usleep(UInt32.random(in: 0..<300)) } }
    }

    private final class Transfer: StripTransfer {
        private let exchange: Exchange
        /// What was not taken yet.
        private var incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]

        init(_ exchange: Exchange, _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]) {
            self.exchange = exchange
            self.incoming = incoming
        }

        func wait(for strip: Int) throws { try take { $0 == strip } }

        /// With delays each strip's comes as late as can be, so that all is done piece by piece that can be.
        func hasCome(from strip: Int) -> Bool { !exchange.delays || !incoming.contains { $0.strip == strip } }

        func finish() throws { try take { _ in true } }

        private func take(_ isWanted: (_ strip: Int) -> Bool) throws {
            exchange.pause()
            for (other, target) in incoming where isWanted(other) {
                let bytes = try exchange.meeting.take(from: other, for: exchange.strip)
                guard bytes.count == target.count else { throw Misfit(expected: target.count, found: bytes.count) }
                bytes.withUnsafeBytes { target.copyMemory(from: $0) }
            }
            incoming.removeAll { isWanted($0.strip) }
        }
    }

    private struct Misfit: Error {
        let expected: Int
        let found: Int
    }
}

/// Where the threads leave what they give each other.
private final class Meeting: Sendable {
    struct LeftAlone: Error {}

    private struct Way: Hashable {
        let from: Int
        let to: Int
    }

    private let left = Mutex<[Way: [StripBytes]]>([:])

    func leave(_ bytes: StripBytes, from: Int, for other: Int) {
        left.withLock { $0[Way(from: from, to: other), default: []].append(bytes) }
    }

    func take(from other: Int, for strip: Int) throws -> StripBytes {
        let way = Way(from: other, to: strip)
        // A minute of looking every twentieth of a millisecond.
        for _ in 0..<1_200_000 {
            let first = left.withLock { left -> StripBytes? in
                guard left[way]?.isEmpty == false else { return nil }
                return left[way]?.removeFirst()
            }
            if let first { return first }
            usleep(50)
        }
        throw LeftAlone()
    }
}
