import DiffusionModels
import Failures
import Foundation
import NeuralLayers
import TensorKernels
import Testing

@Suite("Single files of full size")
struct SingleFileTests {
    let scratch: CheckpointScratch

    init() throws { scratch = try CheckpointScratch() }

    @Test(
        "every tensor lies where diffusers finds it",
        arguments: [("sd15", false), ("sd15", true), ("sd21", false), ("sd21", true)])
    func names(architecture: String, isForInpainting: Bool) throws {
        let layout = try SingleFileLayout(architecture)
        let model = try scratch.single(
            isForInpainting ? layout.inpaintingShapes : layout.shapes, prediction: .epsilon)
        let shapes = try model.configuration()
        let tensors = ModelTensors(unet: shapes.unet, vae: shapes.vae, textEncoder: shapes.textEncoder)
        for component in ModelFolder.Component.allCases {
            let rows = layout.rows.filter { $0.component == component }
            #expect(Set(rows.map(\.key)) == Set(tensors[component].map(\.key)))
            let naming = try model.weights(of: component).naming
            for row in rows {
                let place = naming.places(of: row.key).first { row.name == $0.name }
                #expect(place.map { $0.part * row.shape[0] / $0.parts } == row.firstRow, "\(row.key)")
            }
            try model.check(component)
        }
    }

    @Test("configurations, scheduler and tokenizer come with the family")
    func families() throws {
        let one = try scratch.single(try SingleFileLayout("sd15").shapes)
        #expect(one.prediction == Prediction(.epsilon, by: .family))
        #expect(try one.unetConfiguration() == ModelArchitecture.sd15.unet)
        #expect(try one.vaeConfiguration() == ModelArchitecture.sd15.vae)
        #expect(try one.textEncoderConfiguration() == ModelArchitecture.sd15.textEncoder)
        #expect(try one.schedulerConfiguration() == ModelArchitecture.sd15.scheduler)
        #expect(try one.tokenizer.tokenizer(vocabularySize: 49408).padToken == 49407)
        #expect(try one.uselessKeys() == [:])

        let two = try scratch.single(try SingleFileLayout("sd21").shapes, prediction: .velocity)
        #expect(two.prediction == Prediction(.velocity, by: .option))
        #expect(try two.unetConfiguration().sampleSize == 96)
        #expect(try two.textEncoderConfiguration() == ModelArchitecture.sd21.textEncoder)
        #expect(try two.schedulerConfiguration() == ModelArchitecture.sd21.scheduler)
        #expect(try two.tokenizer.tokenizer(vocabularySize: 49408).padToken == 0)
    }

    @Test(
        "inpainting variants are families of their own, and predict the noise",
        arguments: [
            ("sd15", ModelArchitecture.sd15Inpainting, ModelFamily.sd1Inpainting, 49407),
            ("sd21", .sd2Inpainting, .sd2Inpainting, 0),
        ])
    func inpaintingFamilies(
        layout: String, architecture: ModelArchitecture, family: ModelFamily, padding: Int32
    ) throws {
        let model = try scratch.single(SingleFileLayout(layout).inpaintingShapes)
        #expect(model.prediction == Prediction(.epsilon, by: .family))
        let unet = try model.unetConfiguration()
        #expect(unet.takesMaskedImage && unet.sampleSize == 64)
        #expect(ModelFamily(unet) == family && unet.hasSameNetwork(as: architecture.unet))
        #expect(try model.vaeConfiguration() == architecture.vae)
        #expect(try model.textEncoderConfiguration() == architecture.textEncoder)
        #expect(try model.schedulerConfiguration() == architecture.scheduler)
        #expect(try model.tokenizer.tokenizer(vocabularySize: 49408).padToken == padding)
    }

    @Test("what the file says of its prediction")
    func statedPredictions() throws {
        let shapes = try SingleFileLayout("sd21").shapes
        func model(_ metadata: [String: String], marks: [String: [Int]] = [:]) throws -> SingleFileModel {
            try scratch.single(shapes.merging(marks) { first, _ in first }, metadata: metadata)
        }
        let stated = try model(["modelspec.prediction_type": "v", "modelspec.architecture": "stable-diffusion-v2-512"])
        #expect(stated.prediction == Prediction(.velocity, by: .metadata))
        #expect(try stated.unetConfiguration().sampleSize == 96)
        let noise = try model(["modelspec.architecture": "stable-diffusion-v2-512"])
        #expect(noise.prediction == Prediction(.epsilon, by: .metadata))
        #expect(try noise.unetConfiguration().sampleSize == 64)
        let velocity = try model(["modelspec.architecture": "stable-diffusion-v2-768-v/lora"])
        #expect(velocity.prediction == Prediction(.velocity, by: .metadata))
        let marked = try model([:], marks: ["v_pred": [0], "ztsnr": [0]])
        #expect(marked.prediction == Prediction(.velocity, by: .key))
        #expect(try marked.schedulerConfiguration().rescaleBetasZeroSNR)
        let unknown = try failure { _ = try model(["modelspec.prediction_type": "x0"]) }
        #expect(unknown.kind == .badData && unknown.message.contains("expected epsilon or v"))
    }

    @Test("what no picture depends on is left out, and counted")
    func useless() throws {
        var shapes = try SingleFileLayout("sd21").shapes
        let text = "cond_stage_model.model."
        for name in ["ln_1.weight", "attn.in_proj_weight"] { shapes["\(text)transformer.resblocks.23.\(name)"] = [4] }
        for name in ["text_projection", "logit_scale", "attn_mask"] { shapes[text + name] = [1] }
        for name in [
            "model_ema.diffusion_modelout0bias", "model_ema.decay", "betas", "alphas_cumprod_prev",
            "sqrt_one_minus_alphas_cumprod", "log_one_minus_alphas_cumprod", "posterior_variance", "global_step",
            "first_stage_model.loss.logvar",
        ] { shapes[name] = [2] }
        let model = try scratch.single(shapes, prediction: .epsilon)
        for component in ModelFolder.Component.allCases { try model.check(component) }
        #expect(
            try model.uselessKeys() == [
                "\(text)transformer.resblocks.23.*": 2, "\(text)text_projection": 1, "*logit_scale": 1,
                "\(text)attn_mask": 1, "model_ema.*": 2, "betas": 1, "alphas_cumprod*": 1, "sqrt_*": 1, "log_*": 1,
                "posterior_*": 1, "global_step": 1, "first_stage_model.loss.*": 1,
            ])
        // Two layers more are of another model.
        shapes["\(text)transformer.resblocks.24.ln_1.weight"] = [4]
        let other = try failure { try scratch.single(shapes, prediction: .epsilon).check(.textEncoder) }
        #expect(other.message.contains("1 surplus: \"\(text)transformer.resblocks.24.ln_1.weight\""))
    }

    @Test("the text encoder's and the autoencoder's other prefixes")
    func prefixes() throws {
        func renamed(_ architecture: String, _ prefix: String, _ other: String) throws -> [String: [Int]] {
            let shapes = try SingleFileLayout(architecture).shapes
            return Dictionary(
                uniqueKeysWithValues: shapes.map { name, shape in
                    (name.hasPrefix(prefix) ? other + name.dropFirst(prefix.count) : name, shape)
                })
        }
        let clip = "cond_stage_model.transformer."
        var old = try renamed("sd15", clip + "text_model.", clip)
        old["\(clip)embeddings.position_ids"] = [1, 77]
        old["\(clip)text_projection.weight"] = [768, 768]
        try scratch.single(old).check(.textEncoder)
        let newer = try renamed("sd21", "cond_stage_model.model.", "conditioner.embedders.0.model.")
        try scratch.single(newer, prediction: .epsilon).check(.textEncoder)
        try scratch.single(try renamed("sd15", "first_stage_model.", "vae.")).check(.vae)
    }

    @Test("a part that is not there is missed when it is asked for")
    func absent() throws {
        let shapes = try SingleFileLayout("sd15").shapes.filter { !$0.key.hasPrefix("first_stage_model.") }
        let model = try scratch.single(shapes)
        #expect(!model.has(.vae) && model.has(.unet) && model.has(.textEncoder))
        let error = try failure { _ = try model.weights(of: .vae) }
        #expect(error.kind == .badData && error.message.contains("--vae"))
        let alone = try scratch.single(shapes.filter { !$0.key.hasPrefix("cond_stage_model.") })
        #expect(try failure { _ = try alone.weights(of: .textEncoder) }.message.contains("text_encoder"))
    }

    @Test("faults are told in the file's own names")
    func faults() throws {
        var shapes = try SingleFileLayout("sd21").shapes
        let attention = "cond_stage_model.model.transformer.resblocks.3.attn.in_proj_weight"
        shapes[attention] = [3073, 1024]
        shapes["cond_stage_model.model.ln_final.bias"] = nil
        let text = try failure { try scratch.single(shapes, prediction: .epsilon).check(.textEncoder) }
        for words in [
            "model.safetensors", "1 missing: \"cond_stage_model.model.ln_final.bias\"",
            "1 of another shape: \"\(attention)\" is [3073, 1024], expected [3072, 1024]", "Stable Diffusion 2.x",
        ] { #expect(text.message.contains(words), "\(text.message)") }

        shapes["cond_stage_model_model.x"] = [1]
        shapes["embedding_manager.y"] = [1]
        let stranger = try failure { _ = try scratch.single(shapes, prediction: .epsilon) }
        #expect(stranger.kind == .badData)
        #expect(stranger.message.contains("\"cond_stage_model_model.x\"") && stranger.message.contains("2 others"))

        // The network is tried out to know what it predicts, and so it is missed there.
        let broken = try SingleFileLayout("sd21").shapes.filter { !$0.key.hasSuffix("out.2.bias") }
        let missing = try failure { _ = try scratch.single(broken) }
        #expect(missing.message.contains("1 missing: \"model.diffusion_model.out.2.bias\""))
    }

    @Test("other models are named")
    func otherModels() throws {
        let convolution = "model.diffusion_model.input_blocks.0.0.weight"
        let attention = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
        func refusal(_ shapes: [String: [Int]]) throws -> String {
            let error = try failure { _ = try scratch.single(shapes) }
            #expect(error.kind == .badData && error.message.contains("model.safetensors"))
            return error.message
        }
        for (channels, width, words) in [
            (4, 2048, "sdxl"), (9, 2048, "sdxl"), (5, 1024, "found 5: a depth-guided"), (10, 768, "found 10"),
            (8, 768, "image-editing"), (4, 1280, "refiner"), (4, 640, "--model-config"),
        ] {
            let message = try refusal([convolution: [8, channels, 3, 3], attention: [8, width]])
            #expect(message.contains(words), "\(message)")
        }
        for (key, words) in [
            ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "LoRA"),
            ("control_model.input_hint_block.0.weight", "ControlNet"), ("emb_params", "textual inversion"),
            ("down_blocks.0.resnets.0.conv1.weight", "diffusers"), ("decoder.conv_in.weight", "--vae"),
            ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "Flux"),
            ("model.diffusion_model.joint_blocks.0.x", "Stable Diffusion 3"), ("something", "\"something\""),
        ] { #expect(try refusal([key: [1]]).contains(words), "\(key)") }
        #expect(try refusal([:]).contains("0 tensors"))
        for shapes in [
            [convolution: [], attention: [8, 768]], [convolution: [4], attention: [8, 768]],
            [convolution: [8, 4, 3, 3], attention: []], [convolution: [8, 4, 3, 3]],
            [convolution: [0, 0, 0, 0], attention: [0, 768]],
        ] { _ = try refusal(shapes) }
    }

    @Test("a network that gives back its input predicts noise, one that gives the opposite the velocity")
    func probe() throws {
        for (bias, expected) in [(Float(0.4), .epsilon), (-0.4, .epsilon), (-0.6, .velocity)]
            as [(Float, SchedulerConfiguration.PredictionType)]
        {
            let found = try PredictionProbe.prediction(of: ModelArchitecture.tiny.unet) { store in
                ConstantOutput(bias: bias, store: store)
            }
            #expect(found == expected)
        }
    }
}

/// Zeros, but for the bias of the UNet's last convolution: its output, whatever comes in.
private final class ConstantOutput: WeightSource {
    let bias: Float
    let store: WeightStore

    init(bias: Float, store: WeightStore) {
        self.bias = bias
        self.store = store
    }

    func tensor(_ key: String, _ shape: [Int]) -> StoredTensor {
        let value = key == "conv_out.bias" ? bias : 0
        return StoredTensor(name: key, shape: shape, values: [Float](repeating: value, count: shape.reduce(1, *)))
    }

    func contains(_ key: String) -> Bool { false }
}

@Suite("CLIP's own vocabulary")
struct CLIPVocabularyTests {
    @Test(
        "the ids that transformers gives with it, for both tokens that fill prompts", arguments: ["<|endoftext|>", "!"])
    func ids(padding: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
        let golden = try JSONDecoder().decode(
            [String: [String]].self, from: Data(contentsOf: folder.appending(path: "clip.json")))
        let strings = try TokenizerFixture.strings()
        let tokenizer = try TokenizerSource.clip(folder: SingleFileLayout.clip, paddingToken: padding)
            .tokenizer(vocabularySize: 49408)
        #expect((tokenizer.startToken, tokenizer.endToken) == (49406, 49407))
        #expect(tokenizer.encode("a photo of a cat") == [320, 1125, 539, 320, 2368])
        let rows = try #require(golden[padding])
        #expect(rows.count > 200)
        for (index, row) in rows.enumerated() {
            let ids = try tokenizer.prompt(strings[index * 10], contextLength: 77).ids
            #expect(ids.map(String.init).joined(separator: " ") == row, "string \(index * 10)")
        }
    }

    @Test("merges that are gone or not all there")
    func damaged() throws {
        let scratch = try CheckpointScratch()
        let source = TokenizerSource.clip(folder: scratch.path, paddingToken: "!")
        #expect(try failure { _ = try source.tokenizer(vocabularySize: 49408) }.kind == .missingInput)
        try scratch.write("#version: 0.2\ni n\nt h\n", to: "merges.txt")
        let short = try failure { _ = try source.tokenizer(vocabularySize: 49408) }
        #expect(short.kind == .badData && short.message.contains("expected CLIP's 48894 merges, found 2"))
    }
}
