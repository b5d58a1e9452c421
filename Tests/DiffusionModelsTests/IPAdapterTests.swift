import DiffusionModels
import Failures
import Foundation
import NeuralLayers
import TensorKernels
import TestSupport
import Testing

/// IP-Adapters against transformers and diffusers, alone and with a UNet, whole and cut into stages.
@Suite struct IPAdapterTests {
    private static let adapters = [
        ("sd1", "sd1"), ("sd1-plus", "sd1"), ("sd1-full", "sd1"), ("sd2", "sd2"), ("odd-plus", "odd"),
        ("inpaint", "inpaint"),
    ]

    private func ladder(of model: String) throws -> Range<Int> {
        0..<(try ModelFixture(model).folder.unetConfiguration().rungCount)
    }

    /// With the encoder: its embedding goes into `linear` ones, its states into the others.
    @Test(arguments: adapters)
    func tokensAreThoseOfDiffusers(name: String, model: String) throws {
        for threads in [1, 3] {
            let context = try ComputeContext(threads: threads, elementType: .bfloat16, grain: 1)
            let made = try IPAdapterCase.tokens(name, model: model, in: context)
            for (tokens, kind) in [(made.tokens, "tokens"), (made.negativeTokens, "negative_tokens")] {
                let expected = try IPAdapterCase.golden("\(name).\(kind)")
                #expect(tokens.shape == expected.shape)
                #expect(relativeError(tokens.values, expected.values) < 2e-5, "\(name), \(kind)")
            }
        }
    }

    @Test func noiseAndGradientAreThoseOfDiffusers() throws {
        let context = try ComputeContext(threads: 1)
        for test in try IPAdapterCase.all() {
            let (noise, gradient) = try test.evaluated(cut: [ladder(of: test.model)], in: context)
            let output = try IPAdapterCase.golden("\(test.name).output")
            let expected = try IPAdapterCase.golden("\(test.name).input_gradient")
            #expect(relativeError(noise, output.values) < 2e-5, "\(test.name)")
            #expect(relativeError(gradient, expected.values) < 1e-4, "\(test.name)")
        }
    }

    @Test(arguments: ElementType.allCases, [1, 2])
    func everyCutGivesTheSameBits(elementType: ElementType, threads: Int) throws {
        let context = try ComputeContext(threads: threads, elementType: elementType)
        let single = try ComputeContext(threads: 1, elementType: elementType)
        for test in try IPAdapterCase.all() {
            let ladder = try ladder(of: test.model)
            let whole = try test.evaluated(cut: [ladder], in: single)
            let middle = ladder.count / 2
            for cut in [ladder.map { $0..<$0 + 1 }, [0..<1, 1..<middle, middle..<ladder.count]] {
                let cutUp = try test.evaluated(cut: cut, in: context)
                #expect(cutUp.noise == whole.noise, "\(test.name), cut \(cut)")
                #expect(cutUp.gradient == whole.gradient, "\(test.name), cut \(cut)")
            }
        }
    }

    /// Each cross-attention belongs to one stage of any cut.
    @Test(arguments: ModelFixture.names)
    func aStageHasTheProjectionsOfItsOwnRungs(model: String) throws {
        let name = try #require(Self.adapters.first { $0.1 == model }?.0)
        let files = try IPAdapterCase.files(name, model: model)
        let whole = try files.projections().keys.sorted()
        let parts = try ladder(of: model).map { try files.projections(rungs: $0..<$0 + 1).keys.sorted() }
        #expect(!whole.isEmpty && parts.flatMap { $0 }.sorted() == whole)
        #expect(parts.count { $0.isEmpty } < parts.count)
    }

    @Test func adaptersForOtherModelsAreRefusedByName() throws {
        for (name, model) in [("sd1", "sd2"), ("sd1-plus", "sd2"), ("sd1-full", "odd"), ("sd2", "sd1")] {
            let error = #expect(throws: Failure.self) { _ = try IPAdapterCase.files(name, model: model) }
            #expect(error?.kind == .badData && error?.message.contains("for another model") == true, "\(name)")
        }
        // Of the same width, with other channels in its attentions.
        let error = #expect(throws: Failure.self) {
            _ = try IPAdapterCase.files("inpaint", model: "sd1").projections()
        }
        #expect(error?.message.contains("of another shape") == true, "\(error?.message ?? "")")
    }

    /// FaceID's first kind, its kind with a resampler, and its LoRA.
    @Test(
        arguments: [
            ["image_proj.proj.0.weight", "image_proj.norm.weight"], ["image_proj.perceiver_resampler.proj_in.weight"],
            ["image_proj.latents", "ip_adapter.1.to_q_lora.down.weight"],
        ])
    func adaptersOfFacesAreRefusedByName(keys: [String]) throws {
        let scratch = try CheckpointScratch()
        try scratch.write(keys.map { StoredTensor($0, [2, 2]) }, to: "face.safetensors")
        let unet = try ModelFixture("sd1").folder.unetConfiguration()
        let error = #expect(throws: Failure.self) {
            _ = try IPAdapterFiles("\(scratch.path)/face.safetensors", for: unet, of: "unet")
        }
        #expect(error?.kind == .badData && error?.message.contains("FaceID") == true, "\(error?.message ?? "")")
        let key = try #require(keys.last)
        #expect(error?.message.contains("face.safetensors") == true && error?.message.contains(key) == true)
    }

    @Test func whatIsNoAdapterIsRefusedByName() throws {
        let unet = try ModelFixture("sd1").folder.unetConfiguration()
        for path in [
            "\(ControlCase.folder)/sd1/diffusion_pytorch_model.safetensors",
            "\(IPAdapterCase.folder)/golden.safetensors",
            "\(IPAdapterCase.folder)/golden.json", "\(IPAdapterCase.folder)/image_encoder",
        ] {
            let error = #expect(throws: Failure.self) { _ = try IPAdapterFiles(path, for: unet, of: "unet") }
            #expect(error?.kind == .badData && error?.message.contains(path) == true, "\(error?.message ?? "")")
        }
        let error = #expect(throws: Failure.self) { _ = try IPAdapterFiles("/no/such", for: unet, of: "unet") }
        #expect(error?.kind == .missingInput)
    }

    @Test(
        arguments: [
            (#""image_size": 30"#, "patch_size"), (#""num_attention_heads": 3"#, "num_attention_heads"),
            (#""num_channels": 1"#, "num_channels"), (#""model_type": "clip""#, "model_type"),
            (#""architectures": ["CLIPModel"]"#, "CLIPVisionModelWithProjection"),
            (#""hidden_act": "relu""#, "hidden_act"),
        ])
    func encodersThatAreNotBuiltAreRefused(field: String, mention: String) throws {
        let scratch = try CheckpointScratch()
        try scratch.write(
            #"{"hidden_size": 20, "image_size": 28, "patch_size": 7, "num_attention_heads": 2, \#(field)}"#
                .replacingOccurrences(
                    of: #""image_size": 28, "patch_size": 7, "num_attention_heads": 2, "image_size": 30"#,
                    with: #""image_size": 30, "patch_size": 7, "num_attention_heads": 2"#
                ).replacingOccurrences(
                    of: #""num_attention_heads": 2, "num_attention_heads": 3"#, with: #""num_attention_heads": 3"#),
            to: "encoder/config.json")
        let error = #expect(throws: Failure.self) { _ = try ImageEncoderFiles("\(scratch.path)/encoder") }
        #expect(error?.kind == .badData && error?.message.contains(mention) == true, "\(error?.message ?? "")")
    }
}
