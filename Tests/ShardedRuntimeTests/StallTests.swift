import Foundation
import TestSupport
import Testing

/// Ranks that stop, hang or are slow, in jobs under mpirun.
@Suite(.serialized) struct StallTests {
    /// Runs the scenario and returns what came of it, with the seconds it took; no process is left.
    private func stall(
        _ arguments: [String], ranks: Int = 3
    ) async throws -> (result: ProgramResult, seconds: Double) {
        let start = ContinuousClock.now
        let result = try await Launcher.mpirun(ranks: ranks, "RankProbe", ["stall"] + arguments)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let processes = result.output.split(separator: "\n").filter { $0.hasPrefix("process ") }
            .compactMap { $0.split(separator: " ").last.flatMap { Int32($0) } }
        #expect(processes.count == ranks, "\(result.output)\(result.errors)")
        for process in processes {
            let isGone = await isGone(process)
            #expect(isGone, "process \(process) is left")
            if !isGone, isOurs(process) { kill(process, SIGKILL) }
        }
        return (result, seconds)
    }

    /// Whether the process of this number is a rank of the scenario, and not one that got the number after it.
    private func isOurs(_ process: Int32) -> Bool {
        let command = try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8)
        return command?.contains("RankProbe") == true
    }

    /// Whether a process is gone, or is within seconds.
    private func isGone(_ process: Int32) async -> Bool {
        for _ in 0..<50 {
            let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            // One that nobody has asked after yet is a Z.
            guard let status, !status.contains(") Z "), isOurs(process) else { return true }
            try? await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    @Test(arguments: [1, 2]) func aRankThatIsStoppedIsNamed(rank: Int) async throws {
        let (result, seconds) = try await stall(["stop", String(rank), "3"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 70, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(line.contains("no progress for "), "\(line)")
        #expect(line.contains("rank \(rank) on "), "\(line)")
        #expect(line.contains("does not answer"), "\(line)")
        #expect(line.contains("of job 1"), "\(line)")
        // The limit, the time for answers, the time to leave in order, and force.
        #expect(seconds < 25, "took \(seconds) s: \(line)")
    }

    @Test func theFirstRankIsNamedByTheOthers() async throws {
        let (result, seconds) = try await stall(["stop", "0", "3"])
        #expect(!result.hasHung)
        #expect(result.exitCode != 0)
        let line = try #require(result.failureLines.first)
        #expect(line.contains("rank 0 on ") && line.contains("has not answered for "), "\(result.errors)")
        #expect(seconds < 25, "took \(seconds) s: \(line)")
    }

    /// Of three strips, too, which wait for each other: the one that keeps the others waiting.
    @Test(arguments: [0, 1, 2], ["stages", "strips"])
    func aTaskThatNeverEndsIsNamed(rank: Int, dimension: String) async throws {
        let (result, seconds) = try await stall(["hang", String(rank), "3", "1", dimension])
        #expect(!result.hasHung)
        #expect(result.exitCode == 70, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        let found = line.range(
            of: "no progress for [0-9]+ s: rank \(rank) on [^ ]+ has run `down` of job 1 "
                + "\\((un)?conditional, pass [0-9]+, rungs? [0-9.]+\\) for [0-9]+ s; ranks [0-9] and [0-9] wait",
            options: .regularExpression)
        #expect(found != nil, "\(line)")
        #expect(seconds < 20, "took \(seconds) s: \(line)")
    }

    @Test func aStripThatIsStoppedIsNamed() async throws {
        let (result, seconds) = try await stall(["stop", "1", "3", "1", "strips"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 70, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(line.contains("rank 1 on ") && line.contains("does not answer"), "\(line)")
        #expect(!line.contains("has run"), "\(line)")
        #expect(seconds < 25, "took \(seconds) s: \(line)")
    }

    /// Of the second replica its driver, which rank 0 asks, and the other rank, which the driver asks.
    @Test(arguments: [2, 3]) func aRankOfAnotherReplicaThatIsStoppedIsNamed(rank: Int) async throws {
        let (result, seconds) = try await stall(["stop", String(rank), "3", "2", "replicas"], ranks: 4)
        #expect(!result.hasHung)
        #expect(result.exitCode == 70, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(line.contains("rank \(rank) on ") && line.contains("does not answer"), "\(line)")
        #expect(line.contains("job "), "\(line)")
        #expect(seconds < 25, "took \(seconds) s: \(line)")
    }

    @Test(arguments: [2, 3]) func aTaskOfAnotherReplicaThatNeverEndsIsNamed(rank: Int) async throws {
        let (result, seconds) = try await stall(["hang", String(rank), "3", "2", "replicas"], ranks: 4)
        #expect(!result.hasHung)
        #expect(result.exitCode == 70, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(line.contains("rank \(rank) on ") && line.contains("has run `down` of job "), "\(line)")
        #expect(seconds < 20, "took \(seconds) s: \(line)")
    }

    @Test(arguments: [2, 3]) func aRankOfAnotherReplicaThatIsKilledEndsTheJob(rank: Int) async throws {
        let (result, seconds) = try await stall(["die", String(rank), "60", "2", "replicas"], ranks: 4)
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + SIGKILL, "\(result.errors)")
        #expect(result.failureLines.count == 1 && result.errors.contains("rank \(rank)"), "\(result.errors)")
        #expect(seconds < 10, "took \(seconds) s: \(result.errors)")
    }

    /// The others are in the middle of an exchange with it.
    @Test func aStripThatIsKilledEndsTheJob() async throws {
        let (result, seconds) = try await stall(["die", "2", "60", "1", "strips"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + SIGKILL, "\(result.errors)")
        #expect(result.failureLines.count == 1 && result.errors.contains("rank 2"), "\(result.errors)")
        #expect(seconds < 10, "took \(seconds) s: \(result.errors)")
    }

    /// Six jobs whose passes wait for each other far longer than the limit, while tasks end all the time.
    @Test func whatIsSlowAndMovesIsLeftAlone() async throws {
        let (result, seconds) = try await stall(["slow", "1", "1", "6"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output.hasSuffix("done\n"))
        #expect(seconds > 6, "the jobs took no longer than what is tested")
    }
}
