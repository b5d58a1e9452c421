import Foundation
import TestSupport
import Testing

/// What is no file, or far too large for one of its kind, is refused by that alone.
@Suite struct InputFileTests {
    /// Commands that read the file `huge` or `pipe`, called `file` here, and the most bytes that such a file may have.
    private static let readers: [(command: [String], most: Int)] = [
        (["inpaint", "--image", "file"], 512 << 20), (["inpaint", "--mask", "file"], 512 << 20),
        (["inpaint", "--initial-latent", "file"], 1 << 30), (["inpaint", "--from", "file"], 512 << 20),
        (["batch", "file"], 1 << 30), (["plan", "--calibration", "file"], 16 << 20),
    ]

    private static let modelFiles: [(name: String, most: Int)] = [
        ("scheduler/scheduler_config.json", 16 << 20), ("unet/config.json", 16 << 20), ("model_index.json", 16 << 20),
        ("tokenizer/vocab.json", 64 << 20),
    ]

    private func run(_ command: [String], _ runner: PilotRunner) async throws -> ProgramResult {
        var arguments = command
        switch command[0] {
        case "inpaint": arguments.insert(contentsOf: runner.job + ["--output", "out.png"], at: 1)
        case "batch": arguments += runner.job + ["--output", "out"]
        default: break
        }
        // Reading the file would take more than there is.
        return try await Launcher.shell(
            "ulimit -v \(PilotRunner.addressSpace); exec \"$@\"", "pilot", arguments, in: runner.folder)
    }

    @Test func sizesAreLookedAtFirst() async throws {
        let runner = try PilotRunner()
        try FileManager.default.createSparseFile(atPath: runner.path("file"), byteCount: 4 << 30)
        let before = runner.files()
        for (command, most) in Self.readers {
            let result = try await run(command, runner)
            #expect(result.exitCode == 65, "\(command): \(result.errors)")
            let line = result.failureLines.first ?? ""
            #expect(line.contains("file") && line.contains("\(most) bytes, found 4294967296"), "\(command): \(line)")
        }
        #expect(runner.files() == before)
    }

    @Test func sizesOfAModelsFilesAreLookedAtFirst() async throws {
        for (name, most) in Self.modelFiles {
            let runner = try PilotRunner()
            let model = try runner.copyModel()
            // Without it the vocabulary is read.
            try? FileManager.default.removeItem(atPath: "\(model)/tokenizer/tokenizer.json")
            try FileManager.default.createSparseFile(atPath: "\(model)/\(name)", byteCount: 4 << 30)
            let result = try await run(["inpaint", "--model", model], runner)
            #expect(result.exitCode == 65, "\(name): \(result.errors)")
            let line = result.failureLines.first ?? ""
            #expect(line.contains(name) && line.contains("\(most) bytes, found 4294967296"), "\(name): \(line)")
        }
    }

    /// Nobody writes to the pipe, and nobody ever will.
    @Test func pipesAreNotWaitedFor() async throws {
        let runner = try PilotRunner()
        #expect(mkfifo(runner.path("file"), 0o666) == 0)
        for command in Self.readers.map(\.command) + [["trace", "file"]] {
            let result = try await run(command, runner)
            #expect(!result.hasHung, "\(command)")
            #expect(result.exitCode == 66, "\(command): \(result.errors)")
            #expect(result.failureLines.first?.contains("pipe") == true, "\(command): \(result.errors)")
        }
        let model = try runner.copyModel()
        try FileManager.default.removeItem(atPath: "\(model)/scheduler/scheduler_config.json")
        #expect(mkfifo("\(model)/scheduler/scheduler_config.json", 0o666) == 0)
        let result = try await run(["inpaint", "--model", model], runner)
        #expect(!result.hasHung && result.exitCode == 66, "\(result.errors)")
    }

    /// A program may write the lines of a batch into a pipe that has a name.
    @Test func linesComeThroughAPipe() async throws {
        let runner = try PilotRunner()
        try runner.write("{\"prompt\": \"fox\", \"output\": \"a.png\"}\n", to: "jobs.jsonl")
        let result = try await Launcher.shell(
            "mkfifo pipe; { sleep 0.3; cat jobs.jsonl; } >pipe & exec 3<pipe; \"$@\" 3<&-", "pilot",
            ["batch", "pipe", "--output", "out"] + runner.job, in: runner.folder)
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(runner.files().contains("out/a.png"))
    }
}

extension FileManager {
    /// Makes a file that claims so many bytes and takes none.
    func createSparseFile(atPath path: String, byteCount: UInt64) throws {
        try Data().write(to: URL(filePath: path))
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.truncate(atOffset: byteCount)
        try file.close()
    }
}
