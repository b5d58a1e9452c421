import Foundation
import TestSupport
import Testing

/// The toy job under mpirun: separate processes, real messages.
@Suite struct RankedJobTests {
    @Test(arguments: [8, 64, 128])
    func oneRankAndTwoPrintTheSameFingerprint(side: Int) async throws {
        let arguments = ["infer", String(side), "6"]
        let alone = try await Launcher.run("RankProbe", arguments)
        let two = try await Launcher.mpirun(ranks: 2, "RankProbe", arguments)
        #expect(alone.exitCode == 0 && two.exitCode == 0, "\(alone.errors)\(two.errors)")
        let fingerprints = [alone, two].map { $0.output.split(separator: " ").first }
        #expect(fingerprints[0] != nil && fingerprints[0] == fingerprints[1])
    }

    @Test func manyStepsLeaveNoPullbackBehind() async throws {
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", ["infer", "8", "200"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output.hasSuffix("kept [0, 0] forward [200, 200]\n"))
    }

    @Test(arguments: [0, 1])
    func aFailingBranchEndsTheJobWithOneLine(branch: Int) async throws {
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", ["infer", "8", "4", String(branch)])
        #expect(!result.hasHung)
        #expect(result.exitCode == 65)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(result.failureLines.first?.hasSuffix("unet.safetensors: broken") == true)
    }

    @Test func threeRanksAreRefusedByNumber() async throws {
        let result = try await Launcher.mpirun(ranks: 3, "RankProbe", ["infer", "8", "4"])
        #expect(!result.hasHung)
        #expect(result.exitCode == 64)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(result.failureLines.first?.contains("3 ranks were started") == true)
    }
}
