import Foundation
import Synchronization
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
    ]

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
        var pictures: [[String: Data]] = []
        for name in ["alone", "hosts"] {
            let folder = runner.path(name)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            let arguments = command + ["--output", example.output(folder)]
            let result =
                name == "alone"
                ? try await Launcher.run("pilot", arguments)
                : try await Hosts.mpirun(
                    hosts: example.hosts, ranksPerHost: example.ranksPerHost, "pilot", arguments + example.options)
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(!result.hasHung)
            if name == "hosts" { expectRanks(on: example.hosts, in: result) }
            let files = runner.files().filter { $0.hasPrefix("\(name)/") && $0.hasSuffix(".png") }
            pictures.append(
                try Dictionary(
                    uniqueKeysWithValues: files.map { (String($0.dropFirst(name.count + 1)), try runner.contents($0)) })
            )
        }
        #expect(!pictures[0].isEmpty)
        #expect(pictures[0].keys.sorted() == pictures[1].keys.sorted())
        for (name, picture) in pictures[0] { #expect(pictures[1][name] == picture, "\(name)") }
    }

    /// The summary names the host of each rank; had Open MPI taken the hosts for one, their names would be the same.
    private func expectRanks(on hosts: Int, in result: ProgramResult) {
        let names = (result.output + result.errors).matches(of: /rank \d+ on (\S+):/).map { String($0.output.1) }
        #expect(Set(names).count == hosts, "\(result.output)\(result.errors)")
    }

    @Test func killedRankOnAnotherHostEndsTheJob() async throws {
        let runner = try PilotRunner()
        let output = runner.path("out.png")
        let before = runner.files()
        let killed = Mutex<ContinuousClock.Instant?>(nil)
        let areApart = Mutex(false)
        // Long enough that it does not end by itself.
        let result = try await Hosts.mpirun(
            hosts: 2, "pilot",
            Self.scenesJob(preset: "paper", options: ["--count", "20", "--output", output])
        ) { _ in
            // The first output is progress, so both ranks are there.
            guard let first = RankProcess.find(rank: 0, argument: output),
                let second = RankProcess.find(rank: 1, argument: output)
            else { return }
            areApart.withLock { $0 = first.host != second.host }
            killed.withLock { $0 = .now }
            kill(second.identifier, SIGKILL)
        }
        let start = try #require(killed.withLock { $0 }, "no rank to kill: \(result.errors)")
        #expect(start.duration(to: .now) < .seconds(10))
        #expect(areApart.withLock { $0 })
        #expect(!result.hasHung)
        #expect(result.exitCode == 128 + SIGKILL)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        for rank in 0...1 { #expect(RankProcess.find(rank: rank, argument: output) == nil) }
        #expect(runner.files() == before)
    }
}
