import Foundation
import ImageFiles
import TestSupport
import Testing

/// `pilot batch`, the built program: what it writes is what `pilot inpaint` writes.
@Suite struct BatchCommandTests {
    /// Three different jobs on the runner's picture, and the command line that gives what they share.
    private static func write(_ runner: PilotRunner) throws -> [String] {
        try runner.write(
            """
            {"output": "a.png", "prompt": "fox"}
            {"output": "b/b.png", "prompt": "snow", "seed": 7, "dump": "b/b.safetensors", "negative_prompt": "blurry"}

            {"output": "c.png", "prompt": "fox", "coherence": 0, "steps": 3, "compare": "c-strip.png"}
            """, to: "jobs.jsonl")
        return shared(runner) + ["--output", runner.path("out"), runner.path("jobs.jsonl")]
    }

    private static func shared(_ runner: PilotRunner) -> [String] {
        [
            "--model", "\(PilotRunner.models)/sd1", "--image", runner.path("image.png"), "--mask",
            runner.path("mask.png"), "--steps", "2", "--coherence", "0.5", "--gradient-steps", "1", "--threads", "1",
        ]
    }

    private static let layouts = [
        (1, "auto"), (2, "auto"), (2, "replicas=2,branches=1,stages=1"), (4, "replicas=1,branches=2,stages=2"),
        (4, "replicas=2,branches=1,stages=2"),
    ]

    private static let results = ["a.png", "b/b.png", "b/b.safetensors", "c.png", "c-strip.png"]

    @Test func filesAreThoseOfInpaint() async throws {
        let runner = try PilotRunner()
        let arguments = try Self.write(runner)
        let jobs = [
            ["--prompt", "fox", "--output", "1/a.png"],
            [
                "--prompt", "snow", "--seed", "7", "--negative-prompt", "blurry", "--output", "1/b/b.png", "--dump",
                "1/b/b.safetensors",
            ],
            [
                "--prompt", "fox", "--coherence", "0", "--steps", "3", "--output", "1/c.png", "--compare",
                "1/c-strip.png",
            ],
        ]
        try FileManager.default.createDirectory(atPath: runner.path("1/b"), withIntermediateDirectories: true)
        for job in jobs {
            let result = try await runner.inpaint(
                Self.shared(runner) + job.map { $0.hasPrefix("1/") ? runner.path($0) : $0 })
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        for (number, (ranks, layout)) in Self.layouts.enumerated() {
            let command = ["batch"] + arguments + ["--layout", layout]
            let result = try await runner.run(command, ranks: ranks)
            #expect(result.exitCode == 0, "\(result.errors)")
            #expect(result.output.contains("3 done"), "\(result.output)")
            for name in Self.results {
                #expect(try runner.contents("out/\(name)") == runner.contents("1/\(name)"), "\(name) on \(layout)")
            }
            let again = try await runner.run(command, ranks: ranks)
            #expect(again.exitCode == 0, "\(again.errors)")
            #expect(again.output.contains("3 present"), "\(again.output)")
            try FileManager.default.moveItem(atPath: runner.path("out"), toPath: runner.path("out-\(number)"))
        }
        // A picture of a batch is repeated like any other.
        let repeated = try await runner.inpaint(
            ["--from", runner.path("out-0/b/b.png"), "--threads", "2", "--output", runner.path("again.png")])
        #expect(repeated.exitCode == 0, "\(repeated.errors)")
        #expect(try runner.contents("again.png") == runner.contents("1/b/b.png"))
    }

    @Test func standardInputIsReadAndResultsArePrinted() async throws {
        let runner = try PilotRunner()
        let arguments =
            try Self.write(runner).dropLast() + [
                "-", "--json", "--sheet", runner.path("out/sheet.png"), "--results", runner.path("out/results.jsonl"),
            ]
        let program = try Launcher.productFolder().appendingPathComponent("pilot").path
        // sh hands the words on as they are: $0 is the file, $1 the program.
        let script = #"file=$0; { cat "$file"; sleep 0.2; echo; } | "$@""#
        let result = try await Launcher.run(
            "/bin/sh", ["-c", script, runner.path("jobs.jsonl"), program, "batch"] + arguments)
        #expect(result.exitCode == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n").map(String.init)
        let objects = try lines.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects.compactMap { $0["output"] as? String } == ["a.png", "b/b.png", "c.png"])
        #expect(objects.allSatisfy { $0["status"] as? String == "done" && $0["seconds"] as? Double ?? 0 > 0 })
        #expect(objects.compactMap { $0["seed"] as? Int } == [0, 7, 0])
        #expect((objects[0]["loss"] as? [String: Double])?.keys.sorted() == ["background", "semantic", "total"])
        #expect(objects[2]["loss"] == nil)
        #expect(objects.allSatisfy { $0["layout"] as? String == "1 rank of 1 thread, float32, onednn" })
        #expect(try String(decoding: runner.contents("out/results.jsonl"), as: UTF8.self) == result.output)
        #expect(try DecodedImage.read(runner.path("out/sheet.png")).height == 8 + 3 * 136)
    }

    @Test(arguments: [1, 2])
    func wrongLinesAreToldBeforeAnything(ranks: Int) async throws {
        let runner = try PilotRunner()
        let arguments = try Self.write(runner)
        let jobs = String(decoding: try runner.contents("jobs.jsonl"), as: UTF8.self)
        try runner.write(jobs + "\n{\"output\": \"../d.png\", \"prompt\": \"x\"}\nfox\n", to: "jobs.jsonl")
        let before = runner.files()
        let result = try await runner.run(["batch"] + arguments, ranks: ranks)
        #expect(result.exitCode == 65)
        #expect(result.failureLines.count == 1)
        #expect(result.failureLines.first?.contains("2 lines can't be run, the first is line 5") == true)
        #expect(result.errors.contains("refused: \(runner.path("jobs.jsonl")) line 5: output: "), "\(result.errors)")
        #expect(result.errors.contains("jobs.jsonl line 6: the line: not valid JSON"), "\(result.errors)")
        #expect(runner.files() == before)

        let kept = try await runner.run(["batch", "--keep-going"] + arguments, ranks: ranks)
        #expect(kept.exitCode == 65)
        #expect(kept.output.contains("3 done, 2 refused"), "\(kept.output)")
        #expect(Set(Self.results.map { "out/\($0)" }).isSubset(of: runner.files()))
    }

    /// The disk is full after the first picture: the jobs that can't be written fail by name, and the rest is done.
    @Test func aFullDiskFailsItsJobs() async throws {
        let runner = try PilotRunner()
        let out = runner.path("out")
        try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: false)
        let mount = try await Launcher.run("/bin/sh", ["-c", "mount -t tmpfs -o size=16k tmpfs \(out)"])
        guard mount.exitCode == 0 else { return }  // Only root may mount; BatchTests has a folder that is gone.
        defer {
            let unmount = Process()
            unmount.executableURL = URL(filePath: "/bin/umount")
            unmount.arguments = [out]
            try? unmount.run()
            unmount.waitUntilExit()
        }
        try runner.write(
            (1...4).map { #"{"output": "\#($0).png", "prompt": "fox", "seed": \#($0)}"# }.joined(separator: "\n"),
            to: "jobs.jsonl")
        let result = try await runner.run(
            ["batch"] + Self.shared(runner) + ["--output", out, runner.path("jobs.jsonl")])
        #expect(result.exitCode == 74, "\(result.errors)")
        #expect(result.errors.contains("failed: line "), "\(result.errors)")
        #expect(result.errors.contains("No space left on device"), "\(result.errors)")
        let files = try FileManager.default.contentsOfDirectory(atPath: out)
        #expect(!files.isEmpty && files.count < 4 && files.allSatisfy { $0.hasSuffix(".png") }, "\(files)")
        for file in files { _ = try DecodedImage.read("\(out)/\(file)") }
    }

    @Test func badCommandsAreRefused() async throws {
        let runner = try PilotRunner()
        let arguments = try Self.write(runner)
        for (options, exitCode, mention) in [
            (["--jobs-in-flight", "0"], 64, "--jobs-in-flight"), (["--steps", "0"], 64, "--steps"),
            (["--layout", "replicas=2,branches=1,stages=1"], 64, "layout"),
            (["--model", runner.path("nowhere")], 66, "nowhere"), (["--threads", "0"], 64, "--threads"),
            (["--output", runner.path("image.png")], 74, "image.png"),
            (["--output", runner.path("no/where")], 74, "no/where"),
            (["--sheet", runner.path("no/sheet.png")], 74, "sheet.png"),
            (["--sheet", runner.path("sheet.jpg")], 64, "sheets are PNG files"),
            (["--results", runner.path("no/results")], 74, "results"), (["--count", "2"], 64, "--count"),
        ] as [([String], Int32, String)] {
            let result = try await runner.run(["batch"] + arguments + options)
            #expect(result.exitCode == exitCode, "\(options): \(result.errors)")
            #expect(result.failureLines.count == 1, "\(options): \(result.errors)")
            #expect(result.failureLines.first?.contains(mention) == true, "\(options): \(result.errors)")
        }
        let none = try await runner.run(["batch"] + arguments.dropLast() + [runner.path("nowhere.jsonl")])
        #expect(none.exitCode == 66)
        try runner.write("\n \n", to: "jobs.jsonl")
        let empty = try await runner.run(["batch"] + arguments)
        #expect(empty.exitCode == 0, "\(empty.errors)")
        #expect(empty.output == "no jobs\n")
    }

    @Test func helpIsAsWritten() async throws {
        let runner = try PilotRunner()
        let result = try await runner.run(["batch", "--help"])
        #expect(result.exitCode == 0)
        let expected = try String(contentsOfFile: "\(PilotRunner.fixtures)/batch-help.txt", encoding: .utf8)
        #expect(result.output == expected)
    }
}
