import Foundation
import ImageFiles
import TestSupport
import Testing

/// The networks that come with the program beside its model: what they do, and where they are found.
@Suite struct ShippedNetworkTests {
    private static let examples =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path() + "examples"
    private static let job = [
        "--image", "\(examples)/meadow.png", "--mask", "\(examples)/meadow-mask.png", "--preset", "fast", "--threads",
        "1",
    ]
    private static let scribble = [
        "--prompt", "a yellow house", "--control", "scenes-edges", "--control-image", "\(examples)/meadow-scribble.png",
    ]

    @Test func aScribbleIsFollowed() async throws {
        let runner = try PilotRunner()
        for (name, options, ranks) in [
            ("1", Self.scribble, 1), ("2", Self.scribble, 2), ("without", ["--prompt", "a yellow house"], 1),
        ] {
            let result = try await runner.inpaint(
                Self.job + options + ["--output", runner.path("\(name).png")], ranks: ranks)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        #expect(try runner.contents("1.png") == runner.contents("2.png"))
        let (inside, before) = (try insideOfScribble(), try DecodedImage.read("\(Self.examples)/meadow.png").rgb.bytes)
        /// Intersection over union of what is painted with what was drawn.
        func overlap(_ name: String) throws -> Double {
            let after = try DecodedImage.read(runner.path(name)).rgb.bytes
            let painted = Set(
                (0..<after.count / 3).filter { pixel in
                    (3 * pixel..<3 * pixel + 3).reduce(0) { $0 + abs(Int(after[$1]) - Int(before[$1])) } > 100
                })
            return Double(painted.intersection(inside).count) / Double(painted.union(inside).count)
        }
        let (with, without) = (try overlap("1.png"), try overlap("without.png"))
        #expect(with > 0.6 && with > without + 0.2, "\(with), \(without)")
    }

    /// The pixels that have lines on both sides in their row.
    private func insideOfScribble() throws -> Set<Int> {
        let lines = try DecodedImage.read("\(Self.examples)/meadow-scribble.png").grey
        return Set(
            lines.bytes.indices.filter { pixel in
                let row = pixel / lines.width * lines.width
                return lines.bytes[row...pixel].contains(255) && lines.bytes[pixel..<(row + lines.width)].contains(255)
            })
    }

    private func pixels(
        of file: String, where isMeant: (_ red: Int, _ green: Int, _ blue: Int) -> Bool
    ) throws -> Set<Int> {
        let picture = try DecodedImage.read(file).rgb
        return Set(
            (0..<picture.width * picture.height).filter { pixel in
                let channels = (0..<3).map { Int(picture.bytes[3 * pixel + $0]) }
                return isMeant(channels[0], channels[1], channels[2])
            })
    }

    /// The strip has the map between mask and result.
    @Test func theComparisonShowsTheMap() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(
            Self.job + Self.scribble + ["--steps", "2", "--coherence", "0", "--output", runner.path("a.png")]
                + ["--compare", runner.path("strip.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        let strip = try DecodedImage.read(runner.path("strip.png")).rgb
        let map = try DecodedImage.read("\(Self.examples)/meadow-scribble.png").rgb
        let (gap, factor) = (2, 4)
        #expect(strip.width == factor * (5 * map.width + 4 * gap))
        for y in 0..<map.height {
            for x in 0..<map.width {
                let place = factor * y * strip.width + factor * (2 * (map.width + gap) + x)
                #expect(strip.bytes[3 * place] == map.bytes[3 * (y * map.width + x)])
            }
        }
    }

    @Test func aShownPictureIsPainted() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(
            Self.job + ["--prompt", "", "--ip-adapter", "scenes-picture", "--ip-adapter-image"]
                + ["\(Self.examples)/ball.png", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        let hole = try pixels(of: "\(Self.examples)/meadow-mask.png") { red, _, _ in red > 127 }
        let orange = try pixels(of: runner.path("a.png")) { red, green, blue in
            red > 120 && 4 * green > red && 4 * green < 3 * red && 2 * blue < green
        }
        #expect(Double(orange.intersection(hole).count) / Double(hole.count) > 0.2)
    }

    /// A record holds the name, so that it means the same to every installation; what else is called so has priority.
    @Test func theNameIsRecorded() async throws {
        let runner = try PilotRunner()
        func run(to output: String) async throws -> ProgramResult {
            let options = Self.scribble + ["--steps", "2", "--coherence", "0", "--output", output]
            return try await Launcher.run("pilot", ["inpaint"] + Self.job + options, in: runner.folder)
        }
        let first = try await run(to: "a.png")
        #expect(first.exitCode == 0, "\(first.errors)")
        let texts = try DecodedImage.read(runner.path("a.png")).textChunks.map(\.text).joined()
        #expect(texts.contains("\"net\":\"scenes-edges\""), "\(texts)")
        let again = try await runner.inpaint(["--from", runner.path("a.png"), "--output", runner.path("b.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))

        try FileManager.default.copyContents(atPath: "\(PilotRunner.controls)/sd1", toPath: runner.path("scenes-edges"))
        let other = try await run(to: "c.png")
        #expect(other.exitCode == 65 && other.errors.contains("scenes-edges/config.json"), "\(other.errors)")
    }

    @Test func theyAreInstalledToo() async throws {
        let runner = try PilotRunner()
        let installed = try await Launcher.run(
            "/bin/bash",
            ["\(Self.examples)/../scripts/install", "--built", Launcher.productFolder().path, runner.path("prefix")])
        #expect(installed.exitCode == 0, "\(installed.errors)")
        let program = runner.path("prefix/bin/pilot")
        let models = runner.path("prefix/share/pilot-mpi/models")
        let jobs = [
            "scenes-edges": Self.scribble,
            "scenes-picture": [
                "--prompt", "", "--ip-adapter", "scenes-picture", "--ip-adapter-image", "\(Self.examples)/ball.png",
            ],
        ]
        for (name, options) in jobs {
            let job = ["inpaint"] + Self.job + options + ["--steps", "2", "--coherence", "0"]
            let there = try await Launcher.run(program, job + ["--output", runner.path("\(name).png")])
            #expect(there.exitCode == 0, "\(there.errors)")
            try FileManager.default.removeItem(atPath: "\(models)/\(name)")
            let gone = try await Launcher.run(program, job + ["--output", runner.path("gone.png")])
            #expect(gone.exitCode == 66 && gone.failureLines.count == 1)
            for part in [name, "which comes with the program", "scripts/install"] {
                #expect(gone.failureLines.first?.contains(part) == true, "\(part) in \(gone.errors)")
            }
        }
    }
}
