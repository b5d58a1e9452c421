import Failures
import MessagePassing
import Synchronization
import TensorKernels

/// Brings bytes from strip to strip: through memory where ranks share a machine, else by messages. The compute thread waits
/// here for what the others give.
public final class StripWire: StripExchange {
    /// What is smaller travels in a message's head: one message instead of two.
    private static let smallByteCount = 64 << 10

    private struct Inbox {
        /// What came, by rank.
        var messages: [Int: Queue<Message>] = [:]
        /// The rank that the compute thread waits for.
        var awaited: Int?
    }

    public let strip: Int
    /// The rank of each strip, from the top down.
    let ranks: [Int]
    private let channel: UInt32
    private let communicator: any Communicator
    private let inbox = Monitor(Inbox())
    private let counts = Mutex(StripCounts())
    private let memory = Mutex<StripMemory?>(nil)
    /// Whether an exchange is under way.
    private let isBusy = Mutex(false)

    /// The way of this rank to others; nil where there are none, or it is none of them.
    ///
    /// - Parameter ranks: of all strips, from the top down.
    init?(among ranks: [Int], channel: UInt32, communicator: any Communicator) {
        guard ranks.count > 1, let strip = ranks.firstIndex(of: communicator.rank) else { return nil }
        self.communicator = communicator
        self.strip = strip
        self.ranks = ranks
        self.channel = channel
        let inbox = inbox
        communicator.subscribe(to: channel) { message in
            inbox.change { $0.messages[message.source, default: Queue()].append(message) }
        }
    }

    /// The rank for which the compute thread waits.
    var awaited: Int? {
        inbox.withLock { $0.awaited } ?? memory.withLock { $0?.awaited }.map { ranks[$0] }
    }

    /// What was exchanged so far, and how long the compute thread waited for it.
    var counted: StripCounts { counts.withLock { $0 } }

    /// From now on reaches the strips on this machine through memory.
    public func share(_ memory: StripMemory) { self.memory.withLock { $0 = memory } }

    public func begin(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) throws -> any StripTransfer {
        try isBusy.withLock { isBusy in
            guard !isBusy else {
                throw Failure.internalFault("an exchange between strips was begun before the last one was finished")
            }
            isBusy = true
        }
        let memory = memory.withLock { $0 }
        let near = memory?.others ?? []
        for (other, bytes) in outgoing where !near.contains(other) { send(bytes, to: ranks[other]) }
        // What is given by messages is under way by itself, so nobody waits for this rank meanwhile.
        let nearby = outgoing.filter { near.contains($0.strip) }
        counts.withLock { $0.sharedBytes += nearby.reduce(0) { $0 + $1.bytes.count } }
        return Transfer(
            self, near: countingTime { memory?.begin(nearby, incoming.filter { near.contains($0.strip) }) },
            far: incoming.filter { !near.contains($0.strip) })
    }

    /// An exchange under way. Messages come into memory of their own, and are copied to their targets here.
    private final class Transfer: StripTransfer {
        private let wire: StripWire
        private let near: StripMemory.Transfer?
        /// What was not taken yet.
        private var far: [(strip: Int, target: UnsafeMutableRawBufferPointer)]

        init(
            _ wire: StripWire, near: StripMemory.Transfer?,
            far: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
        ) {
            self.wire = wire
            self.near = near
            self.far = far
        }

        func wait(for strip: Int) throws {
            try wire.countingTime {
                // All of it: those on this machine can't go on with theirs while this thread computes.
                near?.finish()
                try take { $0 == strip }
            }
        }

        func hasCome(from strip: Int) -> Bool {
            near?.isFinished != false && wire.hasMessages(far.count { $0.strip == strip }, from: wire.ranks[strip])
        }

        func finish() throws {
            try wire.countingTime {
                near?.finish()
                try take { _ in true }
            }
            wire.isBusy.withLock { $0 = false }
        }

        private func take(_ isWanted: (_ strip: Int) -> Bool) throws {
            for (strip, target) in far where isWanted(strip) { try wire.receive(target, from: wire.ranks[strip]) }
            far.removeAll { isWanted($0.strip) }
        }
    }

    /// Counts the time of `body` as that in which the compute thread could do nothing.
    private func countingTime<Result>(_ body: () throws -> Result) rethrows -> Result {
        let start = MonotonicTime.now()
        let result = try body()
        let waited = MonotonicTime.now() - start
        counts.withLock { $0.waitedNanoseconds += waited }
        return result
    }

    private func hasMessages(_ count: Int, from rank: Int) -> Bool {
        count == 0 || inbox.withLock { $0.messages[rank].map { $0.count >= count } ?? false }
    }

    private func send(_ bytes: StripBytes, to rank: Int) {
        let tag = MessageTag(channel: channel)
        if bytes.count <= Self.smallByteCount {
            communicator.post(bytes.withUnsafeBytes(Array.init), to: rank, tag: tag)
        } else {
            communicator.post(head: [], payload: StripRegion(bytes: bytes), to: rank, tag: tag)
        }
    }

    private func receive(_ target: UnsafeMutableRawBufferPointer, from rank: Int) throws {
        let message = inbox.wait { inbox -> Message? in
            if let message = inbox.messages[rank]?.popFirst() {
                inbox.awaited = nil
                return message
            }
            inbox.awaited = rank
            return nil
        }
        // A wait without a limit ends with a message alone.
        guard let message else { preconditionFailure("a wait without a limit gave up") }
        func take(_ bytes: UnsafeRawBufferPointer) throws {
            guard bytes.count == target.count else {
                throw Failure.internalFault(
                    "rank \(rank) gave \(bytes.count) bytes of its strip, and \(target.count) were expected: are all ranks "
                        + "of one version?")
            }
            target.copyMemory(from: bytes)
        }
        if let payload = message.payload {
            try payload.withUnsafeBytes(take)
        } else {
            try message.head.withUnsafeBytes(take)
        }
    }
}

/// What a rank gave other strips.
struct StripCounts: Sendable, Equatable {
    /// Bytes through memory, which the communicator knows nothing of.
    var sharedBytes = 0
    /// In which the compute thread could do nothing.
    var waitedNanoseconds: Int64 = 0
}

private struct StripRegion: ByteRegion {
    let bytes: StripBytes

    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes(body)
    }
}
