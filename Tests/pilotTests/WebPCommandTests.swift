import Foundation
import ImageFiles
import TestSupport
import Testing

/// WebP files from the command line, with libwebp and without.
@Suite struct WebPCommandTests {
    private static let hasWebP = (try? RGBImage.checkWritesWebP(to: "a.webp", by: "--output")) != nil

    @Test(.enabled(if: hasWebP, "there is no libwebp here: apt-get install libwebp7"))
    func aWebPIsWrittenRepeatedAndPaintedOn() async throws {
        let runner = try PilotRunner()
        for (name, arguments) in [
            ("a.png", runner.job), ("a.webp", runner.job), ("again.webp", ["--from", runner.path("a.webp")]),
            ("masked.png", runner.job + ["--mask", runner.path("mask.webp")]),
        ] {
            if name == "masked.png" {
                let mask = try DecodedImage.read(runner.path("mask.png")).rgb
                try mask.withWebP(quality: nil, of: PictureMetadata()) { try runner.write($0, to: "mask.webp") }
            }
            let result = try await runner.inpaint(arguments + ["--output", runner.path(name)])
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        let exact = try DecodedImage.read(runner.path("a.png")).rgb
        #expect(try DecodedImage.read(runner.path("a.webp")).rgb == exact)
        #expect(try DecodedImage.read(runner.path("masked.png")).rgb == exact)
        #expect(try runner.contents("again.webp") == runner.contents("a.webp"))
    }

    /// The dynamic linker finds a file of that name that is no library, and looks no further.
    @Test func withoutTheLibraryItIsSaidWhatToInstall() async throws {
        let runner = try PilotRunner()
        try FileManager.default.createDirectory(atPath: runner.path("lib"), withIntermediateDirectories: false)
        try runner.write("", to: "lib/libwebp.so.7")
        let fixture =
            URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
            + "ImageFilesTests/Fixtures/WebP/lossy.webp"
        let cases: [(arguments: [String], exitCode: Int32)] = [
            (["--output", runner.path("a.webp")], 64),
            (["--image", fixture, "--output", runner.path("a.png")], 66),
            (["--output", runner.path("a.png")], 0),
        ]
        for (arguments, exitCode) in cases {
            let result = try await Launcher.run(
                "pilot", ["inpaint"] + runner.job + arguments, variables: ["LD_LIBRARY_PATH": runner.path("lib")])
            #expect(result.exitCode == exitCode, "\(result.errors)")
            if exitCode != 0 {
                #expect(result.failureLines.count == 1 && result.errors.contains("apt-get install libwebp7"))
            }
        }
    }
}
