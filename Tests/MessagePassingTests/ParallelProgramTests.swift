import Foundation
import TestSupport
import Testing

/// Whole jobs of the probe program, on ranks of this machine.
@Suite struct ParallelProgramTests {
    @Test(arguments: [1, 2, 3])
    func messagesOfAllSizesArrive(ranks: Int) async throws {
        let result = try await Launcher.mpirun(ranks: ranks, "RankProbe", ["exchange"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output == "gathered \((0..<ranks).map { "\($0)hello" }.joined(separator: " "))\n")
        #expect(result.errors.isEmpty)
    }

    @Test(arguments: [1, 2]) func messagesOfAllRanksAtOnceArriveWholeAndInOrder(seed: Int) async throws {
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", ["interleave", String(seed)])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output == "all is well: [3000, 3000, 3000]\n")
    }

    @Test func ranksSwapPayloadsPastRank0() async throws {
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", ["swap"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output == "swapped [0, 1, 2]\n")
    }

    @Test(arguments: [true, false]) func whatIsPostedDuringTheEndDoesNotHoldItUp(inOrder: Bool) async throws {
        let result = try await Launcher.mpirun(
            ranks: 3, "RankProbe", ["postDuringDeparture", inOrder ? "inOrder" : "byFailure"])
        #expect(!result.hasHung)
        #expect(result.exitCode == (inOrder ? 0 : 74), "\(result.errors)")
        #expect(result.failureLines == (inOrder ? [] : ["pilot: error: out.png: no space left on device"]))
    }

    @Test func aProgramStartedByHandNeedsNoLauncher() async throws {
        let result = try await Launcher.run("RankProbe", ["exchange"])
        #expect(result.exitCode == 0)
        #expect(result.output == "gathered 0hello\n")
        let failed = try await Launcher.run("RankProbe", ["fail"])
        #expect(failed.exitCode == 65)
        #expect(failed.errors == "pilot: error: model.safetensors: broken\n")
    }

    @Test(arguments: ["fail", "failWhileBusy"], [0, 1])
    func aFailureOnAnyRankEndsTheJobWithOneLineAndItsCode(scenario: String, rank: Int) async throws {
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", [scenario, String(rank)])
        #expect(!result.hasHung)
        #expect(result.exitCode == 65)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(line.hasSuffix("model.safetensors: broken"))
        #expect(line.hasPrefix("pilot: error: rank 1 on ") == (rank == 1))
    }

    @Test func aFailureOnAllRanksIsSaidOnce() async throws {
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", ["failTogether"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 66)
        #expect(result.failureLines.count == 1, "\(result.errors)")
    }

    @Test func aLongMessageUnderWayDoesNotHoldUpTheEnd() async throws {
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", ["leaveDuringSend"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 74)
        #expect(result.failureLines == ["pilot: error: out.png: no space left on device"])
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func aSignalToMpirunRemovesWhatWasHalfWritten(signal: Int32) async throws {
        let file = temporaryFile()
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", ["wait", file]) { mpirun in
            kill(mpirun.processIdentifier, signal)
        }
        #expect(!result.hasHung)
        #expect(result.output == "waiting\n")
        #expect(result.exitCode != 0)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(
            result.failureLines.first?.contains("stopped by the launcher (SIGTERM): Ctrl-C or a time limit") == true)
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    @Test(arguments: [SIGHUP, SIGINT, SIGQUIT, SIGTERM])
    func aSignalToAProgramStartedByHandEndsItWithTheShellsCode(signal: Int32) async throws {
        let file = temporaryFile()
        let result = try await Launcher.run("RankProbe", ["wait", file]) { process in
            kill(process.processIdentifier, signal)
        }
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + signal)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    /// Ctrl-\ ends mpirun itself, and the ranks see that it is gone.
    @Test func quittingMpirunEndsAllRanks() async throws {
        let file = temporaryFile()
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", ["wait", file]) { mpirun in
            kill(mpirun.processIdentifier, SIGQUIT)
        }
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + SIGQUIT)
        for _ in 0..<100 where FileManager.default.fileExists(atPath: file) {
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    private func temporaryFile() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("probe-\(UUID().uuidString)").path
    }
}
