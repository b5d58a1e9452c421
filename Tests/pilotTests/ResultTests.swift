import Foundation
import ImageFiles
import TestSupport
import Testing

/// What a job writes, and that it writes the same again.
@Suite struct ResultTests {
    @Test func ranksGiveTheSameBytes() async throws {
        let runner = try PilotRunner()
        var arguments = runner.job
        arguments += ["--negative-prompt", "blurry", "--steps", "4", "--optimize-every", "1", "--gradient-steps", "2"]
        for ranks in [1, 2] {
            let result = try await runner.inpaint(
                arguments + ["--output", runner.path("\(ranks).png"), "--dump", runner.path("\(ranks).safetensors")],
                ranks: ranks)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        #expect(try runner.contents("1.png") == runner.contents("2.png"))
        #expect(try runner.contents("1.safetensors") == runner.contents("2.safetensors"))
    }

    @Test func comparisonShowsWhatBlendingAloneMakes() async throws {
        let runner = try PilotRunner()
        let job = runner.job + ["--count", "2", "--coherence", "1", "--optimize-every", "1"]
        let compared = try await runner.inpaint(
            job + ["--output", runner.path("a.png"), "--compare", runner.path("strip.png")])
        #expect(compared.exitCode == 0, "\(compared.errors)")
        let blended = try await runner.inpaint(job + ["--coherence", "0", "--output", runner.path("b.png")])
        #expect(blended.exitCode == 0, "\(blended.errors)")
        #expect(try runner.contents("a-2.png") != runner.contents("b-2.png"))

        // 64 pixels wide, so every pixel became 4 x 4; a white column stands between two pictures.
        let strip = try DecodedImage.read(runner.path("strip-2.png")).rgb
        #expect(strip.width == 4 * (4 * 64 + 3) && strip.height == 4 * 48)
        for (place, name) in ["image.png", "mask.png", "a-2.png", "b-2.png"].enumerated() {
            let picture = try DecodedImage.read(runner.path(name)).rgb
            let isSame = (0..<192).allSatisfy { row in
                (0..<256).allSatisfy { column in
                    let shown = 3 * (row * strip.width + 4 * 65 * place + column)
                    let meant = 3 * (row / 4 * 64 + column / 4)
                    return strip.bytes[shown..<shown + 3] == picture.bytes[meant..<meant + 3]
                }
            }
            #expect(isSame, "\(name)")
        }

        let clash = try await runner.inpaint(
            job + ["--output", runner.path("c.png"), "--compare", runner.path("c.png")])
        #expect(clash.exitCode == 64)
        #expect(clash.failureLines.first?.contains("--output and --compare name the same file") == true)
    }

    @Test func recordRepeatsTheJob() async throws {
        let runner = try PilotRunner()
        let first = try await runner.inpaint(
            runner.job + [
                "--seed", "7", "--dtype", "bfloat16", "--backend", "openblas", "--count", "2", "--output",
                runner.path("a.png"),
            ])
        #expect(first.exitCode == 0, "\(first.errors)")
        #expect(!runner.files().contains("a.png"))
        // The second picture of the job stands by itself: its record has its own seed.
        let again = try await runner.inpaint([
            "--from", runner.path("a-2.png"), "--threads", "1", "--output", runner.path("again.png"),
        ])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("a-2.png"))
        #expect(try runner.contents("a-1.png") != runner.contents("a-2.png"))
        // An option given beside the record counts.
        let changed = try await runner.inpaint(
            [
                "--from", runner.path("a-2.png"), "--threads", "1", "--seed", "7", "--output",
                runner.path("changed.png"),
            ])
        #expect(changed.exitCode == 0, "\(changed.errors)")
        #expect(try runner.contents("changed.png") == runner.contents("a-1.png"))
    }

    /// Results of the versions that recorded threads are repeated, on any number of threads; no picture depends on it.
    @Test func oldRecordsAreRepeated() async throws {
        let runner = try PilotRunner()
        let first = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let picture = try DecodedImage.read(runner.path("a.png"))
        let chunks = picture.textChunks.map { chunk in
            let text = chunk.text.replacing(
                "\"elementType\":\"float32\"", with: "\"elementType\":\"float32\",\"threads\":900")
            return TextChunk(keyword: chunk.keyword, text: text)
        }
        #expect(chunks != picture.textChunks)
        try picture.rgb.writePNG(to: runner.path("old.png"), textChunks: chunks)
        for options in [["--threads", "2"], []] {
            let again = try await runner.inpaint(
                ["--from", runner.path("old.png"), "--output", runner.path("again.png"), "--overwrite"] + options)
            #expect(again.exitCode == 0, "\(again.errors)")
            #expect(try runner.contents("again.png") == runner.contents("a.png"))
        }
    }

    @Test func recordedFilesMustBeWhatTheyWere() async throws {
        let runner = try PilotRunner()
        let first = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")])
        #expect(first.exitCode == 0, "\(first.errors)")
        let again = ["--from", runner.path("a.png"), "--output", runner.path("again.png")]

        let mask = try runner.contents("mask.png")
        try RGBImage(width: 64, height: 48, bytes: [UInt8](repeating: 255, count: 64 * 48 * 3))
            .writePNG(to: runner.path("mask.png"))
        let changed = try await runner.inpaint(again)
        #expect(changed.exitCode == 65)
        #expect(changed.failureLines.first?.contains("--mask \(runner.path("mask.png")): has changed") == true)

        try FileManager.default.removeItem(atPath: runner.path("mask.png"))
        let gone = try await runner.inpaint(again)
        #expect(gone.exitCode == 66)
        #expect(gone.failureLines.first?.contains("name it with --mask") == true)

        try runner.write(mask, to: "moved.png")
        let moved = try await runner.inpaint(again + ["--mask", runner.path("moved.png")])
        #expect(moved.exitCode == 0, "\(moved.errors)")
        #expect(try DecodedImage.read(runner.path("again.png")).rgb == DecodedImage.read(runner.path("a.png")).rgb)
    }

    @Test func anySizeIsDone() async throws {
        let runner = try PilotRunner()
        let image = try DecodedImage.read(runner.path("image.png")).rgb
        // The mask's 64 x 48 is the same aspect, to the pixel.
        try image.resized(width: 67, height: 50).writePNG(to: runner.path("image.png"))
        let result = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.errors.contains("the mask is resized"))
        let picture = try DecodedImage.read(runner.path("a.png"))
        #expect(picture.width == 67 && picture.height == 50)
    }

    @Test func keptPixelsAreTheImages() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(
            runner.job + ["--size", "48x32", "--feather", "0", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        let image = try DecodedImage.read(runner.path("image.png")).rgb
        let mask = try DecodedImage.read(runner.path("mask.png")).grey.binaryMask()
        let picture = try DecodedImage.read(runner.path("a.png"))
        #expect(picture.width == image.width && picture.height == image.height)
        let kept = mask.values.indices.filter { mask.values[$0] == 0 }
        let bytes = picture.rgb.bytes
        #expect(kept.allSatisfy { bytes[3 * $0..<3 * $0 + 3] == image.bytes[3 * $0..<3 * $0 + 3] })
        #expect(bytes != image.bytes)
        let parameters = picture.textChunks.first { $0.keyword == "parameters" }?.text ?? ""
        #expect(parameters.hasPrefix("fox\nSteps: 2, Sampler: DDIM, CFG scale: 7.5, Seed: 0, Size: 48x32, Model: sd1"))
    }

    @Test func emptyMaskReturnsTheImage() async throws {
        let runner = try PilotRunner()
        let mask = GreyImage(width: 64, height: 48, bytes: [UInt8](repeating: 0, count: 64 * 48))
        try RGBImage(width: 64, height: 48, bytes: mask.bytes.flatMap { [$0, $0, $0] }).writePNG(
            to: runner.path("mask.png"))
        let result = try await runner.inpaint(runner.job + ["--output", runner.path("a.png")], ranks: 2)
        #expect(result.exitCode == 0)
        #expect(result.errors.contains("nothing to repaint"))
        let image = try DecodedImage.read(runner.path("image.png")).rgb
        #expect(try DecodedImage.read(runner.path("a.png")).rgb == image)
    }

    @Test func dumpedLatentStartsTheSameJob() async throws {
        let runner = try PilotRunner()
        let job = runner.job + ["--coherence", "1", "--no-paste", "--preview", runner.path("previews")]
        let first = try await runner.inpaint(
            job + ["--seed", "3", "--output", runner.path("a.png"), "--dump", runner.path("a.safetensors")])
        #expect(first.exitCode == 0, "\(first.errors)")
        #expect(runner.files().filter { $0.hasPrefix("previews/step-") }.count == 1)
        let second = try await runner.inpaint(
            job + ["--initial-latent", runner.path("a.safetensors"), "--output", runner.path("b.png"), "--overwrite"])
        #expect(second.exitCode == 0, "\(second.errors)")
        // With gamma 1 the seed gives nothing but the start.
        #expect(try DecodedImage.read(runner.path("a.png")).rgb == DecodedImage.read(runner.path("b.png")).rgb)
    }

    @Test func longPromptsAreCutWithAWarning() async throws {
        let runner = try PilotRunner()
        let prompt = String(repeating: "a fox, ", count: 60) + "the last\nwords"
        let result = try await runner.inpaint(
            runner.job + ["--prompt", prompt, "--prompt-syntax", "plain", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0)
        let warnings = result.errors.split(separator: "\n").filter { $0.hasPrefix("pilot: warning:") }
        #expect(warnings.count == 1)
        #expect(warnings.first?.hasSuffix("the last\\nwords\"") == true)
    }

    @Test(arguments: [(1, SIGINT), (1, SIGQUIT), (2, SIGINT)])
    func interruptionLeavesNothing(ranks: Int, signal: Int32) async throws {
        let runner = try PilotRunner()
        let before = runner.files()
        let arguments = ["inpaint"] + runner.job + ["--steps", "900", "--output", runner.path("a.png")]
        let result =
            ranks == 1
            ? try await Launcher.run("pilot", arguments, onErrorOutput: { kill($0.processIdentifier, signal) })
            : try await Launcher.mpirun(
                ranks: ranks, "pilot", arguments, onErrorOutput: { kill($0.processIdentifier, signal) })
        #expect(!result.hasHung)
        // mpirun has an exit code of its own for Ctrl-C.
        #expect(ranks == 1 ? result.exitCode == 128 + signal : result.exitCode != 0)
        #expect(result.failureLines.count == 1)
        #expect(runner.files() == before)
    }

    @Test func helpIsAsWritten() async throws {
        let runner = try PilotRunner()
        let result = try await runner.run(["inpaint", "--help"], ranks: 2)
        #expect(result.exitCode == 0)
        let expected = try String(contentsOfFile: "\(PilotRunner.fixtures)/inpaint-help.txt", encoding: .utf8)
        #expect(result.output == expected)
    }
}
