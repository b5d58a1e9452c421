import Foundation
import TestSupport
import Testing

/// What a job tells while it runs: on a terminal, in a log, and of ranks that do not move.
@Suite(.serialized) struct ProgressTests {
    /// A rank is stopped in the middle of a job and goes on later: until then it is said from whom nothing comes.
    @Test(arguments: [0, 1]) func aRankThatIsStoppedIsToldAndTheJobGoesOn(rank: Int) async throws {
        let runner = try PilotRunner()
        let output = runner.path("out.png")
        let errors = runner.path("errors")
        let pilot = try Launcher.productFolder().appendingPathComponent("pilot").path
        // Both ranks write into a file that can be read meanwhile.
        let script = #"exec "$@" 2>>"$0""#
        let job = ["inpaint"] + runner.job + ["--steps", "300", "--coherence", "0", "--layout", "branches=2"]
        async let running = Launcher.mpirun(
            ranks: 2, "/bin/sh", ["-c", script, errors, pilot] + job + ["--stall-timeout", "8", "--output", output])
        let ranks = try await RankProcess.awaitAll(ranks: 2, argument: output)
        try #require(ranks.count == 2)
        try await said("step ", in: errors)
        kill(ranks[rank].identifier, SIGSTOP)
        let notice = try? await said("nothing for ", in: errors)
        kill(ranks[rank].identifier, SIGCONT)
        let result = try await running
        let text = try String(contentsOfFile: errors, encoding: .utf8)
        #expect(result.exitCode == 0, "\(text)")
        #expect(notice != nil, "\(text)")
        let line = text.split(separator: "\n").first { $0.contains("nothing for ") } ?? ""
        #expect(line.contains(/nothing for [0-9]+ s from rank [0-9] on .*: no answer/), "\(line)")
        #expect(line.contains("from rank \(rank) on "), "\(line)")
    }

    private struct NeverSaid: Error {
        let text: String
    }

    /// Waits until a file has a text, for 7 seconds: ranks that are stopped for longer end the job.
    @discardableResult private func said(_ text: String, in file: String) async throws -> String {
        let limit = ContinuousClock.now + .seconds(7)
        while .now < limit {
            let found = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            if found.contains(text) { return found }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NeverSaid(text: text)
    }

    /// `script` gives the command a terminal, of which mpirun gives its ranks nothing but pipes.
    @Test func underMpirunOnATerminalThereIsABar() async throws {
        let runner = try PilotRunner()
        let pilot = try Launcher.productFolder().appendingPathComponent("pilot").path
        let job = runner.job + ["--steps", "40", "--output", runner.path("a.png")]
        let words = ["mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-np", "2", pilot, "inpaint"] + job
        let command = words.map { "'\($0)'" }.joined(separator: " ")
        let result = try await Launcher.run(
            "/usr/bin/script", ["-qec", command, "/dev/null"],
            variables: [
                "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm_rsh_agent": "sh",
                "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            ])
        #expect(result.exitCode == 0, "\(result.output)")
        #expect(result.output.contains(/\[[#-]{16}\] +[0-9]+ %.*\r/), "\(result.output)")
        #expect(!result.output.contains("timestep"), "\(result.output)")
        #expect(result.output.contains("reading the model"), "\(result.output)")
    }

    @Test func aBarIsAskedForWhereThereIsNoTerminal() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(runner.job + ["--progress", "bar", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0)
        #expect(result.errors.contains(/\[[#-]{16}\] +[0-9]+ %/), "\(result.errors)")
        #expect(result.errors.contains("reading the model"), "\(result.errors)")
    }

    @Test func aLogIsThinnedOut() async throws {
        let runner = try PilotRunner()
        let job = runner.job + ["--steps", "100", "--coherence", "0", "--output", runner.path("a.png")]
        let lines = try await runner.inpaint(job)
        #expect(lines.exitCode == 0, "\(lines.errors)")
        let steps = lines.errors.split(separator: "\n").filter { $0.contains("timestep ") }
        #expect(!steps.isEmpty && steps.count < 50, "\(lines.errors)")
        let none = try await runner.inpaint(job + ["--overwrite", "--progress", "none"])
        #expect(!none.errors.contains("timestep ") && none.errors.contains("100 steps"), "\(none.errors)")
    }

    @Test(arguments: [1, 3]) func quietIsQuiet(ranks: Int) async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(runner.job + ["--quiet", "--output", runner.path("a.png")], ranks: ranks)
        #expect(result.exitCode == 0)
        #expect(result.output.isEmpty && result.errors.isEmpty, "\(result.output)\(result.errors)")
        #expect(runner.files().contains("a.png"))
        try runner.write(#"{"prompt": "fox", "output": "b.png"}"#, to: "jobs.jsonl")
        let batch = try await runner.run(
            ["batch", runner.path("jobs.jsonl"), "-q", "--output", runner.path("out")] + runner.job, ranks: ranks)
        #expect(batch.exitCode == 0)
        #expect(batch.output.isEmpty && batch.errors.isEmpty, "\(batch.output)\(batch.errors)")
    }

    @Test func theLastLineOfABatchSaysWhereItsResultsAre() async throws {
        let runner = try PilotRunner()
        let jobs = #"{"output": "a.png", "seed": 1}"# + "\n" + #"{"output": "b.png"}"# + "\n"
        try runner.write(jobs, to: "jobs.jsonl")
        let command = ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out")] + runner.job
        let first = try await runner.run(command)
        #expect(first.exitCode == 0, "\(first.errors)")
        let line = String(first.output.split(separator: "\n").last ?? "")
        #expect(line.hasPrefix("\(runner.path("out")): 2 done in "), "\(line)")
        try runner.write(jobs + #"{"output": "c.png", "steps": 0}"#, to: "jobs.jsonl")
        let second = try await runner.run(command + ["--keep-going"])
        #expect(second.exitCode == 64, "\(second.errors)")
        let other = String(second.output.split(separator: "\n").last ?? "")
        #expect(other.contains("2 present, 1 refused in ") && other.contains("the same command"), "\(other)")
    }

    @Test func theLastLineSaysHowToGoOn() async throws {
        let runner = try PilotRunner()
        try FileManager.default.createDirectory(atPath: runner.path("a b"), withIntermediateDirectories: false)
        let first = try await runner.inpaint(
            runner.job + ["--seed", "6", "--count", "2", "--output", runner.path("a b/c.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let line = String(first.output.split(separator: "\n").last ?? "")
        #expect(line.hasPrefix(runner.path("a b/c-1.png")), "\(line)")
        #expect(
            line.contains(/c-2\.png,\ 2\ pictures:\ made\ in\ [0-9.]+\ s,\ seeds\ 6\ to\ 7;\ another:\ /), "\(line)")
        // The command is one that a shell understands, and makes what it names.
        let command = try #require(line.components(separatedBy: "another: ").last)
        let again = try await Launcher.run("/bin/sh", ["-c", command])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(runner.files().contains("a b/c-seed-8.png"))
        #expect(again.errors.contains("seed 8"), "\(again.errors)")
    }
}
