import Foundation
import ImageFiles
import TensorKernels
import TestSupport
import Testing

/// Single-file checkpoints, as users have them.
@Suite struct SingleFileTests {
    /// A fixture model as one file, in the runner's folder.
    private func convert(_ model: String, _ runner: PilotRunner, as name: String) async throws -> String {
        let file = runner.path(name)
        let result = try await runner.run(["model", "convert", model, "--output", file])
        #expect(result.exitCode == 0, "\(result.errors)")
        return file
    }

    private func figures(_ arguments: [String], _ runner: PilotRunner) async throws -> [String: Any] {
        let result = try await runner.run(["model", "inspect", "--json"] + arguments)
        #expect(result.exitCode == 0, "\(result.errors)")
        return try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    }

    /// The job of `runner` with another model.
    private func job(_ runner: PilotRunner, _ model: [String]) -> [String] {
        Array(runner.job.dropFirst(2)) + ["--model"] + model
    }

    @Test(arguments: [("sd1", 1), ("sd2", 2)])
    func givesTheSamePictureAsItsFolder(name: String, ranks: Int) async throws {
        let runner = try PilotRunner()
        let folder = "\(PilotRunner.models)/\(name)"
        let file = try await convert(folder, runner, as: "\(name).safetensors")
        for (output, model) in [("folder", [folder]), ("file", [file, "--model-config", folder])] {
            let result = try await runner.inpaint(
                job(runner, model) + [
                    "--output", runner.path("\(output).png"), "--dump", runner.path("\(output).safetensors"),
                ], ranks: ranks)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
        #expect(try runner.contents("file.safetensors") == runner.contents("folder.safetensors"))
        let pictures = try ["file", "folder"].map { try DecodedImage.read(runner.path("\($0).png")).rgb }
        #expect(pictures[0] == pictures[1])

        // The record names all that says which model it was.
        let again = try await runner.inpaint(["--from", runner.path("file.png"), "--output", runner.path("again.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("file.png"))
    }

    @Test func isInspected() async throws {
        let runner = try PilotRunner()
        let folder = "\(PilotRunner.models)/sd2"
        let file = try await convert(folder, runner, as: "sd2.safetensors")
        let whole = try await figures([file, "--model-config", folder], runner)
        #expect(whole["prediction"] as? String == "v_prediction")
        #expect(whole["prediction_source"] as? String == "configuration")
        #expect((whole["components"] as? [Any])?.count == 3)
        #expect(whole["missing"] as? [String] == [] && whole["ignored"] as? [String: Int] == [:])

        // Averages on top, the autoencoder gone.
        let stored = try SafetensorsFile(path: file).tensors.values.filter { !$0.name.hasPrefix("first_stage_model.") }
        let other = runner.path("other.safetensors")
        try SafetensorsWriter.write(
            to: other, stored + [StoredTensor(name: "model_ema.decay", shape: [], values: [1])])
        let part = try await figures([other, "--model-config", folder, "--prediction", "epsilon"], runner)
        #expect(part["missing"] as? [String] == ["vae"])
        #expect(part["ignored"] as? [String: Int] == ["model_ema.*": 1])
        #expect(part["prediction"] as? String == "epsilon" && part["prediction_source"] as? String == "option")
        let text = try await runner.run(["model", "inspect", other, "--model-config", folder])
        #expect(text.output.contains("missing: vae (--vae gives one)") && text.output.contains("1 model_ema.*"))

        // A job wants one, and takes it from elsewhere.
        let options = job(runner, [other, "--model-config", folder]) + ["--output", runner.path("a.png")]
        let refused = try await runner.inpaint(options)
        #expect(refused.exitCode == 65)
        #expect(refused.failureLines.first?.contains("--vae") == true, "\(refused.errors)")
        let given = try await runner.inpaint(options + ["--vae", file], ranks: 2)
        #expect(given.exitCode == 0, "\(given.errors)")
        let plain = try await runner.inpaint(
            job(runner, [folder, "--vae", "\(folder)/vae"]) + ["--output", runner.path("b.png")])
        #expect(plain.exitCode == 0, "\(plain.errors)")
        #expect(try DecodedImage.read(runner.path("a.png")).rgb == DecodedImage.read(runner.path("b.png")).rgb)
    }

    @Test func isConvertedBothWays() async throws {
        let runner = try PilotRunner()
        let file = try await convert("scenes", runner, as: "scenes.safetensors")
        let folder = runner.path("scenes")
        let back = try await runner.run(
            ["model", "convert", file, "--model-config", "\(PilotRunner.models)/sd1", "--output", folder])
        #expect(back.exitCode == 65, "another model's configuration does not fit")
        #expect(!FileManager.default.fileExists(atPath: folder))
        let inTheWay = try await runner.run(["model", "convert", "scenes", "--output", file])
        #expect(inTheWay.exitCode == 64)
        let pickle = try await runner.run(["model", "convert", "scenes", "--output", runner.path("x.ckpt")])
        #expect(pickle.exitCode == 64)
        let small = try await runner.run(
            ["model", "convert", "\(PilotRunner.models)/odd", "--dtype", "float16", "--output", runner.path("small")])
        #expect(small.exitCode == 0, "\(small.errors)")
        let components = try await figures([runner.path("small")], runner)["components"] as? [[String: Any]]
        #expect(components?.map { $0["element_types"] as? [String] } == [["F16"], ["F16"], ["F16"]])
    }

    @Test func whatIsNoneIsRefused() async throws {
        let runner = try PilotRunner()
        let zip: [UInt8] = [0x50, 0x4b, 3, 4] + [UInt8](repeating: 0, count: 100)
        try runner.write(zip, to: "zip.safetensors")
        try runner.write([0x80, 2] + [UInt8](repeating: 0x71, count: 100), to: "model.ckpt")
        let lora = "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight"
        try SafetensorsWriter.write(
            to: runner.path("lora.safetensors"), [StoredTensor(name: lora, shape: [1], values: [1])])
        for (name, code, words) in [
            ("zip.safetensors", 65, "pickle"), ("model.ckpt", 65, "pickle"), ("lora.safetensors", 65, "LoRA"),
            ("nowhere.safetensors", 66, "no such"),
        ] as [(String, Int32, String)] {
            let result = try await runner.inpaint(
                job(runner, [runner.path(name)]) + ["--output", runner.path("a.png")],
                ranks: name.hasPrefix("z") ? 2 : 1)
            #expect(result.exitCode == code, "\(name): \(result.errors)")
            #expect(result.failureLines.count == 1)
            #expect(result.failureLines.first?.contains(words) == true, "\(result.errors)")
        }
        let folder = try await runner.run(
            ["model", "inspect", "\(PilotRunner.models)/sd1", "--model-config", "\(PilotRunner.models)/sd1"])
        #expect(folder.exitCode == 64)
    }

    @Test func lastLayersOfTheTextEncoderAreLeftOut() async throws {
        let runner = try PilotRunner()
        var embeddings: [[Float]] = []
        for (index, options) in [[], ["--clip-skip", "1"], ["--clip-skip", "2"]].enumerated() {
            let result = try await runner.inpaint(
                runner.job + options + [
                    "--output", runner.path("\(index).png"), "--dump", runner.path("\(index).safetensors"),
                ])
            #expect(result.exitCode == 0, "\(result.errors)")
            let dump = try TensorFile(runner.path("\(index).safetensors"))
            embeddings.append(try #require(dump.tensors["prompt_embedding"]).float32Values())
        }
        #expect(embeddings[0] == embeddings[1] && embeddings[0] != embeddings[2])
        #expect(try runner.contents("0.png") == runner.contents("1.png"))
        let again = try await runner.inpaint(["--from", runner.path("2.png"), "--output", runner.path("again.png")])
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try runner.contents("again.png") == runner.contents("2.png"))
        // Three layers are there.
        for skip in ["0", "4", "-1"] {
            let result = try await runner.inpaint(
                runner.job + ["--clip-skip", skip, "--output", runner.path("x.png")], ranks: skip == "4" ? 2 : 1)
            #expect(result.exitCode == 64)
            #expect(result.failureLines.first?.contains("--clip-skip: expected 1 to 3") == true, "\(result.errors)")
        }
    }
}
