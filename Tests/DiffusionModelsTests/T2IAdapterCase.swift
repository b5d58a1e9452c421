import DiffusionModels
import Foundation
import NeuralLayers
import TensorKernels
import Testing

/// One evaluation of a fixture's UNet with T2I-Adapters, and what diffusers computes, made by
/// scripts/fixtures/make_t2i_adapter_fixtures.py.
struct T2IAdapterCase: Decodable {
    struct Net: Decodable {
        let name: String
        let scale: Double
    }

    let name: String
    let model: String
    let timestep: Int
    let cross: Bool
    let own: Bool
    let adapters: [Net]
    let controls: [Net]

    enum CodingKeys: String, CodingKey {
        case name, model, timestep, cross, adapters, controls
        case own = "self"
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/t2i_adapter"

    static func all() throws -> [T2IAdapterCase] {
        let cases = try JSONDecoder().decode(
            [T2IAdapterCase].self, from: Data(contentsOf: URL(filePath: "\(folder)/golden.json")))
        try #require(!cases.isEmpty)
        return cases
    }

    static func golden(_ name: String) throws -> Latent {
        let file = try SafetensorsFile(path: "\(folder)/golden.safetensors")
        let tensor = try #require(file.tensors[name], "no golden tensor \(name)")
        return Latent(
            channels: tensor.shape[0], height: tensor.shape[1], width: tensor.shape[2],
            values: tensor.float32Values())
    }

    /// The features of the adapter at `path`, of the golden map of adapter `name`, for a fixture's model.
    static func features(
        _ path: String, of name: String, model: String, in context: ComputeContext
    ) throws -> [Latent] {
        let unet = try ModelFixture(model).folder.unetConfiguration()
        let adapter = try T2IAdapterFiles("\(folder)/\(path)", for: unet, of: "the fixture").adapter()
        return try adapter.features(of: golden("\(name).map"), in: context).finished()
    }

    /// Noise and input gradient, computed by stages of `cut`.
    func evaluated(cut: [Range<Int>], in context: ComputeContext) throws -> (noise: [Float], gradient: [Float]) {
        let fixture = try ModelFixture(model)
        let passes = try passes(cut: cut, fixture, in: context)
        let (shape, _) = try fixture.tensor("unet.latent")
        var hidden = try fixture.unetInput(in: context.with(elementType: .float32))
        for pass in passes { hidden = try pass.down(hidden) }
        for pass in passes.reversed() { hidden = try pass.up(hidden) }
        let noise = hidden.planes
        var gradient = Tensor(
            planes: try fixture.tensor("unet.cotangent").values, channels: shape[0], height: shape[1], width: shape[2],
            in: context.with(elementType: .float32))
        for pass in passes { gradient = try pass.upGradient(gradient) }
        for pass in passes.reversed() { gradient = try pass.downGradient(gradient) }
        return (noise, Array(gradient.planes.prefix(shape.reduce(1, *))))
    }

    private func passes(
        cut: [Range<Int>], _ fixture: ModelFixture, in context: ComputeContext
    ) throws -> [StagePass] {
        let states = try fixture.tensor("unet.embedding")
        let shape = try fixture.tensor("unet.latent").shape
        let mask = Latent(
            channels: 1, height: shape[1], width: shape[2], values: try fixture.tensor("unet.latent_mask").values)
        let masks = MaskPyramid(mask: mask, chunkLength: states.shape[0])
        var masking: AttentionMasking = []
        if cross { masking.insert(.crossAttention) }
        if own { masking.insert(.selfAttention) }
        func conditioning(_ time: TimeMemory) -> Conditioning {
            Conditioning(
                prompt: PromptMemory(embedding: Tensor(states.values, shape: states.shape, in: context)), time: time,
                masks: { [masking] in masks.masks(masking, height: $0, width: $1) })
        }
        let inputs = try adapters.map { net in
            let features = try Self.features(net.name, of: net.name, model: model, in: context)
            return FeatureInputs(features: features, scale: net.scale)
        }
        let configuration = try fixture.folder.unetConfiguration()
        return try cut.map { rungs in
            let unet = UNetStage(
                configuration, rungs: rungs, weights: CheckpointWeights(try fixture.folder.weights(of: .unet)))
            let nets = try controls.map { net in
                let files = try ControlNetFiles(
                    "\(ControlCase.folder)/\(net.name)", for: configuration, of: "the fixture")
                let stage = try files.stage(rungs: rungs, unet: fixture.folder.weights(of: .unet))
                return ControlConditioning(
                    stage, layers: conditioning(try stage.timeMemory(timestep: timestep, in: context)),
                    embedding: rungs.lowerBound == 0
                        ? try stage.embedded(ControlCase.map(of: net.name, isBGR: false), in: context) : nil,
                    scale: net.scale, guesses: false)
            }
            let features = try inputs.reduce(into: [Int: [Tensor]]()) { all, inputs in
                for (rung, feature) in try unet.features(inputs, mask: mask, in: context) {
                    all[rung, default: []].append(feature)
                }
            }
            return StagePass(
                of: unet, conditioning(try unet.timeMemory(timestep: timestep, in: context)), controls: nets,
                features: features, isRecorded: true, in: context)
        }
    }
}
