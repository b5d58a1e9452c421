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

    @Test func threeRanksAreTooMany() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(runner.job + ["--output", runner.path("out.png")], ranks: 3)
        #expect(result.exitCode == 64)
        #expect(result.failureLines.count == 1)
        #expect(result.failureLines.first?.contains("3 ranks") == true)
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
