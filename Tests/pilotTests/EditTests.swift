import Foundation
import ImageFiles
import TestSupport
import Testing

/// Edits in a row, and their repetition, by the built program.
@Suite struct EditTests {
    /// Two edits: the upper part of image.png to first.png, then the lower part of that to second.png.
    private func edit(in runner: PilotRunner) async throws -> RGBImage {
        let image = try DecodedImage.read(runner.path("image.png")).rgb
        for (name, rows) in [("upper.png", 6..<18), ("lower.png", 28..<42)] {
            let mask = (0..<image.width * image.height).flatMap { pixel in
                [UInt8](repeating: rows.contains(pixel / image.width) ? 255 : 0, count: 3)
            }
            try RGBImage(width: image.width, height: image.height, bytes: mask).writePNG(to: runner.path(name))
        }
        for (from, mask, to) in [("image.png", "upper.png", "first.png"), ("first.png", "lower.png", "second.png")] {
            let result = try await runner.inpaint(
                runner.job + ["--image", runner.path(from), "--mask", runner.path(mask), "--output", runner.path(to)])
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        return image
    }

    @Test func allEditsAreRepeatedFromTheFirstPhotograph() async throws {
        let runner = try PilotRunner()
        let image = try await edit(in: runner)
        let first = try runner.contents("first.png")
        try FileManager.default.removeItem(atPath: runner.path("first.png"))
        for ranks in [1, 2] {
            let name = "again-\(ranks).png"
            let again = try await runner.inpaint(
                ["--from", runner.path("second.png"), "--threads", "1", "--output", runner.path(name)], ranks: ranks)
            #expect(again.exitCode == 0, "\(again.errors)")
            #expect(again.errors.contains("edit 1/2, ") && again.errors.contains("edit 2/2, "), "\(again.errors)")
            #expect(!again.errors.contains("warning"), "\(again.errors)")
            #expect(try runner.contents(name) == runner.contents("second.png"))
        }
        #expect(!runner.files().contains { $0.hasPrefix("edit") })
        let result = try DecodedImage.read(runner.path("second.png")).rgb
        for row in 0..<image.height where !(6..<18).contains(row) && !(28..<42).contains(row) {
            let pixels = 3 * row * image.width..<3 * (row + 1) * image.width
            #expect(result.bytes[pixels] == image.bytes[pixels])
        }

        // The last edit alone, on a picture that is named.
        try runner.write(first, to: "moved.png")
        let alone = try await runner.inpaint([
            "--from", runner.path("second.png"), "--image", runner.path("moved.png"), "--threads", "1", "--output",
            runner.path("alone.png"),
        ])
        #expect(alone.exitCode == 0 && !alone.errors.contains("edit 1/2"), "\(alone.errors)")
        #expect(try DecodedImage.read(runner.path("alone.png")).rgb == result)
        // An option beside it is the last edit's, and a drawn seed is said as it is recorded.
        let other = try await runner.inpaint([
            "--from", runner.path("second.png"), "--seed", "random", "--threads", "1", "--output",
            runner.path("other.png"),
        ])
        #expect(other.exitCode == 0, "\(other.errors)")
        let changed = try DecodedImage.read(runner.path("other.png"))
        let upper = 3 * image.width * 20
        #expect(changed.rgb.bytes[..<upper] == result.bytes[..<upper] && changed.rgb != result)
        let record = try #require(changed.textChunks.first { $0.keyword == "pilot" }).text
        let seed = try #require(other.output.firstMatch(of: /seed (\d+)/)).output.1
        #expect(record.contains("\"seed\":\(seed),"), "\(seed) in \(record)")
    }

    @Test func whatIsGoneIsSaidWithItsEdit() async throws {
        let runner = try PilotRunner()
        _ = try await edit(in: runner)
        try FileManager.default.removeItem(atPath: runner.path("image.png"))
        let before = runner.files()
        let result = try await runner.inpaint(
            ["--from", runner.path("second.png"), "--output", runner.path("again.png")], ranks: 2)
        #expect(result.exitCode == 66)
        #expect(result.failureLines.count == 1)
        #expect(
            result.failureLines.first?.contains("edit 1 of 2: --image: ") == true
                && result.failureLines.first?.contains("image.png") == true, "\(result.errors)")
        #expect(runner.files() == before)
    }
}
