import Foundation
import ImageFiles
import TestSupport
import Testing

/// What goes through standard input and standard output.
@Suite struct StandardStreamTests {
    private static let model = "\(PilotRunner.models)/sd1"

    /// `/dev/full` answers every write as a full disk does; `>&-` closes the stream.
    @Test(arguments: [">/dev/full", ">&-"])
    func whatIsLostIsSaid(redirection: String) async throws {
        let runner = try PilotRunner()
        try runner.write("{\"prompt\": \"fox\", \"output\": \"b.png\"}", to: "jobs.jsonl")
        let commands = [
            ["inpaint"] + runner.job + ["--output", "a.png"],
            ["batch", "jobs.jsonl", "--output", "out", "--json"] + runner.job,
            ["model", "inspect", "--json", Self.model], ["model", "inspect", Self.model], ["plan", "--json"],
            ["inpaint", "--help"], ["model", "benchmark", "--model", Self.model, "--threads", "1"],
        ]
        // A closed stream is seen at the same place.
        for command in redirection == ">&-" ? commands.prefix(3) : commands[...] {
            let result = try await Launcher.shell("\"$@\" \(redirection)", "pilot", command, in: runner.folder)
            #expect(result.exitCode == 74, "\(command): \(result.errors)")
            #expect(result.failureLines.count == 1)
            #expect(result.failureLines.first?.contains("standard output") == true, "\(result.errors)")
        }
        // The files are there all the same.
        for name in ["a.png", "out/b.png"] { _ = try DecodedImage.read(runner.path(name)) }
    }

    /// Whoever has seen enough closes the pipe, as `head` does.
    @Test(arguments: [["model", "inspect"], ["model", "benchmark", "--passes", "10000", "--threads", "1", "--model"]])
    func aReaderThatLeavesIsNoFailure(command: [String]) async throws {
        let script = "{ sleep 0.2; \"$@\"; echo $? >&2; } | true"
        let result = try await Launcher.shell(script, "pilot", command + [Self.model])
        #expect(!result.hasHung)
        #expect(result.errors == "0\n")
    }

    @Test(arguments: [1, 2])
    func thePictureGoesToStandardOutputAlone(ranks: Int) async throws {
        let runner = try PilotRunner()
        let file = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")])
        #expect(file.exitCode == 0, "\(file.errors)")
        let streamed = try await Launcher.shell(
            "\"$@\" >b.png", ranks: ranks, "pilot", ["inpaint"] + runner.job + ["--output", "-"], in: runner.folder)
        #expect(streamed.exitCode == 0, "\(streamed.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
        #expect(streamed.errors.contains("denoising step"), "\(streamed.errors)")
    }

    @Test(arguments: [
        (">/dev/full", [], 74, "standard output"), (">&-", [], 74, "standard output"),
        ("| true", [], 74, "Broken pipe"), ("| cat", ["--count", "2"], 64, "--count"),
        ("| cat", ["--dump", "-"], 64, "--dump"),
    ])
    func standardOutputThatTakesNoPictureIsRefused(
        redirection: String, options: [String], exitCode: Int32, mention: String
    ) async throws {
        let runner = try PilotRunner()
        let before = runner.files()
        let result = try await Launcher.shell(
            "{ sleep 0.2; \"$@\"; echo $? >&2; } \(redirection)", "pilot",
            ["inpaint"] + runner.job + ["--output", "-"] + options, in: runner.folder)
        #expect(result.errors.hasSuffix("\n\(exitCode)\n"), "\(result.errors)")
        #expect(result.failureLines.first?.contains(mention) == true, "\(result.errors)")
        #expect(!result.errors.contains("step 1") && runner.files() == before)
    }

    @Test(arguments: [("image", 1), ("mask", 1), ("image", 2)])
    func inputsAreReadFromStandardInput(name: String, ranks: Int) async throws {
        let runner = try PilotRunner()
        let file = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")])
        #expect(file.exitCode == 0, "\(file.errors)")
        let streamed = try await Launcher.shell(
            "cat \(name).png | \"$@\"", ranks: ranks, "pilot",
            ["inpaint"] + runner.job + ["--\(name)", "-", "--output", "b.png"], in: runner.folder)
        #expect(streamed.exitCode == 0, "\(streamed.errors)")
        #expect(try DecodedImage.read(runner.path("a.png")).rgb == DecodedImage.read(runner.path("b.png")).rgb)
        guard ranks == 1 else { return }

        // The record can't name what was read, so whoever repeats the job does.
        let repeating = ["inpaint", "--from", "b.png", "--output", "c.png"]
        let unnamed = try await Launcher.run("pilot", repeating, in: runner.folder)
        #expect(unnamed.exitCode == 64 && unnamed.errors.contains("--\(name)"), "\(unnamed.errors)")
        let named = try await Launcher.shell(
            "\"$@\" <\(name).png", "pilot", repeating + ["--\(name)", "-"], in: runner.folder)
        #expect(named.exitCode == 0, "\(named.errors)")
        #expect(try runner.contents("b.png") == runner.contents("c.png"))
    }

    @Test func standardInputIsReadOnceAndWithinItsLimit() async throws {
        let runner = try PilotRunner()
        try FileManager.default.createSparseFile(atPath: runner.path("huge"), byteCount: 4 << 30)
        for (options, input, exitCode, mention) in [
            (["--image", "-", "--mask", "-"], "image.png", 64, "--image and --mask: only one"),
            (["--image", "-"], "huge", 65, "at most 536870912 bytes, found 4294967296"),
            (["--image", "-"], "/dev/null", 65, "an empty file"),
        ] as [([String], String, Int32, String)] {
            let result = try await Launcher.shell(
                "ulimit -v \(PilotRunner.addressSpace); \"$@\" <\(input)", "pilot",
                ["inpaint"] + runner.job + ["--output", "a.png"] + options, in: runner.folder)
            #expect(result.exitCode == exitCode, "\(result.errors)")
            #expect(result.failureLines.first?.contains(mention) == true, "\(result.errors)")
        }
    }
}
