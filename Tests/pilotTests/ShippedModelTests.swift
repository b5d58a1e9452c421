import Foundation
import ImageFiles
import TestSupport
import Testing

/// The model that comes with the program: what it paints, and where it is found.
@Suite struct ShippedModelTests {
    /// The package's folder, with a slash at its end.
    private static let root =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path()

    /// Where the build has put it.
    private static func model() throws -> String {
        try Launcher.productFolder().path + "/pilot-mpi_pilot.resources/scenes"
    }

    /// A job that names no model, on whatever is in the folder.
    private func job(_ runner: PilotRunner) -> [String] {
        [
            "--image", runner.path("image.png"), "--mask", runner.path("mask.png"), "--prompt", "a red ball", "--steps",
            "2", "--coherence", "0", "--threads", "1",
        ]
    }

    @Test func paintsWhatTheWordsSay() async throws {
        let runner = try PilotRunner()
        let (image, mask) = ("\(Self.root)examples/meadow.png", "\(Self.root)examples/meadow-mask.png")
        for ranks in [1, 2] {
            let result = try await runner.inpaint(
                [
                    "--image", image, "--mask", mask, "--prompt", "a blue ball", "--preset", "fast", "--threads", "1",
                    "--output", runner.path("\(ranks).png"),
                ], ranks: ranks)
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(!result.errors.contains("looks like a photograph"), "\(result.errors)")
        }
        #expect(try runner.contents("1.png") == runner.contents("2.png"))

        let before = try DecodedImage.read(image).rgb
        let after = try DecodedImage.read(runner.path("1.png")).rgb
        let isRepainted = try DecodedImage.read(mask).grey.binaryMask().values
        func pixels(_ picture: RGBImage, repainted: UInt8) -> [ArraySlice<UInt8>] {
            isRepainted.indices.filter { isRepainted[$0] == repainted }.map { picture.bytes[3 * $0..<3 * $0 + 3] }
        }
        #expect(pixels(after, repainted: 0) == pixels(before, repainted: 0))
        #expect(blueShare(of: pixels(before, repainted: 1)) == 0)
        // A ball does not fill its hole, and has a lit side and a shaded one.
        #expect(blueShare(of: pixels(after, repainted: 1)) > 0.25)
    }

    /// It knows drawn scenes alone; what other models know, nobody can say.
    @Test func aPhotographIsWarnedOf() async throws {
        let runner = try PilotRunner()
        let (image, mask) = ("\(Self.root)examples/coffee.png", "\(Self.root)examples/coffee-mask.png")
        let job = [
            "--prompt", "a red ball", "--steps", "1", "--coherence", "0", "--threads", "1",
            "--overwrite", "--output", runner.path("a.png"),
        ]
        let warning = "warning: \(image) looks like a photograph, and the model scenes knows drawn scenes alone"
        let shipped = try await runner.inpaint(["--image", image, "--mask", mask] + job)
        #expect(shipped.exitCode == 0 && shipped.errors.contains(warning), "\(shipped.errors)")
        let other = try await runner.inpaint(
            ["--image", image, "--mask", mask, "--model", "\(PilotRunner.models)/sd1"] + job)
        #expect(other.exitCode == 0 && !other.errors.contains("photograph"), "\(other.errors)")
        let swapped = try await runner.inpaint(["--image", mask, "--mask", image] + job)
        #expect(swapped.exitCode == 0, "\(swapped.errors)")
        #expect(
            swapped.errors.contains("\(mask) is black and white, and \(image) looks like a photograph"),
            "\(swapped.errors)")
    }

    /// The share of pixels whose hue is within 30 degrees of blue and that are neither grey nor near black.
    private func blueShare(of pixels: [ArraySlice<UInt8>]) -> Double {
        let blue = pixels.count { pixel in
            let (red, green, blue) = (
                Int(pixel[pixel.startIndex]), Int(pixel[pixel.startIndex + 1]), Int(pixel[pixel.startIndex + 2])
            )
            let range = blue - min(red, green)
            return blue > 60 && blue == max(red, green, blue) && 2 * range > blue && 2 * abs(red - green) < range
        }
        return Double(blue) / Double(pixels.count)
    }

    @Test func isTheDefaultAndHasAName() async throws {
        let runner = try PilotRunner()
        for (name, options, variables) in [
            ("default", [], [:]), ("empty", [], ["PILOT_MODEL": ""]), ("variable", [], ["PILOT_MODEL": "scenes"]),
            ("named", ["--model", "scenes"], ["PILOT_MODEL": "nowhere"]),
        ] as [(String, [String], [String: String])] {
            let result = try await Launcher.run(
                "pilot", ["inpaint"] + job(runner) + options + ["--output", runner.path("\(name).png")],
                variables: variables)
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(try runner.contents("\(name).png") == runner.contents("default.png"), "\(name)")
        }
        let other = try await Launcher.run(
            "pilot", ["model", "inspect", "--json"], variables: ["PILOT_MODEL": "\(PilotRunner.models)/sd1"])
        #expect(try folder(other).hasSuffix("/sd1"))
        let timed = try await Launcher.run("pilot", ["model", "benchmark", "--passes", "1", "--threads", "1"])
        #expect(timed.exitCode == 0, "\(timed.errors)")
    }

    @Test func aModelInTheWorkingDirectoryHasPriority() async throws {
        let runner = try PilotRunner()
        let scenes = runner.path("scenes")
        // A folder that only has the name is none.
        try FileManager.default.createDirectory(atPath: scenes, withIntermediateDirectories: false)
        let shipped = try await Launcher.run("pilot", ["model", "inspect", "--json"], in: runner.folder)
        #expect(try folder(shipped) == Self.model())
        try FileManager.default.removeItem(atPath: scenes)

        try FileManager.default.copyContents(atPath: "\(PilotRunner.models)/sd1", toPath: scenes)
        let local = try await Launcher.run("pilot", ["model", "inspect", "scenes", "--json"], in: runner.folder)
        #expect(try folder(local) == "scenes")
        for (name, options) in [("default", []), ("path", ["--model", scenes])] as [(String, [String])] {
            let result = try await Launcher.run(
                "pilot", ["inpaint"] + job(runner) + options + ["--output", runner.path("\(name).png")],
                in: runner.folder)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        #expect(try DecodedImage.read(runner.path("default.png")).rgb == DecodedImage.read(runner.path("path.png")).rgb)
    }

    @Test func installedProgramHasItToo() async throws {
        let runner = try PilotRunner()
        let (program, model) = try await install(in: runner)
        let link = runner.path("link")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: program)
        let inspected = try await Launcher.run(link, ["model", "inspect", "--json"])
        #expect(try folder(inspected) == URL(fileURLWithPath: model).resolvingSymlinksInPath().path)
        // What single files need comes along, with its licence.
        let clip = runner.path("prefix/share/pilot-mpi/clip")
        #expect(try FileManager.default.contentsOfDirectory(atPath: clip).sorted() == ["LICENSE", "merges.txt"])

        // A record holds the name, so that it means the same to every installation.
        let first = try await runner.inpaint(job(runner) + ["--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let again = try await Launcher.run(
            program, ["inpaint", "--from", runner.path("a.png"), "--output", runner.path("again.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("a.png"))
    }

    /// The manual page and the shells' completions are where man and the shells look, as the program prints them.
    @Test func whatItSaysOfItselfIsInstalled() async throws {
        let runner = try PilotRunner()
        let (program, _) = try await install(in: runner)
        for (file, command) in [
            ("man/man1/pilot.1", ["manual"]), ("bash-completion/completions/pilot", ["completions", "bash"]),
            ("zsh/site-functions/_pilot", ["completions", "zsh"]),
            ("fish/vendor_completions.d/pilot.fish", ["completions", "fish"]),
        ] {
            let printed = try await Launcher.run(program, command)
            #expect(printed.exitCode == 0 && printed.output.count > 1000)
            #expect(try runner.contents("prefix/share/\(file)") == Data(printed.output.utf8), "\(file)")
        }
    }

    @Test func installingTwiceRepairs() async throws {
        let runner = try PilotRunner()
        let (program, model) = try await install(in: runner)
        let files = runner.files()
        let vocabulary = "\(model)/tokenizer/vocab.json"
        let text = try String(contentsOfFile: vocabulary, encoding: .utf8)
        try Data().write(to: URL(fileURLWithPath: vocabulary))
        try Data().write(to: URL(fileURLWithPath: program))
        _ = try await install(in: runner)
        #expect(try String(contentsOfFile: vocabulary, encoding: .utf8) == text)
        #expect(try await Launcher.run(program, ["--version"]).exitCode == 0)
        #expect(runner.files() == files)

        let script = "\(Self.root)scripts/install"
        let usage = try await Launcher.run("/bin/bash", [script])
        #expect(usage.exitCode == 64)
        let built = try Launcher.productFolder().path
        let inTheWay = try await Launcher.run("/bin/bash", [script, "--built", built, "/dev/null/prefix"])
        #expect(inTheWay.exitCode == 74)
    }

    @Test func anotherModelOfTheNameIsNoticed() async throws {
        let runner = try PilotRunner()
        let (program, model) = try await install(in: runner)
        try FileManager.default.removeItem(atPath: model)
        try FileManager.default.copyContents(atPath: "\(PilotRunner.models)/sd1", toPath: model)
        let first = try await runner.inpaint(job(runner) + ["--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let before = runner.files()
        let again = try await Launcher.run(
            program, ["inpaint", "--from", runner.path("a.png"), "--output", runner.path("again.png")])
        #expect(again.exitCode == 65)
        #expect(again.failureLines.count == 1)
        #expect(again.failureLines.first?.contains("--model scenes: is another model") == true, "\(again.errors)")

        // The second rank runs the other program.
        let arguments = ["inpaint"] + job(runner) + ["--output", runner.path("b.png")]
        let mixed = try await Launcher.mpirun(ranks: 1, "pilot", arguments + [":", "-np", "1", program])
        #expect(!mixed.hasHung)
        #expect(mixed.exitCode == 65)
        #expect(mixed.failureLines.count == 1)
        #expect(mixed.failureLines.first?.contains("is another model than rank 0's") == true, "\(mixed.errors)")
        #expect(runner.files() == before)
    }

    @Test func itsAbsenceIsSaid() async throws {
        let runner = try PilotRunner()
        let (program, model) = try await install(in: runner)
        try FileManager.default.removeItem(atPath: model)
        for arguments in [["inpaint"] + job(runner) + ["--output", runner.path("a.png")], ["model", "inspect"]] {
            let result = try await Launcher.run(program, arguments)
            #expect(result.exitCode == 66)
            #expect(result.failureLines.count == 1)
            for part in [
                "prefix/bin/pilot-mpi_pilot.resources/scenes", "prefix/share/pilot-mpi/models/scenes",
                "scripts/install",
            ] {
                #expect(result.failureLines.first?.contains(part) == true, "\(part) in \(result.errors)")
            }
        }
        let other = try await Launcher.run(program, ["model", "inspect", "\(PilotRunner.models)/sd1", "--json"])
        #expect(try folder(other).hasSuffix("/sd1"))
    }

    /// Runs scripts/install; returns the installed program and model.
    private func install(in runner: PilotRunner) async throws -> (program: String, model: String) {
        let result = try await Launcher.run(
            "/bin/bash",
            ["\(Self.root)scripts/install", "--built", Launcher.productFolder().path, runner.path("prefix")])
        #expect(result.exitCode == 0, "\(result.errors)")
        return (runner.path("prefix/bin/pilot"), runner.path("prefix/share/pilot-mpi/models/scenes"))
    }

    /// The folder that `pilot model inspect --json` has looked at.
    private func folder(_ result: ProgramResult) throws -> String {
        #expect(result.exitCode == 0, "\(result.errors)")
        let figures = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
        return try #require(figures?["folder"] as? String)
    }
}
