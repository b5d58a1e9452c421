import Foundation
import ImageFiles
import InpaintingJobs
import TestSupport
import Testing

/// Masks in alpha channels, grown ones, blurred edges.
@Suite struct MaskOptionTests {
    /// The runner's job with other options, on a picture of 13 x 9 with an alpha channel.
    private func job(_ runner: PilotRunner, _ options: [String]) -> [String] {
        runner.job + ["--image", Self.transparent] + options
    }

    private static let transparent =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "ImageFilesTests/Fixtures/rgba-8.png"

    private func inpaint(_ runner: PilotRunner, _ arguments: [String], to name: String, ranks: Int = 1) async throws {
        let result = try await runner.inpaint(arguments + ["--output", runner.path("\(name).png")], ranks: ranks)
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    private func picture(_ runner: PilotRunner, _ name: String) throws -> RGBImage {
        try DecodedImage.read(runner.path("\(name).png")).rgb
    }

    /// The photograph's own alpha channel, and a file with the same: one picture.
    @Test func whatIsTransparentIsRepainted() async throws {
        let runner = try PilotRunner()
        let photograph = try DecodedImage.read(Self.transparent)
        let mask = try #require(photograph.transparencyMask)
        try RGBImage(width: mask.width, height: mask.height, bytes: mask.bytes.flatMap { [$0, $0, $0] })
            .writePNG(to: runner.path("grey.png"))
        try await inpaint(runner, job(runner, ["--mask", "alpha"]), to: "own", ranks: 2)
        try await inpaint(runner, job(runner, ["--mask", runner.path("grey.png")]), to: "file")
        try await inpaint(runner, job(runner, ["--mask", Self.transparent]), to: "rgba")
        let own = try picture(runner, "own")
        #expect(try own == picture(runner, "file") && own == picture(runner, "rgba"))
        let repainted = mask.binaryMask().values
        for pixel in repainted.indices where repainted[pixel] == 0 {
            #expect(own.bytes[3 * pixel] == photograph.rgb.bytes[3 * pixel])
        }
        #expect(own != photograph.rgb)
        // The word is no path: it is recorded as it is, and repeated, with and without names.
        for options in [[], ["--no-paths"]] {
            try await inpaint(runner, job(runner, ["--mask", "alpha", "--overwrite"] + options), to: "own")
            let again = try await runner.inpaint(
                [
                    "--from", runner.path("own.png"), "--model", "\(PilotRunner.models)/sd1", "--image",
                    Self.transparent, "--overwrite", "--output", runner.path("again.png"),
                ])
            #expect(again.exitCode == 0, "\(again.errors)")
            #expect(try picture(runner, "again") == own)
        }
        // A file of that name is another matter.
        let file = try await Launcher.run(
            "pilot", ["inpaint"] + job(runner, ["--mask", "./alpha", "--output", "a.png"]), in: runner.folder)
        #expect(file.exitCode == 66, "\(file.errors)")
    }

    @Test func masksGrowAndTheirEdgesAreBlurred() async throws {
        let runner = try PilotRunner()
        try await inpaint(runner, runner.job, to: "plain")
        try await inpaint(runner, runner.job + ["--mask-grow", "0", "--mask-blur", "0"], to: "same")
        #expect(try runner.contents("same.png") == runner.contents("plain.png"), "0 says nothing")
        try await inpaint(runner, runner.job + ["--mask-grow", "5", "--mask-blur", "3"], to: "grown", ranks: 2)
        let again = try await runner.inpaint(["--from", runner.path("grown.png"), "--output", runner.path("again.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("grown.png"))

        // The same as with a mask that was painted larger; the blur is in the pasting alone.
        let mask = try DecodedImage.read(runner.path("mask.png")).grey.binaryMask().grown(by: 5)
        try RGBImage(
            width: mask.width, height: mask.height, bytes: mask.values.flatMap { [$0, $0, $0].map { 255 * $0 } }
        )
        .writePNG(to: runner.path("larger.png"))
        let painted = runner.job + ["--mask", runner.path("larger.png")]
        try await inpaint(runner, painted + ["--mask-blur", "3"], to: "painted")
        #expect(try picture(runner, "painted") == picture(runner, "grown"))
        try await inpaint(runner, painted, to: "hard")
        let (soft, hard, image) = (
            try picture(runner, "grown"), try picture(runner, "hard"), try picture(runner, "image")
        )
        #expect(soft != hard)
        for pixel in mask.values.indices where mask.values[pixel] == 0 {
            #expect(soft.bytes[3 * pixel] == image.bytes[3 * pixel])
        }
    }
}
