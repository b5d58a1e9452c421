import Foundation
import TestSupport
import Testing

/// What is wrong with the names of outputs is found before anything is computed, and nothing is written over unasked.
@Suite struct OutputTests {
    /// An output that is another file of the command, by whatever name.
    private struct Clash {
        let arguments: [String]
        let mentions: [String]

        init(_ arguments: [String], _ mentions: String...) {
            self.arguments = arguments
            self.mentions = mentions
        }
    }

    private static let clashes = [
        Clash(["--compare", "./out.png"], "--output and --compare name the same file"),
        Clash(["--dump", "folder/../out.png"], "--output and --dump name the same file"),
        Clash(["--output", "way/new.png", "--trace", "folder/new.png"], "--output and --trace name the same file"),
        Clash(["--preview", "out.png"], "--output and --preview name the same file"),
        Clash(["--count", "2", "--dump", "./out.png"], "--output and --dump name the same file"),
        Clash(["--output", "hard.png"], "--output hard.png", "image.png"),
        Clash(["--dump", "link.png"], "--dump link.png", "mask.png"),
        Clash(["--initial-latent", "d.st", "--output", "./d.st"], "--output ./d.st", "d.st"),
        Clash(["--preview", "folder", "--output", "folder/step-1.png"], "--output and --preview name the same file"),
    ]

    @Test func outputsAreFilesOfTheirOwn() async throws {
        let runner = try PilotRunner()
        let manager = FileManager.default
        try manager.linkItem(atPath: runner.path("image.png"), toPath: runner.path("hard.png"))
        try manager.createSymbolicLink(atPath: runner.path("link.png"), withDestinationPath: "mask.png")
        try manager.createDirectory(atPath: runner.path("folder"), withIntermediateDirectories: false)
        try manager.createSymbolicLink(atPath: runner.path("way"), withDestinationPath: "folder")
        try runner.write("a latent", to: "d.st")
        let before = runner.files()
        for clash in Self.clashes {
            // Those who want files written over don't want this.
            let result = try await Launcher.run(
                "pilot", ["inpaint"] + runner.job + ["--output", "out.png", "--overwrite"] + clash.arguments,
                in: runner.folder)
            #expect(result.exitCode == 64, "\(clash.arguments): \(result.errors)")
            #expect(result.failureLines.count == 1)
            for part in clash.mentions {
                #expect(result.failureLines.first?.contains(part) == true, "\(clash.arguments): \(result.errors)")
            }
        }
        #expect(runner.files() == before)
    }

    @Test func aBatchsOwnFilesAreFilesOfTheirOwn() async throws {
        let runner = try PilotRunner()
        try runner.write("{\"prompt\": \"fox\", \"output\": \"a.png\"}", to: "jobs.jsonl")
        for (options, mention) in [
            (["--results", "./jobs.jsonl"], "would be written over jobs.jsonl"),
            (["--sheet", "s", "--trace", "./s"], "--sheet and --trace name the same file"),
        ] {
            let result = try await Launcher.run(
                "pilot", ["batch", "jobs.jsonl", "--output", "out"] + runner.job + ["--overwrite"] + options,
                in: runner.folder)
            #expect(result.exitCode == 64, "\(options): \(result.errors)")
            #expect(result.failureLines.first?.contains(mention) == true, "\(result.errors)")
        }
    }

    /// Nobody reads the pipe, and nobody ever will; a full device takes nothing.
    @Test func whatCanNotBeWrittenIsRefusedBeforeAnythingIsComputed() async throws {
        let runner = try PilotRunner()
        #expect(mkfifo(runner.path("pipe"), 0o666) == 0)
        try runner.write("{\"prompt\": \"fox\", \"output\": \"a.png\"}", to: "jobs.jsonl")
        let before = runner.files()
        let inpaint = ["inpaint"] + runner.job + ["--output", "out.png"]
        let batch = ["batch", "jobs.jsonl", "--output", "out"] + runner.job
        for (command, place) in [
            (inpaint + ["--output", "pipe"], "pipe"), (inpaint + ["--dump", "pipe"], "pipe"),
            (inpaint + ["--compare", "pipe"], "pipe"), (inpaint + ["--trace", "pipe"], "pipe"),
            (inpaint + ["--preview", "pipe"], "pipe"), (inpaint + ["--preview", "jobs.jsonl"], "jobs.jsonl"),
            (inpaint + ["--dump", "/dev/full"], "/dev/full"), (batch + ["--results", "pipe"], "pipe"),
            (batch + ["--sheet", "pipe"], "pipe"), (batch + ["--trace", "/dev/full"], "/dev/full"),
            (["plan", "--calibrate", "--output", "/dev/full", "--model", "\(PilotRunner.models)/sd1"], "/dev/full"),
        ] {
            let result = try await Launcher.run("pilot", command, in: runner.folder)
            #expect(!result.hasHung, "\(command)")
            // A calibration that is there is read first, and a device is none.
            #expect([74, 66].contains(result.exitCode), "\(command): \(result.errors)")
            #expect(result.failureLines.count == 1)
            #expect(result.failureLines.first?.contains(place) == true, "\(result.errors)")
            #expect(!result.errors.contains("step 1"), "\(result.errors)")
        }
        try? FileManager.default.removeItem(atPath: runner.path("out"))
        #expect(runner.files() == before)
    }

    @Test func whatIsThereIsWrittenOverOnlyWhenAsked() async throws {
        let runner = try PilotRunner()
        let job = runner.job + ["--compare", "strip.png", "--dump", "d.st", "--trace", "trace.json", "--preview", "p"]
        let names = ["out.png", "strip.png", "d.st", "trace.json"]
        func run(_ options: [String]) async throws -> ProgramResult {
            try await Launcher.run("pilot", ["inpaint"] + job + ["--output", "out.png"] + options, in: runner.folder)
        }
        for name in names {
            try runner.write("somebody's", to: name)
            let result = try await run([])
            #expect(result.exitCode == 64, "\(result.errors)")
            #expect(result.failureLines.first?.contains("\(name): is there already") == true, "\(result.errors)")
            #expect(result.failureLines.first?.contains("--overwrite") == true)
            #expect(try runner.contents(name) == Data("somebody's".utf8))
            try FileManager.default.removeItem(atPath: runner.path(name))
        }
        let first = try await run([])
        #expect(first.exitCode == 0, "\(first.errors)")
        let picture = try runner.contents("out.png")
        for name in names { try FileManager.default.removeItem(atPath: runner.path(name)) }
        let previews = try await run([])
        #expect(previews.exitCode == 64 && previews.errors.contains("p/step-000"), "\(previews.errors)")
        for name in names { try runner.write("somebody's", to: name) }
        let again = try await run(["--overwrite"])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("out.png") == picture)

        let drawing = ["trace", "trace.json", "--svg", "out.png"]
        let refused = try await Launcher.run("pilot", drawing, in: runner.folder)
        #expect(refused.exitCode == 64 && refused.errors.contains("--overwrite"), "\(refused.errors)")
        let drawn = try await Launcher.run("pilot", drawing + ["--overwrite"], in: runner.folder)
        #expect(drawn.exitCode == 0, "\(drawn.errors)")
    }

    /// A batch that is run again draws its sheet anew, and leaves what is no sheet.
    @Test func sheetsAreDrawnAnew() async throws {
        let runner = try PilotRunner()
        try runner.write("{\"prompt\": \"fox\", \"output\": \"a.png\"}", to: "jobs.jsonl")
        let batch = ["batch", "jobs.jsonl", "--output", "out", "--sheet", "sheet.png"] + runner.job
        for _ in 0..<2 {
            let result = try await Launcher.run("pilot", batch, in: runner.folder)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        try runner.write(runner.contents("image.png"), to: "sheet.png")
        let refused = try await Launcher.run("pilot", batch, in: runner.folder)
        #expect(refused.exitCode == 64 && refused.errors.contains("sheet.png: is there already"), "\(refused.errors)")
        #expect(try runner.contents("sheet.png") == runner.contents("image.png"))
    }
}
