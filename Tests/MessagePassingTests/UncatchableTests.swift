import Foundation
import TestSupport
import Testing

/// Failures that no caller can catch end the job as others do.
@Suite struct UncatchableTests {
    private static let places = [(ranks: 1, rank: 0), (ranks: 2, rank: 0), (ranks: 2, rank: 1)]

    private func run(ranks: Int, _ arguments: [String]) async throws -> ProgramResult {
        ranks == 1
            ? try await Launcher.run("RankProbe", arguments)
            : try await Launcher.mpirun(ranks: ranks, "RankProbe", arguments)
    }

    private func check(_ result: ProgramResult, rank: Int, exitCode: Int32) throws -> String {
        #expect(!result.hasHung)
        #expect(result.exitCode == exitCode, "\(result.errors)")
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(result.output.isEmpty)
        let line = try #require(result.failureLines.first)
        #expect(line.hasPrefix("pilot: error: rank 1 on ") == (rank == 1))
        return line
    }

    @Test(arguments: places) func aMappedFileThatIsCutShortIsNamed(ranks: Int, rank: Int) async throws {
        let path = NSTemporaryDirectory() + "shrunken-\(UUID().uuidString).safetensors"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: path))
        let line = try check(
            await run(ranks: ranks, ["readShrunken", "\(rank)", path]), rank: rank, exitCode: 65)
        #expect(line.contains("\(path): expected the 100000 bytes"), "\(line)")
        #expect(line.contains("found 10:"), "\(line)")
    }

    @Test(arguments: places) func memoryThatIsNotThereIsSaid(ranks: Int, rank: Int) async throws {
        let line = try check(await run(ranks: ranks, ["exhaust", "\(rank)"]), rank: rank, exitCode: 70)
        #expect(line.contains("out of memory: the system refused \(1 << 30) bytes"), "\(line)")
    }
}
