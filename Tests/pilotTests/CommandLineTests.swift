import Foundation
import ImageFiles
import TestSupport
import Testing

/// What is said of command lines, and what can be asked of the program about them.
@Suite struct CommandLineTests {
    private func failure(_ arguments: [String]) async throws -> String {
        let result = try await Launcher.run("pilot", arguments)
        #expect(result.exitCode == 64, "\(result.errors)")
        #expect(result.failureLines.count == 1, "\(result.errors)")
        return result.failureLines.first ?? ""
    }

    @Test func allThatIsMissingIsSaidAtOnce() async throws {
        let inpaint = try await failure(["inpaint", "--mask", "m.png"])
        #expect(inpaint.hasSuffix("--image, --prompt and --output are missing; see pilot inpaint --help"))
        let one = try await failure(["inpaint", "--mask", "m.png", "--image", "i.png", "--prompt", "fox"])
        #expect(one.hasSuffix("--output is missing; see pilot inpaint --help"))
        let batch = try await failure(["batch"])
        #expect(batch.hasSuffix("<jobs.jsonl> and --output are missing; see pilot batch --help"))
        let model = try await failure(["model", "init"])
        #expect(model.hasSuffix("--architecture and --output are missing; see pilot model init --help"))
    }

    @Test func hintsNameTheCommandsOwnHelp() async throws {
        for (arguments, help) in [
            (["inpaint", "--colour", "red"], "pilot inpaint --help"), (["batch", "--sheet"], "pilot batch --help"),
            (["model", "inspect", "--dtype", "x"], "pilot model inspect --help"), (["paint"], "pilot --help"),
        ] {
            let line = try await failure(arguments)
            #expect(line.hasSuffix("(see \(help))"), "\(line)")
        }
    }

    @Test func aPromptWithoutQuotesIsRecognised() async throws {
        let line = try await failure(["inpaint", "--prompt", "a", "red", "bench", "--output", "a.png"])
        #expect(line.contains(#"--prompt: a text of several words wants quotes: --prompt "a red bench""#), "\(line)")
        let joined = try await failure(["inpaint", "--negative-prompt=a", "red", "bench", "--output", "a.png"])
        #expect(joined.contains(#"--negative-prompt "a red bench""#), "\(joined)")
        let other = try await failure(["inpaint", "--prompt", "a bench", "b.png"])
        #expect(other.contains(#"--prompt "a bench b.png""#), "\(other)")
        let stray = try await failure(["inpaint", "b.png", "--prompt", "a bench"])
        #expect(stray.contains("'b.png'") && !stray.contains("quotes"), "\(stray)")
    }

    @Test(arguments: [
        ("--steps", "99999999999999999999", "1 to 100000"), ("--steps", "0", "1 to 100000"),
        ("--steps", "1.5", "1 to 100000"), ("--count", "-1", "1 to 10000"), ("--feather", "1025", "0 to 1024"),
        ("--seed", "18446744073709551616", "0 to 18446744073709551615, or random"),
        ("--seed", "-1", "0 to 18446744073709551615, or random"), ("--stall-timeout", "1e30", "1 to 10000000"),
    ])
    func numbersOutOfRangeAreToldTheRange(option: String, value: String, range: String) async throws {
        let line = try await failure(["inpaint", option, value])
        #expect(
            line.contains("\(option): expected a whole number from \(range), found \"\(value)\" (see "), "\(line)")
    }

    @Test func longTextIsNotEchoedWhole() async throws {
        let runner = try PilotRunner()
        let text = String(repeating: "fox ", count: 25_000)
        for arguments in [["--steps", text], [text], ["--image", text], ["--" + text], ["--preset", text]] {
            let result = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")] + arguments)
            #expect(result.exitCode != 0)
            #expect(result.failureLines.count == 1)
            #expect(result.errors.utf8.count < 4000, "\(result.errors.utf8.count) of \(arguments[0].prefix(10))")
        }
        let prompt = try await runner.inpaint(
            runner.job + ["--output", runner.path("a.png"), "--prompt", text, "--prompt-syntax", "plain"])
        #expect(prompt.exitCode == 0)
        #expect(prompt.errors.utf8.count < 4000, "\(prompt.errors.utf8.count)")
        #expect(prompt.errors.contains("characters in all"), "\(prompt.errors)")
    }

    @Test func theModelsStepsAreToldAsTheyAre() async throws {
        let runner = try PilotRunner()
        for steps in ["1000", "1001"] {
            let result = try await runner.inpaint(
                ["--model", "scenes"] + runner.job.dropFirst(2) + ["--steps", steps, "--output", runner.path("a.png")])
            #expect(result.exitCode == 64)
            let line = result.failureLines.first ?? ""
            #expect(line.contains("--steps: expected 1 to 999, "), "\(line)")
        }
    }

    @Test func versionAndHelp() async throws {
        let version = try await Launcher.run("pilot", ["-V"])
        #expect(version.exitCode == 0)
        #expect(version.output == (try await Launcher.run("pilot", ["--version"])).output)
        #expect(version.output.contains(/^[0-9]+\.[0-9]+/))
        let nothing = try await Launcher.run("pilot", [])
        #expect(nothing.exitCode == 0)
        #expect(nothing.output.contains("SUBCOMMANDS:"), "\(nothing.output)")
    }

    @Test func completionsComplete() async throws {
        for (shell, word) in [("bash", "complete "), ("zsh", "#compdef pilot"), ("fish", "complete -c 'pilot'")] {
            let script = try await Launcher.run("pilot", ["completions", shell])
            #expect(script.exitCode == 0)
            #expect(script.output.contains(word) && script.output.contains("stall-timeout"))
        }
        let pilot = try Launcher.productFolder().appendingPathComponent("pilot").path
        let probe = """
            source <("$0" completions bash)
            COMP_WORDS=(pilot inpaint --progr) COMP_CWORD=2 COMP_LINE='pilot inpaint --progr' COMP_POINT=21
            _pilot pilot --progr inpaint
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let completed = try await Launcher.run("/bin/bash", ["-c", probe, pilot])
        #expect(completed.output.contains("--progress"), "\(completed.output)\(completed.errors)")
    }

    /// The page has what `--help` says, of every command.
    @Test func theManualHasAllOptions() async throws {
        let page = try await Launcher.run("pilot", ["manual"])
        #expect(page.exitCode == 0)
        #expect(page.output.hasPrefix(".TH PILOT 1 "))
        let text = page.output.replacing("\\-", with: "-")
        for command in [["inpaint"], ["batch"], ["plan"], ["trace"], ["model", "init"], ["model", "benchmark"]] {
            #expect(text.contains(".SH \"PILOT \(command.joined(separator: " ").uppercased())\""))
            let help = try await Launcher.run("pilot", command + ["--help"])
            let options = help.output.matches(of: /\n  (-., )?(?<name>--[a-z-]+)/).map { String($0.output.name) }
            #expect(options.count > 2)
            for option in options { #expect(text.contains("\(option)"), "\(command) \(option)") }
        }
        // No line but troff's own begins as one of them.
        let requests = Set(page.output.split(separator: "\n").filter { $0.hasPrefix(".") }.map { $0.prefix(3) })
        #expect(
            requests.isSubset(of: [".TH", ".SH", ".SS", ".B ", ".BR", ".br", ".TP", ".PP", ".RS", ".RE", ".nf", ".fi"]))
    }

    @Test(arguments: ["test", "setup", "lint", "demo", "install", "package", "hosts", "python-env", "test-package"])
    func scriptsPrintTheirHelp(name: String) async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path()
        // Without tools nothing could be built, set up or installed.
        let result = try await Launcher.run(
            "/bin/bash", ["-c", #"swift() { exit 99; }; export -f swift; exec "$0" --help"#, "\(root)scripts/\(name)"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.output.contains("  scripts/\(name)") && !result.output.contains("set -"), "\(result.output)")
    }
}

/// `--seed random`
@Suite struct RandomSeedTests {
    private func record(_ file: String) throws -> [String: Any] {
        let text = try DecodedImage.read(file).textChunks.first { $0.keyword == "pilot" }?.text ?? ""
        let json = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let settings = json?["settings"] as? [String: Any]
        return try #require(settings?["method"] as? [String: Any])
    }

    @Test func theRecordHasWhatWasDrawn() async throws {
        let runner = try PilotRunner()
        let output = runner.path("a.png")
        let first = try await runner.inpaint(runner.job + ["--seed", "random", "--output", output], ranks: 2)
        #expect(first.exitCode == 0, "\(first.errors)")
        let seed = try #require(try record(output)["seed"] as? Int)
        #expect(seed != 0)
        #expect(first.errors.contains("seed \(seed);") && first.output.contains("seed \(seed);"), "\(first.errors)")
        let again = try await runner.inpaint(["--from", output, "--output", runner.path("b.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))
        let other = try await runner.inpaint(
            ["--from", output, "--seed", "random", "--output", runner.path("c.png")])
        #expect(other.exitCode == 0, "\(other.errors)")
        #expect(try record(runner.path("c.png"))["seed"] as? Int != seed)
    }

    /// Lines draw for themselves, and a batch that is run again finds what it drew.
    @Test func batchesDrawOnce() async throws {
        let runner = try PilotRunner()
        try runner.write(
            """
            {"prompt": "fox", "output": "a.png", "count": 2}
            {"prompt": "fox", "output": "b.png"}
            {"prompt": "fox", "output": "c.png", "seed": 7}
            """, to: "jobs.jsonl")
        let command =
            ["batch", runner.path("jobs.jsonl"), "--json", "--seed", "random", "--output", runner.path("out")]
            + runner.job
        let seeds = try await seeds(runner.run(command), status: "done")
        for (name, seed) in seeds { #expect(try record(runner.path("out/\(name)"))["seed"] as? Int == seed) }
        #expect(seeds["c.png"] == 7 && seeds["b.png"] != seeds["a-1.png"])
        #expect(seeds["a-2.png"] == (seeds["a-1.png"] ?? 0) + 1)
        // One of two is gone: it is made again from the same draw.
        try FileManager.default.removeItem(atPath: runner.path("out/a-1.png"))
        let again = try await runner.run(command)
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(again.output.split(separator: "\n").count { $0.contains(#""status":"present""#) } == 3)
        #expect(try record(runner.path("out/a-1.png"))["seed"] as? Int == seeds["a-1.png"])
    }

    private func seeds(_ result: ProgramResult, status: String) throws -> [String: Int] {
        #expect(result.exitCode == 0, "\(result.errors)")
        let objects = try result.output.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects.allSatisfy { $0["status"] as? String == status })
        return Dictionary(
            uniqueKeysWithValues: objects.compactMap { object in
                (object["output"] as? String).flatMap { name in (object["seed"] as? Int).map { (name, $0) } }
            })
    }
}
