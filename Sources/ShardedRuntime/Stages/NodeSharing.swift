import Failures
import Foundation
import Glibc
import MessagePassing
import TensorKernels

/// Finds out which ranks could share memory, and gives those that need the same weights one arena to keep them in.
public enum NodeSharing {
    private static let channel: UInt32 = MessageTag.firstFreeChannel + 8

    /// The arena of this rank's stage, which the ranks of one machine that hold the same stage share; nil for a rank that
    /// shares it with nobody, and where the system grants none: then the weights lie in the rank's own memory.
    ///
    /// All ranks of the job must come here, those that the layout leaves idle, too.
    ///
    /// - Parameters:
    ///   - byteCount: what the arena may have to hold; only what is used takes memory.
    ///   - warn: hears why an arena could not be had.
    public static func arena(
        of layout: Layout, byteCount: Int, communicator: any Communicator, warn: (String) -> Void
    ) async throws -> SharedArena? {
        let nodes = try await nodes(communicator)
        guard let place = layout.place(of: communicator.rank) else { return nil }
        let node = nodes[communicator.rank]
        let sharing = layout.ranks(ofStage: place.stage).filter { nodes[$0] == node }
        guard let first = sharing.first, sharing.count > 1 else { return nil }
        let tag = MessageTag(channel: channel, number: UInt64(place.stage))
        guard communicator.rank == first else {
            let handle = try await communicator.receive(SharedArenaHandle?.self, from: first, tag: tag)
            return handle.flatMap { handle in attempt(warn) { try SharedArena(opening: handle) } }
        }
        let arena = attempt(warn) { try SharedArena.create(byteCount: byteCount) }
        for rank in sharing.dropFirst() { try await communicator.send(arena?.handle, to: rank, tag: tag) }
        return arena
    }

    /// A name for the machine of each rank, as far as memory is concerned.
    private static func nodes(_ communicator: any Communicator) async throws -> [String] {
        guard let names = try await communicator.gather(machine(communicator.hostName)) else {
            let bytes = try await communicator.broadcast([])
            guard let names = try? JSONDecoder().decode([String].self, from: Data(bytes)),
                names.count == communicator.size
            else { throw Failure.internalFault("rank 0 sent no names of machines: are all ranks of one version?") }
            return names
        }
        _ = try await communicator.broadcast([UInt8](JSONEncoder().encode(names)))
        return names
    }

    /// Two processes see each other's memory if they run on one kernel, in one namespace of processes; the name of the
    /// host keeps machines apart that a test makes of one.
    private static func machine(_ hostName: String) -> String {
        let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        let space = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? "\(getpid())"
        return [hostName, boot.trimmingCharacters(in: .whitespacesAndNewlines), space].joined(separator: " ")
    }

    private static func attempt(_ warn: (String) -> Void, _ body: () throws -> SharedArena) -> SharedArena? {
        do {
            return try body()
        } catch {
            let reason = (error as? Failure)?.message ?? "\(error)"
            warn("weights are not shared with the other ranks of this machine, which takes more memory: \(reason)")
            return nil
        }
    }
}
