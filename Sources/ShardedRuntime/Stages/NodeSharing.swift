import Failures
import Foundation
import Glibc
import MessagePassing
import TensorKernels

/// Which ranks are on one machine, as far as memory is concerned, and memory for them to share.
public struct NodeSharing: Sendable {
    private static let channel: UInt32 = MessageTag.firstFreeChannel + 8

    private let communicator: any Communicator
    /// A name for the machine of each rank.
    private let nodes: [String]

    /// Asks all ranks of the job, those that the layout leaves idle, too, which must all come here.
    public init(_ communicator: any Communicator) async throws {
        self.communicator = communicator
        guard let names = try await communicator.gather(Self.machine(communicator.hostName)) else {
            let bytes = try await communicator.broadcast([])
            guard let names = try? JSONDecoder().decode([String].self, from: Data(bytes)),
                names.count == communicator.size
            else { throw Failure.internalFault("rank 0 sent no names of machines: are all ranks of one version?") }
            nodes = names
            return
        }
        _ = try await communicator.broadcast([UInt8](JSONEncoder().encode(names)))
        nodes = names
    }

    /// The arena of this rank's stage, which the ranks of one machine that hold the same stage share; nil for a rank that
    /// shares it with nobody, and where the system grants none: then the weights lie in the rank's own memory.
    ///
    /// - Parameters:
    ///   - byteCount: what the arena may have to hold; only what is used takes memory.
    ///   - warn: hears why an arena could not be had.
    public func arena(of layout: Layout, byteCount: Int, warn: (String) -> Void) async throws -> SharedArena? {
        guard let place = layout.place(of: communicator.rank) else { return nil }
        return try await arena(
            among: layout.ranks(ofStage: place.stage), number: UInt64(place.stage), byteCount: byteCount
        ) {
            warn("weights are not shared with the other ranks of this machine, which takes more memory: \($0)")
        }
    }

    /// Has the strips of a wire that are on this machine reach each other through memory; where the system grants none,
    /// they send messages.
    ///
    /// All ranks of the wire must come here, with their wires in the same order.
    public func shareMemory(of wires: StripWires, in layout: Layout, warn: (String) -> Void) async throws {
        for (index, wire) in wires.all.enumerated() {
            let first = layout.stages.count + (wires.stage == nil ? 1 : index) * layout.ranks
            if let memory = try await stripMemory(of: wire, number: first + wire.ranks[0], warn: warn) {
                wire.share(memory)
            }
        }
    }

    private func stripMemory(
        of wire: StripWire, number: Int, warn: (String) -> Void
    ) async throws -> StripMemory? {
        let ranks = wire.ranks
        let members = ranks.indices.filter { nodes[ranks[$0]] == nodes[communicator.rank] }
        func tell(_ reason: String) { warn("strips send messages, which takes more time: \(reason)") }
        let arena = try await arena(
            among: ranks, number: UInt64(number),
            byteCount: StripMemory.byteCount(members: members.count), warn: tell)
        let memory = arena.flatMap { arena in
            Self.attempt(tell) { try StripMemory(in: arena, members: members, own: wire.strip) } ?? nil
        }
        let isShared = try await agree(memory != nil, among: members.map { ranks[$0] })
        return isShared ? memory : nil
    }

    /// Whether all of `ranks` say yes: strips take one way to each other, or the other.
    private func agree(_ yes: Bool, among ranks: [Int]) async throws -> Bool {
        guard let first = ranks.first else { return yes }
        let tag = MessageTag(channel: Self.channel + 1, number: UInt64(first))
        guard communicator.rank == first else {
            try await communicator.send(yes, to: first, tag: tag)
            return try await communicator.receive(Bool.self, from: first, tag: tag)
        }
        var all = yes
        for rank in ranks.dropFirst() {
            let answer = try await communicator.receive(Bool.self, from: rank, tag: tag)
            all = all && answer
        }
        for rank in ranks.dropFirst() { try await communicator.send(all, to: rank, tag: tag) }
        return all
    }

    /// Memory of those of `ranks` that are on this rank's machine, which is one of them.
    ///
    /// - Parameter number: tells the groups of ranks apart.
    private func arena(
        among ranks: [Int], number: UInt64, byteCount: Int, warn: (String) -> Void
    ) async throws -> SharedArena? {
        let sharing = ranks.filter { nodes[$0] == nodes[communicator.rank] }
        guard let first = sharing.first, sharing.count > 1 else { return nil }
        let tag = MessageTag(channel: Self.channel, number: number)
        guard communicator.rank == first else {
            let handle = try await communicator.receive(SharedArenaHandle?.self, from: first, tag: tag)
            return handle.flatMap { handle in Self.attempt(warn) { try SharedArena(opening: handle) } }
        }
        let arena = Self.attempt(warn) { try SharedArena.create(byteCount: byteCount) }
        for rank in sharing.dropFirst() { try await communicator.send(arena?.handle, to: rank, tag: tag) }
        return arena
    }

    /// Two processes see each other's memory if they run on one kernel, in one namespace of processes; the name of the
    /// host keeps machines apart that a test makes of one.
    private static func machine(_ hostName: String) -> String {
        let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        let space = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? "\(getpid())"
        return [hostName, boot.trimmingCharacters(in: .whitespacesAndNewlines), space].joined(separator: " ")
    }

    private static func attempt<Value>(_ warn: (String) -> Void, _ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            warn((error as? Failure)?.message ?? "\(error)")
            return nil
        }
    }
}
