import Foundation
import TestSupport
import Testing

/// Jobs across several hosts, over TCP: the same files as on one rank, and an end everywhere when a rank dies.
@Suite(.enabled(if: Hosts.obstacle == nil, Comment(rawValue: Hosts.obstacle ?? "")), .serialized)
struct HostsTests {
    /// A command that writes its pictures into a folder, once on one rank and once on hosts.
    struct Case: Sendable, CustomTestStringConvertible {
        let hosts: Int
        var ranksPerHost = 1
        /// The command, but for its output.
        let command: @Sendable (PilotRunner) throws -> [String]
        /// What `--output` wants, given the folder.
        let output: @Sendable (String) -> String
        /// Besides, on hosts alone, such as a layout.
        var options: [String] = []
        let testDescription: String
    }

    static let cases = [
        Case(
            hosts: 2, command: { _ in quickJob() }, output: { "\($0)/out.png" },
            testDescription: "a job, two hosts, a branch on each"),
        Case(
            hosts: 3, command: { _ in quickJob() }, output: { "\($0)/out.png" },
            options: ["--layout", "replicas=1,branches=1,stages=3"],
            testDescription: "a job, three hosts, a stage on each"),
        Case(
            hosts: 3, ranksPerHost: 2, command: { _ in quickJob() + ["--count", "2"] }, output: { "\($0)/out.png" },
            options: ["--layout", "replicas=1,branches=2,stages=3"],
            testDescription: "two pictures, three hosts of two ranks, branches and stages"),
        Case(
            hosts: 3, command: batch, output: { $0 }, options: ["--layout", "replicas=1,branches=1,stages=3"],
            testDescription: "a batch, three hosts, a stage on each"),
    ]

    /// Four jobs with the drawn scene, so that every stage has one to work at.
    private static let batch: @Sendable (PilotRunner) throws -> [String] = { runner in
        let jobs = (0..<4).map { #"{"prompt": "a blue ball", "seed": \#($0), "output": "\#($0).png"}"# }
        try runner.write(jobs.joined(separator: "\n"), to: "jobs.jsonl")
        return ["batch", runner.path("jobs.jsonl")] + quickJob().dropFirst()
    }

    private static func quickJob() -> [String] { scenesJob(preset: "fast", options: ["--steps", "6"]) }

    /// The drawn scene of the README, repainted by the shipped model.
    private static func scenesJob(preset: String, options: [String] = []) -> [String] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path()
        return [
            "inpaint", "--image", "\(root)examples/meadow.png", "--mask", "\(root)examples/meadow-mask.png",
            "--prompt", "a blue ball", "--preset", preset, "--threads", "1",
        ] + options
    }

    @Test(arguments: cases)
    func sameBytesAsOnOneRank(example: Case) async throws {
        let runner = try PilotRunner()
        let command = try example.command(runner)
        for name in ["alone", "hosts"] {
            try FileManager.default.createDirectory(
                atPath: runner.path(name), withIntermediateDirectories: false)
        }
        let alone = try await Launcher.run("pilot", command + ["--output", example.output(runner.path("alone"))])
        #expect(alone.exitCode == 0, "\(alone.errors)")

        let output = example.output(runner.path("hosts"))
        async let running = Hosts.mpirun(
            hosts: example.hosts, ranksPerHost: example.ranksPerHost, "pilot",
            command + ["--output", output] + example.options)
        let ranks = try await RankProcess.awaitAll(ranks: example.hosts * example.ranksPerHost, argument: output)
        #expect(ranks.count == example.hosts * example.ranksPerHost)
        #expect(Set(ranks.map(\.host)).count == example.hosts)
        let result = try await running
        #expect(!result.hasHung)
        #expect(result.exitCode == 0, "\(result.errors)")

        let expected = try pictures(runner, in: "alone")
        #expect(!expected.isEmpty)
        let found = try pictures(runner, in: "hosts")
        #expect(found.keys.sorted() == expected.keys.sorted())
        for (name, picture) in expected { #expect(found[name] == picture, "\(name)") }
    }

    /// The pictures in a folder of the runner's, by their names.
    private func pictures(_ runner: PilotRunner, in folder: String) throws -> [String: Data] {
        let files = runner.files().filter { $0.hasPrefix("\(folder)/") && $0.hasSuffix(".png") }
        return try Dictionary(
            uniqueKeysWithValues: files.map { (String($0.dropFirst(folder.count + 1)), try runner.contents($0)) })
    }

    @Test func killedRankOnAnotherHostEndsTheJob() async throws {
        let runner = try PilotRunner()
        let output = runner.path("out.png")
        // Long enough that it does not end by itself.
        async let running = Hosts.mpirun(
            hosts: 2, "pilot",
            Self.scenesJob(
                preset: "paper", options: ["--count", "20", "--output", output, "--preview", runner.path("preview")]))
        let ranks = try await RankProcess.awaitAll(ranks: 2, argument: output)
        try #require(ranks.count == 2)
        #expect(ranks[0].host != ranks[1].host)
        // A preview shows that the job is in the middle.
        let limit = ContinuousClock.now + .seconds(30)
        while !runner.files().contains(where: { $0.hasPrefix("preview/") && $0.hasSuffix(".png") }), .now < limit {
            try await Task.sleep(for: .milliseconds(50))
        }
        let start = ContinuousClock.now
        kill(ranks[1].identifier, SIGKILL)
        let result = try await running
        #expect(start.duration(to: .now) < .seconds(10))
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + SIGKILL)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        for rank in 0...1 { #expect(RankProcess.find(rank: rank, argument: output) == nil) }
        let left = runner.files().filter { $0.contains("out") || $0.contains("partial") }
        #expect(left.isEmpty)
    }
}
