import Foundation
import TestSupport
import Testing

/// Jobs under mpirun: separate processes, real messages.
@Suite struct RankedJobTests {
    @Test(arguments: [
        (2, "stages=2"), (2, "branches=2"), (4, "branches=2,stages=2"), (3, "stages=3"), (2, "strips=2"),
        (3, "strips=3"),
        (4, "stages=2,strips=2"), (4, "replicas=2,stages=2"), (6, "replicas=3,branches=2"),
    ])
    func rankedLayoutsPrintTheFingerprintOfOneRank(ranks: Int, layout: String) async throws {
        let alone = try await Launcher.run("RankProbe", ["infer", "odd", "stages=1", "3", "5"])
        let many = try await Launcher.mpirun(ranks: ranks, "RankProbe", ["infer", "odd", layout, "3", "5"])
        #expect(alone.exitCode == 0 && many.exitCode == 0, "\(alone.errors)\(many.errors)")
        let fingerprints = [alone, many].map { $0.output.split(separator: " ").first }
        #expect(fingerprints[0] != nil && fingerprints[0] == fingerprints[1])
    }

    @Test func manyStepsLeaveNoPullbackBehind() async throws {
        let result = try await Launcher.mpirun(ranks: 2, "RankProbe", ["infer", "sd1", "stages=2", "2", "100"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output.hasSuffix("kept [0, 0] forward [400, 400]\n"), "\(result.output)")
    }

    @Test(arguments: [0, 1])
    func aFailingBranchEndsTheJobWithOneLine(branch: Int) async throws {
        let result = try await Launcher.mpirun(
            ranks: 2, "RankProbe", ["infer", "sd1", "stages=2", "1", "4", String(branch)])
        #expect(!result.hasHung)
        #expect(result.exitCode == 65)
        #expect(result.failureLines.count == 1, "\(result.errors)")
        #expect(result.failureLines.first?.hasSuffix("unet.safetensors: broken") == true)
    }
}
