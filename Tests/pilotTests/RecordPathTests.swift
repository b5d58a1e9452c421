import Foundation
import ImageFiles
import TestSupport
import Testing

/// What a result's record says of the files that the job read, and how they are found again.
@Suite struct RecordPathTests {
    private static let options = [
        "--model", "\(PilotRunner.models)/sd1", "--prompt", "fox", "--steps", "2", "--coherence", "0.5",
        "--gradient-steps", "1", "--threads", "1",
    ]
    private static let files = ["--image", "image.png", "--mask", "./mask.png"]

    private func record(_ runner: PilotRunner, _ name: String) throws -> String {
        let picture = try DecodedImage.read(runner.path(name))
        return picture.textChunks.map(\.text).joined(separator: "\n")
    }

    @Test func pathsAreRecordedAsTyped() async throws {
        let runner = try PilotRunner()
        let result = try await Launcher.run(
            "pilot", ["inpaint"] + Self.options + Self.files + ["--output", "a.png"], in: runner.folder)
        #expect(result.exitCode == 0, "\(result.errors)")
        let text = try record(runner, "a.png")
        #expect(text.contains("\"image\":\"image.png\"") && text.contains("\"mask\":\"./mask.png\""), "\(text)")
        #expect(!text.contains(runner.folder))
    }

    @Test func pathsAreLeftOutWhenThatIsAsked() async throws {
        let runner = try PilotRunner()
        let first = try await runner.inpaint(runner.job + ["--no-paths", "--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let text = try record(runner, "a.png")
        #expect(!text.contains("/") && !text.contains("image.png") && !text.contains("mask.png"), "\(text)")

        let unnamed = try await runner.inpaint(["--from", runner.path("a.png"), "--output", runner.path("b.png")])
        #expect(unnamed.exitCode == 64, "\(unnamed.errors)")
        #expect(unnamed.failureLines.first?.contains("--image, --mask") == true, "\(unnamed.errors)")
        let named = try await runner.inpaint(
            ["--from", runner.path("a.png"), "--image", runner.path("image.png"), "--mask", runner.path("mask.png")]
                + ["--model", "\(PilotRunner.models)/sd1", "--no-paths", "--output", runner.path("b.png")])
        #expect(named.exitCode == 0, "\(named.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
    }

    /// A batch that leaves paths out knows its pictures again.
    @Test func presentPicturesAreKnownWithoutPaths() async throws {
        let runner = try PilotRunner()
        try runner.write("{\"prompt\": \"fox\", \"output\": \"a.png\", \"paths\": false}", to: "jobs.jsonl")
        for status in ["1 done", "1 present"] {
            let result = try await runner.run(
                ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out")] + runner.job)
            #expect(result.exitCode == 0 && result.output.contains(status), "\(result.errors)")
        }
        #expect(try !record(runner, "out/a.png").contains("image.png"))
    }

    /// The working directory comes first; there the files are others, or none.
    @Test func filesAreFoundBesideTheResult() async throws {
        let runner = try PilotRunner()
        let first = try await Launcher.run(
            "pilot", ["inpaint"] + Self.options + Self.files + ["--output", "a.png"], in: runner.folder)
        #expect(first.exitCode == 0, "\(first.errors)")
        let elsewhere = try PilotRunner()
        for name in ["image.png", "mask.png"] { try FileManager.default.removeItem(atPath: elsewhere.path(name)) }
        let again = ["inpaint", "--from", runner.path("a.png"), "--output"]
        let found = try await Launcher.run("pilot", again + ["b.png"], in: elsewhere.folder)
        #expect(found.exitCode == 0, "\(found.errors)")
        #expect(
            try DecodedImage.read(runner.path("a.png")).rgb == DecodedImage.read(elsewhere.path("b.png")).rgb)
        // The new record leads to the files, too.
        let third = try await Launcher.run(
            "pilot", ["inpaint", "--from", "b.png", "--output", "c.png"], in: elsewhere.folder)
        #expect(third.exitCode == 0, "\(third.errors)")

        try elsewhere.write(runner.contents("mask.png"), to: "image.png")
        let other = try await Launcher.run("pilot", again + ["d.png"], in: elsewhere.folder)
        #expect(other.exitCode == 65 && other.errors.contains("image.png: has changed"), "\(other.errors)")
        // Beside the result, too, files must be what they were.
        try FileManager.default.removeItem(atPath: elsewhere.path("image.png"))
        try runner.write(runner.contents("mask.png"), to: "image.png")
        let changed = try await Launcher.run("pilot", again + ["d.png"], in: elsewhere.folder)
        #expect(changed.exitCode == 65 && changed.errors.contains("image.png: has changed"), "\(changed.errors)")
    }
}
