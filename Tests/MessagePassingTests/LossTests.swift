import Foundation
import Synchronization
import TestSupport
import Testing

/// Jobs that lose a rank or their launcher: they end within seconds, everywhere, and say whom they lost.
@Suite final class LossTests {
    /// How long a job may take to end, from the loss on.
    private let limit = Duration.seconds(10)
    private let ranks = ProbeRanks()

    init() throws { try ranks.makeFolder() }

    deinit { ranks.removeFolder() }

    @Test(arguments: [0, 1, 2]) func aRankThatIsKilledIsNamed(rank: Int) async throws {
        let start = Mutex(ContinuousClock.now)
        let result = try await Launcher.mpirun(
            ranks: 3, "RankProbe", ["lose", String(rank), "rank", ranks.folder.path]
        ) {
            _ in
            start.withLock { $0 = .now }
        }
        #expect(!result.hasHung)
        #expect(ContinuousClock.now - start.withLock { $0 } < limit)
        #expect(result.exitCode == 128 + SIGKILL)
        #expect(result.failureLines == [try ranks.obituary(of: rank)], "\(result.errors)")
        #expect(try ranks.living() == [])
    }

    @Test(arguments: [0, 1]) func aRankThatIsKilledBeforeTheStartEndsTheJob(rank: Int) async throws {
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", ["dieEarly", String(rank)])
        #expect(!result.hasHung)
        // Another rank may be the first to fail in mpirun's eyes, for the end of its connection.
        #expect(result.exitCode != 0)
        #expect(result.failureLines == [])
    }

    @Test(arguments: [0, 1]) func aRankThatIsKilledIsMissedThoughTheLauncherSleeps(rank: Int) async throws {
        let duration = Mutex<Duration?>(nil)
        let arguments = ["lose", String(rank), "rankUnseen", ranks.folder.path]
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", arguments) { [ranks, limit] mpirun in
            duration.withLock { $0 = try? ranks.timeUntilAllAreGone(atMost: limit) }
            kill(mpirun.processIdentifier, SIGCONT)
        }
        #expect(!result.hasHung)
        #expect(try #require(duration.withLock { $0 }) < limit)
        #expect(result.exitCode != 0)
        #expect(result.failureLines == [try ranks.obituary(of: rank)], "\(result.errors)")
    }

    @Test(arguments: [0, 1]) func noRankOutlivesItsLauncher(rank: Int) async throws {
        let result = try await Launcher.mpirun(
            ranks: 3, "RankProbe", ["lose", String(rank), "launcher", ranks.folder.path])
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + SIGKILL)
        #expect(try ranks.timeUntilAllAreGone(atMost: limit) < limit)
    }

    @Test func ranksOfAnotherVersionAreFoundAtTheStart() async throws {
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", ["mixedVersions"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 64)
        let host = ProcessInfo.processInfo.hostName
        #expect(
            result.failureLines == [
                "pilot: error: rank 1 on \(host) runs version 1.1 of the program (and 1 more like it), "
                    + "rank 0 on \(host) version 1.0: install the same version on every machine"
            ])
    }
}

/// The three processes of a probe, which it names in a folder's files.
private struct ProbeRanks: Sendable {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("loss-\(UUID().uuidString)")

    func makeFolder() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    func removeFolder() { try? FileManager.default.removeItem(at: folder) }

    func obituary(of rank: Int) throws -> String {
        let process = try processes()[rank]
        return "pilot: error: rank \(rank) on \(ProcessInfo.processInfo.hostName) (process \(process)) died: "
            + "killed (for memory, perhaps), or crashed; what was half-written is removed"
    }

    private func processes() throws -> [Int] {
        try (0..<3).map { rank in
            let file = folder.appendingPathComponent(String(rank)).path
            return try #require(Int(try String(contentsOfFile: file, encoding: .utf8)))
        }
    }

    func living() throws -> [Int] {
        try processes().filter { process in
            guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
            return !stat.contains(") Z ")
        }
    }

    func timeUntilAllAreGone(atMost limit: Duration) throws -> Duration {
        let start = ContinuousClock.now
        while try !living().isEmpty, ContinuousClock.now - start < limit { usleep(50_000) }
        return ContinuousClock.now - start
    }
}
