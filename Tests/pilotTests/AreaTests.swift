import Foundation
import ImageFiles
import TestSupport
import Testing

/// The hole of a large photograph, painted by the model that comes with the program.
@Suite struct AreaTests {
    private static let (width, height) = (600, 450)
    private static let hole = (x: 250..<340, y: 300..<370)

    /// A sky and a meadow, drawn as the model knows them, with a hole where a ball could lie.
    private func draw(in runner: PilotRunner) throws {
        let (width, height) = (Self.width, Self.height)
        var picture: [UInt8] = []
        var mask: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                let (dark, light) = (60 * y / height, 80 * y / height)
                let sky: [UInt8] = [UInt8(110 + light), UInt8(170 + dark), 235]
                let meadow: [UInt8] = [UInt8(70 + dark / 2), UInt8(120 + dark), 60]
                picture += y < height / 2 ? sky : meadow
                let isHole = Self.hole.x.contains(x) && Self.hole.y.contains(y)
                mask += [UInt8](repeating: isHole ? 255 : 0, count: 3)
            }
        }
        try RGBImage(width: width, height: height, bytes: picture).writePNG(to: runner.path("image.png"))
        try RGBImage(width: width, height: height, bytes: mask).writePNG(to: runner.path("mask.png"))
    }

    @Test func aHoleIsPaintedAtFullResolution() async throws {
        let runner = try PilotRunner()
        try draw(in: runner)
        let job = [
            "--image", runner.path("image.png"), "--mask", runner.path("mask.png"), "--prompt", "a red ball",
            "--preset", "fast", "--threads", "1",
        ]
        for ranks in [1, 2] {
            let result = try await runner.inpaint(job + ["--output", runner.path("\(ranks).png")], ranks: ranks)
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(
                result.errors.contains(
                    "600x450, of which 180x180 around the hole are computed at 64x64 (scale 0.3556)"),
                "\(result.errors)")
            #expect(!result.errors.contains("warning"), "\(result.errors)")
        }
        #expect(try runner.contents("1.png") == runner.contents("2.png"))
        let again = try await runner.inpaint(["--from", runner.path("1.png"), "--output", runner.path("again.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("1.png"))

        let before = try DecodedImage.read(runner.path("image.png")).rgb
        let after = try DecodedImage.read(runner.path("1.png"))
        var changed = 0
        var areKept = true
        for y in 0..<Self.height {
            for x in 0..<Self.width {
                let pixel = 3 * (y * Self.width + x)
                let isSame = before.bytes[pixel..<pixel + 3] == after.rgb.bytes[pixel..<pixel + 3]
                if Self.hole.x.contains(x) && Self.hole.y.contains(y) {
                    changed += isSame ? 0 : 1
                } else {
                    areKept = areKept && isSame
                }
            }
        }
        #expect(areKept && changed > 3000)
        let record = after.textChunks.first { $0.keyword == "pilot" }?.text ?? ""
        #expect(record.contains(#""cuts":[{"height":180,"#) && record.contains(#""scale":0.3556"#), "\(record)")
        #expect(record.contains(#""area":"mask","areaPadding":"50%""#), "\(record)")
        // What is taken whole has another picture, and a record that says nothing of cuts.
        let whole = try await runner.inpaint(
            ["--from", runner.path("1.png"), "--area", "whole", "--output", runner.path("whole.png")])
        #expect(whole.exitCode == 0 && whole.errors.contains("computed at 64x48"), "\(whole.errors)")
        let chunks = try DecodedImage.read(runner.path("whole.png")).textChunks
        #expect(chunks.allSatisfy { !$0.text.contains("area") && !$0.text.contains("cuts") })
    }
}
