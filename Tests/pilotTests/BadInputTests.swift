import Foundation
import TestSupport
import Testing

/// What is wrong with a job is said in one line that names the file or option, with the documented exit code, and leaves
/// nothing behind.
@Suite struct BadInputTests {
    @Test(arguments: BadInput.all)
    func isRefused(input: BadInput) async throws {
        try await check(input, ranks: 1)
    }

    /// One of each kind on two ranks: one line, not one per rank, and no rank that hangs.
    @Test(arguments: BadInput.all.filter(\.isForTwoRanks))
    func isRefusedOnce(input: BadInput) async throws {
        try await check(input, ranks: 2)
    }

    @Test(arguments: ["stages=2", "branches=2", "replicas=2,branches=2", "stages=13"])
    func aLayoutThatDoesNotMultiplyOutIsRefusedWithTheNumbers(layout: String) async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(
            runner.job + ["--output", runner.path("out.png"), "--layout", layout], ranks: 3)
        #expect(result.exitCode == 64)
        #expect(result.failureLines.count == 1)
        let message = result.failureLines.first ?? ""
        #expect(layout == "stages=13" || message.contains("replicas=1,branches=1,stages=3"), "\(message)")
    }

    /// Ranks that one picture can't use stay idle, and that is said with the number that it can.
    @Test func threeRanksAreOneTooMany() async throws {
        let runner = try PilotRunner()
        let three = try await runner.inpaint(runner.job + ["--output", runner.path("three.png")], ranks: 3)
        #expect(three.exitCode == 0)
        #expect(three.errors.contains("3 ranks were started, and one picture uses"), "\(three.errors)")
        let one = try await runner.inpaint(runner.job + ["--output", runner.path("one.png")])
        #expect(one.exitCode == 0)
        let files = ["one.png", "three.png"].map { FileManager.default.contents(atPath: runner.path($0)) }
        #expect(files[0] != nil && files[0] == files[1])
    }

    private func check(_ input: BadInput, ranks: Int) async throws {
        let runner = try PilotRunner()
        try input.prepare(runner)
        let before = runner.files()
        let arguments = ["inpaint"] + (input.isWholeCommand ? [] : runner.job) + input.arguments(runner)
        let output = input.isWholeCommand ? [] : ["--output", runner.path("out.png")]
        // The last of two equal options counts: the case's own output, should it have one.
        let result = try await runner.run(arguments.prefix(1) + output + arguments.dropFirst(), ranks: ranks)
        #expect(!result.hasHung)
        #expect(result.exitCode == input.exitCode, "\(result.errors)")
        #expect(result.failureLines.count == 1, "\(result.errors)")
        for part in input.mentions {
            #expect(result.failureLines.first?.contains(part) == true, "\(part) in \(result.errors)")
        }
        #expect(runner.files() == before)
    }
}
