import CSharedMemory
import Synchronization

/// The way between strips whose ranks are on one machine: bytes through memory that all of them have mapped.
///
/// Each of two ranks writes into a ring that the other reads; who has written or read rings the other's bell. All calls
/// come from one thread of each rank.
public final class StripMemory: Sendable {
    /// Bytes on their way from one rank to another: few enough to stay in a core's cache, of all others together.
    private static func capacity(members: Int) -> Int { max(32 << 10, min(256 << 10, (1 << 20) / max(members - 1, 1))) }

    /// A neighbour that computes as much as this rank is seldom later; sleeping and waking take as long.
    private static let spinNanoseconds: Int64 = 100_000

    private let own: Int
    private let capacity: Int
    // Memory of the arena, whose rules are those of the rings: one side writes, one reads.
    private nonisolated(unsafe) let incoming: [Int: UnsafeMutableRawPointer]
    private nonisolated(unsafe) let outgoing: [Int: UnsafeMutableRawPointer]
    private nonisolated(unsafe) let bells: [Int: UnsafeMutableRawPointer]
    private let arena: SharedArena
    private let awaitedStrip = Atomic(-1)

    /// What an arena for so many ranks must hold.
    public static func byteCount(members: Int) -> Int {
        // With room for the pages that blocks begin at.
        members * (page + (members - 1) * (capacity(members: members) + 2 * page))
    }

    private static let page = 4096

    /// - Parameters:
    ///   - arena: of all `members`.
    ///   - members: the strips on this machine, this one among them.
    ///   - own: this strip.
    /// - Returns: nil if the arena has no room.
    /// - Throws: `Failure.internalFault` if the arena is damaged.
    public init?(in arena: SharedArena, members: [Int], own: Int) throws {
        func block(_ name: String, _ byteCount: Int) throws -> UnsafeMutableRawPointer? {
            let bytes = try arena.block(called: name, byteCount: byteCount) {
                $0.initializeMemory(as: UInt8.self, repeating: 0)
            }
            return bytes?.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) }
        }
        var (incoming, outgoing, bells):
            ([Int: UnsafeMutableRawPointer], [Int: UnsafeMutableRawPointer], [Int: UnsafeMutableRawPointer]) = (
                [:], [:], [:]
            )
        let capacity = Self.capacity(members: members.count)
        for member in members {
            guard let bell = try block("strip bell \(member)", pilot_bell_bytes()) else { return nil }
            bells[member] = bell
            guard member != own else { continue }
            let bytes = pilot_ring_head_bytes() + capacity
            guard let to = try block("strip ring \(own) to \(member)", bytes),
                let from = try block("strip ring \(member) to \(own)", bytes)
            else { return nil }
            outgoing[member] = to
            incoming[member] = from
        }
        self.arena = arena
        self.own = own
        self.capacity = capacity
        self.incoming = incoming
        self.outgoing = outgoing
        self.bells = bells
    }

    /// The strips that are reached this way.
    public var others: Set<Int> { Set(outgoing.keys) }

    /// The strip for which the computing thread waits.
    public var awaited: Int? {
        let strip = awaitedStrip.load(ordering: .relaxed)
        return strip < 0 ? nil : strip
    }

    /// Begins to give and to take: as much as there is room for, and as has come.
    ///
    /// - Precondition: the exchange before is finished.
    public func begin(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) -> Transfer {
        let transfer = Transfer(self, outgoing, incoming)
        while transfer.move() {}
        return transfer
    }

    /// Gives and takes until all is given and taken.
    public func exchange(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) {
        begin(outgoing, incoming).finish()
    }

    /// An exchange under way, on the thread that began it. Bytes move in its calls alone.
    public final class Transfer {
        private let memory: StripMemory
        private let outgoing: [(strip: Int, bytes: StripBytes)]
        private let incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
        private var given: [Int]
        private var taken: [Int]

        fileprivate init(
            _ memory: StripMemory, _ outgoing: [(strip: Int, bytes: StripBytes)],
            _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
        ) {
            self.memory = memory
            self.outgoing = outgoing
            self.incoming = incoming
            given = [Int](repeating: 0, count: outgoing.count)
            taken = [Int](repeating: 0, count: incoming.count)
        }

        /// Whether all is given and taken.
        public var isFinished: Bool {
            zip(outgoing, given).allSatisfy { $0.bytes.count == $1 } && awaited == nil
        }

        /// Waits until it is.
        public func finish() {
            guard let bell = memory.bells[memory.own] else { return }
            while true {
                let rings = pilot_bell_count(bell)
                let moves = move()
                if isFinished { return }
                guard !moves else { continue }
                memory.awaitedStrip.store(awaited ?? -1, ordering: .relaxed)
                pilot_bell_wait(bell, rings, StripMemory.spinNanoseconds)
                memory.awaitedStrip.store(-1, ordering: .relaxed)
            }
        }

        /// The first strip of which something has not come.
        private var awaited: Int? { zip(incoming, taken).first { $0.target.count > $1 }?.0.strip }

        /// Gives and takes what can be without waiting; returns whether that was anything.
        fileprivate func move() -> Bool {
            var moves = false
            // Of several to one strip, and of several from one, the next begins when the one before is done.
            var (busyTargets, busySources): (Set<Int>, Set<Int>) = ([], [])
            for (index, parcel) in outgoing.enumerated()
            where given[index] < parcel.bytes.count && !busyTargets.contains(parcel.strip) {
                let count = memory.put(parcel.bytes, from: given[index], to: parcel.strip)
                given[index] += count
                moves = moves || count > 0
                if given[index] < parcel.bytes.count { busyTargets.insert(parcel.strip) }
            }
            for (index, parcel) in incoming.enumerated()
            where taken[index] < parcel.target.count && !busySources.contains(parcel.strip) {
                let count = memory.take(parcel.target, from: taken[index], of: parcel.strip)
                taken[index] += count
                moves = moves || count > 0
                if taken[index] < parcel.target.count { busySources.insert(parcel.strip) }
            }
            return moves
        }
    }

    private func put(_ bytes: StripBytes, from first: Int, to strip: Int) -> Int {
        guard let ring = outgoing[strip] else { return 0 }
        let count = bytes.withUnsafeBytes { bytes in
            bytes.baseAddress.map { pilot_ring_put(ring, capacity, $0 + first, bytes.count - first) } ?? 0
        }
        if count > 0, let bell = bells[strip] { pilot_bell_ring(bell) }
        return count
    }

    private func take(_ target: UnsafeMutableRawBufferPointer, from first: Int, of strip: Int) -> Int {
        guard let ring = incoming[strip], let base = target.baseAddress else { return 0 }
        let count = pilot_ring_take(ring, capacity, base + first, target.count - first)
        if count > 0, let bell = bells[strip] { pilot_bell_ring(bell) }
        return count
    }
}
