import Foundation
import ImageFiles
import TensorKernels
import TestSupport
import Testing

@Suite struct LoRACommandTests {
    private static let folder =
        URL(filePath: PilotRunner.models).deletingLastPathComponent().path() + "lora"

    private static func lora(_ name: String) -> String { "\(folder)/\(name).safetensors" }

    private func picture(
        _ runner: PilotRunner, _ name: String, _ options: [String], ranks: Int = 1
    ) async throws -> RGBImage {
        let result = try await runner.inpaint(
            runner.job + options + ["--output", runner.path(name), "--no-paste"], ranks: ranks)
        #expect(result.exitCode == 0, "\(result.errors)")
        return try DecodedImage.read(runner.path(name)).rgb
    }

    @Test func scalesSayHowStrongItIs() async throws {
        let runner = try PilotRunner()
        let plain = try await picture(runner, "plain.png", [])
        let file = ["--lora", Self.lora("dora_output")]
        #expect(try await picture(runner, "none.png", file + ["--lora-scale", "0"]) == plain)
        let whole = try await picture(runner, "whole.png", file)
        let text = try await picture(runner, "text.png", file + ["--lora-scale", "0", "--lora-text-scale", "1"])
        let unet = try await picture(runner, "unet.png", file + ["--lora-text-scale", "0"])
        #expect(Set([plain, whole, text, unet].map(\.bytes)).count == 4)
        // Two spellings of one LoRA, and the same taken away again.
        let (names, others) = (Self.lora("kohya"), Self.lora("kohya_ldm"))
        #expect(
            try await picture(runner, "a.png", ["--lora", names])
                == picture(runner, "b.png", ["--lora", others, "--lora-scale", "1"]))
        #expect(
            try await picture(
                runner, "c.png", ["--lora", names, "--lora", others, "--lora-scale", "0.5", "--lora-scale", "-0.5"])
                == plain)
    }

    /// Every layout merges its own share, and gives the file of one rank.
    @Test(arguments: ["float32", "bfloat16"])
    func layoutsGiveTheSameFile(type: String) async throws {
        let runner = try PilotRunner()
        let options = ["--lora", Self.lora("dora_input"), "--lora", Self.lora("locon"), "--dtype", type]
        _ = try await picture(runner, "1.png", options)
        for (ranks, layout) in [(2, "branches=2,stages=1"), (3, "branches=1,stages=3")] {
            _ = try await picture(runner, "\(ranks).png", options + ["--layout", "replicas=1,\(layout)"], ranks: ranks)
            #expect(try runner.contents("1.png") == runner.contents("\(ranks).png"))
        }
    }

    @Test func recordsKnowTheirLoRAs() async throws {
        let runner = try PilotRunner()
        let file = runner.path("style.safetensors")
        try FileManager.default.copyContents(atPath: Self.lora("lokr"), toPath: file)
        _ = try await picture(runner, "a.png", ["--lora", file, "--lora-scale", "0.5", "--lora-text-scale", "0"])
        let again = try await runner.inpaint(["--from", runner.path("a.png"), "--output", runner.path("b.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("a.png") == runner.contents("b.png"))

        // Its other scale stays, and so do both when the file is named anew.
        let weaker = ["--from", runner.path("a.png"), "--lora-scale", "0", "--output", runner.path("c.png")]
        #expect(try await runner.inpaint(weaker).exitCode == 0)
        let plain = try await picture(runner, "plain.png", [])
        #expect(try DecodedImage.read(runner.path("c.png")).rgb == plain)
        let moved = ["--from", runner.path("a.png"), "--lora", Self.lora("lokr"), "--output", runner.path("d.png")]
        #expect(try await runner.inpaint(moved).exitCode == 0)
        #expect(try DecodedImage.read(runner.path("d.png")).rgb == DecodedImage.read(runner.path("a.png")).rgb)

        // Without paths the files go by their own names.
        _ = try await picture(runner, "f.png", ["--lora", file, "--no-paths"])
        let text = try DecodedImage.read(runner.path("f.png")).textChunks.map(\.text).joined()
        #expect(
            text.contains("\"lora\":\"style.safetensors\"") && text.contains(/"lora":"[0-9a-f]{16}"/)
                && !text.contains("/"))

        let over = try await runner.inpaint(runner.job + ["--lora", file, "--output", file, "--overwrite"])
        #expect(over.exitCode == 64 && over.failureLines.first?.contains("the file of --lora") == true)
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.copyContents(atPath: Self.lora("loha"), toPath: file)
        let changed = try await runner.inpaint(["--from", runner.path("a.png"), "--output", runner.path("e.png")])
        #expect(changed.exitCode == 65)
        #expect(changed.failureLines.first?.contains("--lora \(file): has changed") == true, "\(changed.errors)")
    }

    @Test func whatDoesNotFitIsRefused() async throws {
        let runner = try PilotRunner()
        let file = ["--lora", Self.lora("kohya")]
        try runner.write("PK\u{3}\u{4}" + String(repeating: " ", count: 100), to: "pickle.safetensors")
        try SafetensorsWriter.write(
            to: runner.path("xl.safetensors"),
            ["down", "up"].map {
                StoredTensor(
                    name: "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_\($0).weight", shape: [1, 1], values: [1])
            })
        for (options, code, words) in [
            (["--lora-scale", "1"], 64, "--lora-scale: given without --lora"),
            (file + file + ["--lora-scale", "1", "--lora-scale", "1", "--lora-scale", "1"], 64, "1 value, or 2"),
            (file + ["--lora-scale", "nan"], 64, "--lora-scale: expected a finite number"),
            (file + ["--lora-text-scale=-inf"], 64, "--lora-text-scale: expected a finite number"),
            (["--lora", runner.path("none.safetensors")], 66, "--lora \(runner.path("none.safetensors"))"),
            (["--lora", runner.path("pickle.safetensors")], 65, "pickle"),
            (["--lora", runner.path("xl.safetensors")], 65, "Stable Diffusion XL"),
        ] as [([String], Int32, String)] {
            let result = try await runner.inpaint(
                runner.job + options + ["--output", runner.path("x.png")], ranks: words == "pickle" ? 2 : 1)
            #expect(result.exitCode == code, "\(options): \(result.errors)")
            #expect(result.failureLines.count == 1)
            #expect(result.failureLines.first?.contains(words) == true, "\(result.errors)")
        }
        #expect(!runner.files().contains("x.png"))
    }

    /// A batch's LoRAs are the command line's: what a line says must be the same.
    @Test func batchesHaveLoRAs() async throws {
        let runner = try PilotRunner()
        let file = Self.lora("kohya")
        let batch = ["batch", runner.path("jobs.jsonl"), "--output", runner.path("out")] + runner.job
        try runner.write(
            "{\"output\": \"a.png\"}\n{\"output\": \"b.png\", \"lora\": [{\"lora\": \"\(file)\"}]}", to: "jobs.jsonl")
        let done = try await runner.run(batch + ["--lora", file], ranks: 2)
        #expect(done.exitCode == 0 && done.output.contains("2 done"), "\(done.errors)")
        #expect(try runner.contents("out/a.png") == runner.contents("out/b.png"))
        let present = try await runner.run(batch + ["--lora", file])
        #expect(present.output.contains("2 present"), "\(present.errors)")
        let other = try await runner.run(batch + ["--lora", file, "--lora-scale", "0.5", "--overwrite"])
        #expect(other.exitCode == 65)
        #expect(
            other.failureLines.contains { $0.contains("a batch has one model, with one list of LoRAs") },
            "\(other.errors)")
    }

    @Test func inspectTellsWhatItIs() async throws {
        let runner = try PilotRunner()
        let file = runner.path("style.safetensors")
        let source = try SafetensorsFile(path: Self.lora("rslora"))
        try SafetensorsWriter.write(
            to: file, source.tensors.values.sorted { $0.name < $1.name },
            metadata: source.metadata.merging([
                "ss_tag_frequency": "{\"1_x\": {\"fox\": 3, \"a\\nred\": 9, \"bad\": -1}, \"2_y\": {\"fox\": 7}}",
                "ss_base_model_version": "sd_v1", "ss_output_name": "style", "modelspec.trigger_phrase": "in style",
            ]) { $1 })
        let json = try await runner.run(
            ["lora", "inspect", file, "--model", "\(PilotRunner.models)/sd1", "--json"], ranks: 2)
        #expect(json.exitCode == 0, "\(json.errors)")
        let figures = try #require(
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
        #expect(figures["kinds"] as? [String] == ["LoRA"] && figures["modules"] as? Int == 6)
        #expect(figures["ranks"] as? [Int] == [3, 5] && figures["alphas"] as? [Double] == [2, 7])
        #expect(figures["rank_stabilized"] as? Int == 6 && figures["fits"] as? Bool == true)
        #expect(
            figures["parts"] as? [String: Int] == [
                "unet self-attention": 2, "unet cross-attention": 3, "unet feed-forward": 1,
            ])
        let tags = figures["tags"] as? [[String: Any]]
        #expect(tags?.compactMap { $0["text"] as? String } == ["fox", "a\nred"])
        #expect(tags?.compactMap { $0["count"] as? Int } == [10, 9])
        #expect(figures["trigger"] as? String == "in style" && figures["base_model"] as? String == "sd_v1")

        let text = try await runner.run(["lora", "inspect", file, "--model", "\(PilotRunner.models)/sd2"])
        #expect(text.exitCode == 0)
        for words in ["LoRA of 6 modules, rank 3 to 5", "\"a\\u{a}red\" 9", "it does not fit"] {
            #expect(text.output.contains(words), "\(text.output)")
        }
        // What the trainer wrote is a stranger's, and may be anything.
        try SafetensorsWriter.write(
            to: file, Array(source.tensors.values),
            metadata: ["ss_tag_frequency": String(repeating: "{\"a\":", count: 100_000)])
        #expect(try await runner.run(["lora", "inspect", file]).exitCode == 0)
    }
}
