import Foundation
import TestSupport
import Testing

/// `scripts/scale`, on machines that have a Python; it needs nothing else.
@Suite(.enabled(if: hasPython, "there is no python3 in PATH"))
struct ScalingScriptTests {
    private static let scripts =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path() + "scripts/"

    @Test func itsArithmeticAndItsReportsAreRight() async throws {
        let result = try await Launcher.run("/usr/bin/env", ["python3", "-B", Self.scripts + "scaling/tests.py"])
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    @Test func itMeasuresLayoutsAndComparesTheirPictures() async throws {
        let runner = try PilotRunner()
        let output = runner.path("scale")
        let result = try await Launcher.run(
            "/usr/bin/env",
            [
                "python3", "-B", Self.scripts + "scale", "--program", try Launcher.productFolder().path() + "/pilot",
                "--model", "\(PilotRunner.models)/sd1", "--mode", "strong,memory", "--repeats", "1", "--steps", "2",
                "--jobs", "2", "--most-layouts", "1", "--no-calibrate", "--output", output,
            ])
        #expect(result.exitCode == 0, "\(result.errors)")
        let json = try #require(
            try JSONSerialization.jsonObject(with: runner.contents("scale/scale.json")) as? [String: Any])
        #expect(json["verdicts"] as? [String: String] == ["strong": "equal", "memory": "equal"])
        let cases = try #require(json["cases"] as? [[String: Any]])
        #expect(cases.map { $0["ranks"] as? Int } == [1, 2, 1, 2])
        for item in cases {
            #expect((item["pictures_per_hour"] != nil) == (item["mode"] as? String == "strong"))
            #expect(item["pss_of_all"] is [String: Any])
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: output)
        #expect(Set(files).isSuperset(of: ["scale.csv", "scale.html", "strong-speed-up.svg"]))

        let again = try await Launcher.run(
            "/usr/bin/env", ["python3", "-B", Self.scripts + "scale", "--output", output])
        #expect(again.exitCode == 64 && again.errors.contains("is there already"))
    }
}

private let hasPython =
    (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    .contains { FileManager.default.isExecutableFile(atPath: "\($0)/python3") }
