import Foundation
import TestSupport
import Testing

/// Jobs under the limits that machines, launchers and shells set.
@Suite(.serialized) struct ResourceTests {
    /// Runs a small job in a shell, after `command`.
    private func inpaint(after command: String, _ options: String = "") async throws -> ProgramResult {
        let runner = try PilotRunner()
        let pilot = try Launcher.productFolder().appendingPathComponent("pilot").path
        // All but its last option, which is --threads.
        let job = runner.job.dropLast(2) + ["--output", runner.path("a.png")]
        return try await Launcher.run(
            "/bin/bash", ["-c", "\(command) \(pilot) inpaint \(job.joined(separator: " ")) \(options)"])
    }

    /// The numbers of the cores on which this process may run.
    private func cores() throws -> [Int] {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
        return line.split(separator: "\t")[1].split(separator: ",").flatMap { range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            return Array(ends[0]...ends[ends.count - 1])
        }
    }

    @Test func aBoundRankTakesItsCoresAndNoMore() async throws {
        let bound = "exec taskset -c \(try cores()[0])"
        let alone = try await inpaint(after: bound)
        #expect(alone.exitCode == 0, "\(alone.errors)")
        #expect(alone.errors.contains("1 rank of 1 thread,"), "\(alone.errors)")
        #expect(!alone.errors.contains("warning"), "\(alone.errors)")
        let crowded = try await inpaint(after: bound, "--threads 2")
        #expect(crowded.exitCode == 0, "\(crowded.errors)")
        #expect(
            crowded.errors.contains("warning: a rank computes with 2 threads and may use 1 of the machine's"),
            "\(crowded.errors)")
    }

    @Test(arguments: ["--threads 1000000", "--threads 0", "--threads -3"])
    func threadsWithoutMeasureAreRefused(option: String) async throws {
        let result = try await inpaint(after: "exec", option)
        #expect(result.exitCode == 64)
        let line = try #require(result.failureLines.first)
        #expect(line.contains("--threads: expected 1 to \(4 * (try cores().count)), which is 4 for each"), "\(line)")
    }

    @Test func ranksThatShareCoresShareThem() async throws {
        let runner = try PilotRunner()
        let cores = try cores().count
        let job = runner.job + ["--threads", "\(cores)", "--output", runner.path("a.png")]
        let result = try await runner.inpaint(job, ranks: 2)
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(
            result.errors.contains("take turns on them; without --threads each takes \(max(1, cores / 2))"),
            "\(result.errors)")
    }

    @Test func aLimitOnMemoryIsKnownBefore() async throws {
        let result = try await inpaint(after: "ulimit -v 1500000; exec", "--threads 1 --size 2048x2048")
        #expect(result.exitCode == 64, "\(result.errors)")
        let line = try #require(result.failureLines.first)
        #expect(line.contains("the limits on a process (ulimit -v, ulimit -d) leave it"), "\(line)")
        #expect(line.contains("a smaller --size takes less"), "\(line)")
    }
}
