import DiffusionModels
import Failures
import Foundation
import NeuralLayers
import TensorKernels
import TestSupport
import Testing

/// T2I-Adapters against diffusers, alone and with a UNet, whole and cut into stages.
@Suite struct T2IAdapterTests {
    private static let models = [
        "sd1": "sd1", "sd1-grey": "sd1", "sd1-light": "sd1", "sd2": "sd2", "inpaint": "inpaint",
    ]

    private func ladder(of model: String) throws -> Range<Int> {
        0..<(try ModelFixture(model).folder.unetConfiguration().rungCount)
    }

    /// A folder with an adapter in it, to be damaged.
    private func copy(of name: String) throws -> CheckpointScratch {
        let scratch = try CheckpointScratch()
        try FileManager.default.copyContents(
            atPath: "\(T2IAdapterCase.folder)/\(name)", toPath: "\(scratch.path)/adapter")
        return scratch
    }

    /// In diffusers' folders, in a lone file of diffusers' names, and in the original's.
    @Test(
        arguments: [
            ("sd1", "sd1"), ("sd1-grey", "sd1-grey"), ("sd1-light", "sd1-light"), ("sd2", "sd2"),
            ("inpaint", "inpaint"), ("sd1", "sd1/diffusion_pytorch_model.safetensors"),
            ("sd1-grey", "sd1-grey/diffusion_pytorch_model.safetensors"),
            ("sd1-light", "sd1-light/diffusion_pytorch_model.safetensors"), ("sd1", "sd1.original.safetensors"),
            ("sd1-light", "sd1-light.original.safetensors"),
        ])
    func featuresAreThoseOfDiffusers(name: String, path: String) throws {
        let model = try #require(Self.models[name])
        for threads in [1, 3] {
            let context = try ComputeContext(threads: threads, elementType: .bfloat16, grain: 1)
            let features = try T2IAdapterCase.features(path, of: name, model: model, in: context)
            #expect(features.count == (try ModelFixture(model).folder.unetConfiguration().blockChannels.count))
            for (level, feature) in features.enumerated() {
                let expected = try T2IAdapterCase.golden("\(name).feature.\(level)")
                #expect(feature.shape == expected.shape)
                #expect(relativeError(feature.values, expected.values) < 2e-5, "\(path), level \(level)")
            }
        }
    }

    @Test func noiseAndGradientAreThoseOfDiffusers() throws {
        let context = try ComputeContext(threads: 1)
        for test in try T2IAdapterCase.all() {
            let (noise, gradient) = try test.evaluated(cut: [ladder(of: test.model)], in: context)
            let output = try T2IAdapterCase.golden("\(test.name).output")
            let expected = try T2IAdapterCase.golden("\(test.name).input_gradient")
            #expect(relativeError(noise, output.values) < 2e-5, "\(test.name)")
            #expect(relativeError(gradient, expected.values) < 1e-4, "\(test.name)")
        }
    }

    @Test(arguments: ElementType.allCases, [1, 2])
    func everyCutGivesTheSameBits(elementType: ElementType, threads: Int) throws {
        let context = try ComputeContext(threads: threads, elementType: elementType)
        let single = try ComputeContext(threads: 1, elementType: elementType)
        for test in try T2IAdapterCase.all() {
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

    /// A stage is told of the features that it and those below need, and of no others.
    @Test func featuresGoAsFarDownAsTheyAreNeeded() throws {
        let unet = try ModelFixture("sd1").folder.unetConfiguration()
        #expect(unet.featureRungs == [2, 5, 8, 11])
        let feature = Latent(repeating: 1, channels: 1, height: 1, width: 1)
        let inputs = BranchInputs(
            embedding: [0], tokens: 1, width: 1, mask: feature,
            adapters: [FeatureInputs(features: [feature, feature, feature, feature], scale: 1)])
        for (rungs, kept) in [(0..<2, 4), (0..<3, 3), (3..<8, 2), (3..<9, 1), (9..<12, 0)] {
            let below = inputs.below(rungs, of: unet).adapters[0].features
            #expect(below.count == 4 && below.suffix(kept).allSatisfy { $0 != nil }, "\(rungs)")
            #expect(below.prefix(4 - kept).allSatisfy { $0 == nil }, "\(rungs)")
        }
    }

    @Test(arguments: ["sd1", "sd1-light", "sd1.original.safetensors", "sd1-light.original.safetensors"])
    func adaptersForOtherModelsAreRefusedByName(path: String) throws {
        for model in ["inpaint", "odd"] {
            let unet = try ModelFixture(model).folder.unetConfiguration()
            let error = #expect(throws: Failure.self) {
                _ = try T2IAdapterFiles("\(T2IAdapterCase.folder)/\(path)", for: unet, of: "unet/config.json").adapter()
            }
            #expect(error?.kind == .badData)
            #expect(error?.message.contains("for another model") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains(path) == true, "\(error?.message ?? "")")
        }
    }

    /// Where a level has no attention, its feature would have to be of the next one's size.
    @Test func aLevelWithoutAttentionIsRefused() throws {
        let folder = try copy(of: "inpaint")
        let odd = try ModelFixture("odd").folder.unetConfiguration()
        try folder.write(
            #"{"_class_name": "T2IAdapter", "channels": [10, 12, 14], "downscale_factor": 2}"#,
            to: "adapter/config.json")
        let error = #expect(throws: Failure.self) {
            _ = try T2IAdapterFiles("\(folder.path)/adapter", for: odd, of: "unet/config.json")
        }
        #expect(error?.message.contains("down_block_types[1]") == true, "\(error?.message ?? "")")
    }

    @Test(
        arguments: [
            (#""adapter_type": "full_adapter_xl""#, "Stable Diffusion XL"), (#""in_channels": 2"#, "in_channels"),
            (#""adapter_type": "tiny""#, "adapter_type"), (#""channels": [8, 12]"#, "another model"),
            (#""adapter_type": "light_adapter", "channels": [8, 10, 16]"#, "multiples of 4"),
        ])
    func descriptionsThatAreNotBuiltAreRefused(fields: String, mention: String) throws {
        let folder = try copy(of: "sd1")
        try folder.write(#"{"_class_name": "T2IAdapter", \#(fields)}"#, to: "adapter/config.json")
        let unet = try ModelFixture("sd1").folder.unetConfiguration()
        let error = #expect(throws: Failure.self) {
            _ = try T2IAdapterFiles("\(folder.path)/adapter", for: unet, of: "unet/config.json")
        }
        #expect(error?.kind == .badData && error?.message.contains("adapter/config.json") == true)
        #expect(error?.message.contains(mention) == true, "\(error?.message ?? "")")
    }

    @Test func whatIsNoAdapterIsRefusedByName() throws {
        let unet = try ModelFixture("sd1").folder.unetConfiguration()
        for path in [
            "\(ControlCase.folder)/sd1", "\(ControlCase.folder)/sd1/diffusion_pytorch_model.safetensors",
            "\(T2IAdapterCase.folder)/golden.safetensors", "\(T2IAdapterCase.folder)/golden.json",
        ] {
            let error = #expect(throws: Failure.self) { _ = try T2IAdapterFiles(path, for: unet, of: "unet") }
            #expect(error?.kind == .badData && error?.message.contains(path) == true, "\(error?.message ?? "")")
        }
        let error = #expect(throws: Failure.self) { _ = try T2IAdapterFiles("/no/such", for: unet, of: "unet") }
        #expect(error?.kind == .missingInput)
    }
}
