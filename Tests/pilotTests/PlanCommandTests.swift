import Foundation
import TestSupport
import Testing

/// `pilot plan`, as it is run.
@Suite struct PlanCommandTests {
    private func plan(_ arguments: [String], _ runner: PilotRunner) async throws -> ProgramResult {
        try await runner.run(
            ["plan", "--model", "\(PilotRunner.models)/sd1", "--calibration", runner.path("calibration.json")]
                + arguments)
    }

    private func calibrated() async throws -> PilotRunner {
        let runner = try PilotRunner()
        let result = try await plan(["--calibrate", "--threads", "1"], runner)
        try #require(result.exitCode == 0, "\(result.errors)")
        return runner
    }

    private func figures(_ result: ProgramResult) throws -> [String: Any] {
        try #require(result.exitCode == 0, "\(result.errors)")
        return try #require(
            try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any], "\(result.output)")
    }

    @Test func plansWithWhatItCalibrated() async throws {
        let runner = try await calibrated()
        let found = try figures(
            try await plan(
                ["--ranks", "4", "--jobs", "40", "--nodes", "2", "--network", "20us,1.2GB", "--json"], runner))
        #expect(found["is_measured"] as? Bool == true)
        #expect(found["ranks_in_use"] as? Int == 4)
        #expect((found["calibration"] as? String)?.hasPrefix(runner.path("calibration.json")) == true)
        let stages = try #require(found["stages"] as? [[String: Any]])
        #expect(
            stages.allSatisfy { ($0["rank_bytes"] as? Int ?? 0) > 0 && ($0["forward_seconds"] as? Double ?? 0) > 0 })
        let seconds = try #require(found["seconds"] as? Double)
        let perHour = try #require(found["pictures_per_hour"] as? Double)
        #expect(seconds > 0 && perHour > 0 && abs(40 / seconds * 3600 / perHour - 1) < 0.5)
        let alternatives = try #require(found["alternatives"] as? [[String: Any]])
        #expect(alternatives.count > 1 && alternatives[0]["layout"] as? String == found["layout"] as? String)
        let shares = try #require(found["utilisation"] as? [Double])
        #expect(shares.allSatisfy { $0 > 0 && $0 <= 1.000001 })
        let sent = try ["sent_bytes_of_step", "sent_bytes_of_gradient_step"].map { try #require(found[$0] as? [Int]) }
        // The only rank of a replica sends nothing.
        let isAlone = sent[0].count == 1
        #expect(
            sent[0].count == sent[1].count && zip(sent[0], sent[1]).allSatisfy { isAlone || $0 > 0 && $0 < $1 })

        let table = try await plan(["--ranks", "4", "--jobs", "40", "--layout", "branches=2,stages=2"], runner)
        #expect(table.exitCode == 0 && table.errors.isEmpty, "\(table.errors)")
        for words in [
            "replicas=1,branches=2,stages=2", "Stages", "Machines", "Sent by", "limited by", "Layouts compared",
        ] {
            #expect(table.output.contains(words), "\(words) in \(table.output)")
        }
        #expect(table.output.split(separator: "\n").allSatisfy { $0.count <= 200 })
    }

    @Test(arguments: [
        (["--ranks", "0"], "--ranks"), (["--ranks", "2", "--nodes", "3"], "--nodes"), (["--jobs", "-1"], "--jobs"),
        (["--jobs", "99999999999999999999"], "--jobs"), (["--memory-per-node", "nan"], "--memory-per-node"),
        (["--memory-per-node", "0"], "--memory-per-node"), (["--network", "20us"], "--network"),
        (["--network", "20,1GB"], "--network"), (["--network", "1us,nanGB"], "--network"),
        (["--layout", "stages=2"], "--layout"), (["--threads", "0"], "--threads"), (["--output", "x"], "--output"),
        (["--ranks", "2", "--layout", "stages=99"], "--layout"), (["--dtype", "float8"], "--dtype"),
        (["--size", "63x63"], "--size"),
    ])
    func badQuestionsAreRefused(arguments: [String], option: String) async throws {
        let runner = try PilotRunner()
        let result = try await runner.run(["plan", "--model", "\(PilotRunner.models)/sd1"] + arguments)
        #expect(result.exitCode == 64, "\(result.output)")
        #expect(result.errors.contains(option), "\(result.errors)")
    }

    @Test func whatDoesNotFitIsSaidWithNumbers() async throws {
        let runner = try PilotRunner()
        let result = try await runner.run(
            ["plan", "--model", "\(PilotRunner.models)/sd1", "--ranks", "2", "--memory-per-node", "0.01"])
        #expect(result.exitCode == 64)
        #expect(result.errors.contains("a machine has 0.01 GB"), "\(result.errors)")
    }

    @Test func damagedCalibrationsAreRefused() async throws {
        let runner = try PilotRunner()
        try runner.write("{\"version\": 7}", to: "calibration.json")
        let result = try await plan([], runner)
        #expect(result.exitCode == 65 && result.errors.contains("version: expected 1"), "\(result.errors)")
        let missing = try await plan(["--calibration", runner.path("none.json")], runner)
        #expect(missing.exitCode == 66, "\(missing.errors)")
    }
}
