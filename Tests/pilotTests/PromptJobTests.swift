import Foundation
import ImageFiles
import TensorKernels
import TestSupport
import Testing

/// Weights, chunks and embeddings from the command line to the picture.
@Suite struct PromptJobTests {
    private let runner: PilotRunner

    init() throws {
        runner = try PilotRunner()
        try FileManager.default.copyContents(
            atPath: "\(PilotRunner.fixtures)/jobs/sd1-words/cat.safetensors", toPath: runner.path("cat.safetensors"))
    }

    /// Three chunks with the prompt and one without, an embedding in both.
    private var words: [String] {
        [
            "--prompt", "a (fox:1.3) BREAK <Cat-Toy> in snow BREAK [far]", "--negative-prompt", "(<cat-toy>)",
            "--embedding", runner.path("cat.safetensors"),
        ]
    }

    private func picture(_ name: String, _ options: [String], ranks: Int = 1) async throws -> Data {
        let result = try await runner.inpaint(runner.job + options + ["--output", runner.path(name)], ranks: ranks)
        try #require(result.exitCode == 0, "\(result.errors)")
        return try runner.contents(name)
    }

    private func record(_ name: String) throws -> String {
        let chunks = try DecodedImage.read(runner.path(name)).textChunks
        return try #require(chunks.first { $0.keyword == "pilot" }?.text)
    }

    @Test func everyLayoutWritesTheSameFile() async throws {
        let alone = try await picture("alone.png", words)
        #expect(try await picture("branches.png", words + ["--layout", "branches=2"], ranks: 2) == alone)
        #expect(try await picture("stages.png", words + ["--layout", "stages=2"], ranks: 2) == alone)
        #expect(try await picture("both.png", words + ["--layout", "branches=2,stages=2"], ranks: 4) == alone)
    }

    /// What was made is made again, and not with another file under the name.
    @Test func isRepeated() async throws {
        let first = try await picture("first.png", words + ["--no-prompt-rescale", "--clip-skip", "2"])
        let found = try record("first.png")
        let file = runner.path("cat.safetensors")
        for part in [
            #""promptSyntax":"a1111""#, #""restoresPromptMean":false"#, #""embedding":[{"embedding":"\#(file)"}]"#,
            #""\#(file)":""#,
        ] {
            #expect(found.contains(part), "\(part) in \(found)")
        }
        let again = ["--from", runner.path("first.png"), "--threads", "1", "--output", runner.path("again.png")]
        let repeated = try await runner.inpaint(again)
        #expect(repeated.exitCode == 0, "\(repeated.errors)")
        #expect(try runner.contents("again.png") == first)

        try SafetensorsWriter.write(
            to: runner.path("cat.safetensors"),
            [StoredTensor(name: "<cat-toy>", shape: [24], values: [Float](repeating: 0.1, count: 24))])
        let changed = try await runner.inpaint(again + ["--overwrite"])
        #expect(changed.exitCode == 65 && changed.errors.contains("cat.safetensors: has changed"), "\(changed.errors)")
    }

    /// Words that mean the same in any syntax leave record and picture as they always were.
    @Test func plainWordsKeepTheirBytes() async throws {
        let plain = try await picture("plain.png", ["--prompt-syntax", "plain"])
        #expect(try await picture("default.png", []) == plain)
        #expect(try !record("plain.png").contains("promptSyntax"))
        let bracketed = ["--prompt", "(fox:1.5)"]
        let weighted = try await picture("weighted.png", bracketed)
        let literal = try await picture("literal.png", bracketed + ["--prompt-syntax", "plain"])
        #expect(weighted != plain && literal != weighted)
        #expect(try !record("literal.png").contains("promptSyntax"))
    }

    @Test(arguments: [
        (["--prompt", "[cat:dog:0.5]"], 64, "--prompt: "), (["--negative-prompt", "[a|b]"], 64, "--negative-prompt: "),
        (["--prompt", "a AND b"], 64, "--prompt-syntax plain"), (["--prompt-syntax", "compel"], 64, "--prompt-syntax"),
        (["--embedding-token", "x"], 64, "--embedding-token"), (["--embedding", "nowhere"], 66, "nowhere"),
        (["--embedding", "-"], 64, "--embedding -"), (["--embedding", "@", "--embedding", "@"], 64, "\"<cat-toy>\""),
        (["--embedding", "@", "--embedding", "@", "--embedding-token", "A", "--embedding-token", "a"], 64, "\"a\""),
        (["--embedding", "@", "--model", "\(PilotRunner.models)/sd2"], 65, "24: the embedding is of another model"),
        (["--embedding", "@", "--embedding-token", " "], 64, "--embedding-token"),
        (["--embedding", "@", "--dump", "@"], 64, "cat.safetensors"),
    ])
    func isRefused(options: [String], exitCode: Int32, mention: String) async throws {
        let file = runner.path("cat.safetensors")
        let result = try await runner.inpaint(
            runner.job + options.map { $0 == "@" ? file : $0 } + ["--output", runner.path("out.png")])
        #expect(result.exitCode == exitCode, "\(result.errors)")
        #expect(result.failureLines.count == 1 && result.errors.contains(mention), "\(result.errors)")
    }

    /// A long prompt has no end that is cut off, unless its syntax is plain; a name that is nowhere is told.
    @Test func warnings() async throws {
        let long = [
            "--prompt", String(repeating: "fox ", count: 120), "--output", runner.path("out.png"), "--overwrite",
        ]
        let whole = try await runner.inpaint(runner.job + long + ["--embedding", runner.path("cat.safetensors")])
        #expect(whole.exitCode == 0 && !whole.errors.contains("dropped"))
        #expect(whole.errors.contains("\"<cat-toy>\" is in neither prompt"), "\(whole.errors)")
        let cut = try await runner.inpaint(runner.job + long + ["--prompt-syntax", "plain"])
        #expect(cut.exitCode == 0 && cut.errors.contains("; dropped: \""), "\(cut.errors)")
    }
}
