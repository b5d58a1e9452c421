import DiffusionModels
import Foundation
import NeuralLayers
import TensorKernels
import Testing

/// One evaluation of a fixture's UNet with ControlNets, and what diffusers computes, made by
/// scripts/fixtures/make_control_fixtures.py.
struct ControlCase: Decodable {
    struct Net: Decodable {
        let name: String
        let scale: Double
        let guesses: Bool
    }

    let name: String
    let model: String
    let timestep: Int
    let cross: Bool
    let own: Bool
    let nets: [Net]

    enum CodingKeys: String, CodingKey {
        case name, model, timestep, cross, nets
        case own = "self"
    }

    static let folder =
        URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/control"

    static func all() throws -> [ControlCase] {
        let cases = try JSONDecoder().decode(
            [ControlCase].self, from: Data(contentsOf: URL(filePath: "\(folder)/golden.json")))
        try #require(!cases.isEmpty)
        return cases
    }

    /// The nets' files for the case's model, from their folders or from `path`.
    func files(_ path: String? = nil) throws -> [ControlNetFiles] {
        let unet = try ModelFixture(model).folder.unetConfiguration()
        return try nets.map { net in
            try ControlNetFiles(path ?? "\(Self.folder)/\(net.name)", for: unet, of: "the fixture")
        }
    }

    func golden(_ what: String) throws -> [Float] {
        let file = try SafetensorsFile(path: "\(Self.folder)/golden.safetensors")
        return try #require(file.tensors["\(name).\(what)"]).float32Values()
    }

    /// Noise and input gradient of the whole picture, computed by stages of `cut`.
    ///
    /// - Parameter path: where the nets are, if not in their folders.
    func evaluated(
        cut: [Range<Int>], from path: String? = nil, in context: ComputeContext
    ) throws -> (noise: [Float], gradient: [Float]) {
        let passes = try passes(cut: cut, from: path, in: context)
        let fixture = try ModelFixture(model)
        let (shape, latent) = try fixture.tensor("unet.latent")
        func picture(_ planes: [Float]) -> Tensor {
            Tensor(
                planes: planes, channels: shape[0], height: shape[1], width: shape[2],
                in: context.with(elementType: .float32))
        }
        var hidden = context.ownRows(of: picture(latent))
        for pass in passes { hidden = try pass.down(hidden) }
        for pass in passes.reversed() { hidden = try pass.up(hidden) }
        let noise = try context.gathered(hidden).planes
        var gradient = context.ownRows(of: picture(try fixture.tensor("unet.cotangent").values))
        for pass in passes { gradient = try pass.upGradient(gradient) }
        for pass in passes.reversed() { gradient = try pass.downGradient(gradient) }
        return (noise, try context.gathered(gradient).planes)
    }

    private func passes(cut: [Range<Int>], from path: String?, in context: ComputeContext) throws -> [StagePass] {
        let fixture = try ModelFixture(model)
        let states = try fixture.tensor("unet.embedding")
        let shape = try fixture.tensor("unet.latent").shape
        let masks = MaskPyramid(
            mask: Latent(
                channels: 1, height: shape[1], width: shape[2], values: try fixture.tensor("unet.latent_mask").values),
            chunkLength: states.shape[0])
        var masking: AttentionMasking = []
        if cross { masking.insert(.crossAttention) }
        if own { masking.insert(.selfAttention) }
        func conditioning(_ time: TimeMemory) -> Conditioning {
            Conditioning(
                prompt: PromptMemory(embedding: Tensor(states.values, shape: states.shape, in: context)), time: time,
                masks: { [masking] in masks.masks(masking, height: $0, width: $1) })
        }
        let files = try files(path)
        let configuration = try fixture.folder.unetConfiguration()
        return try cut.map { rungs in
            let unet = UNetStage(
                configuration, rungs: rungs, weights: CheckpointWeights(try fixture.folder.weights(of: .unet)))
            let controls = try zip(nets, files).map { net, files in
                let stage = try files.stage(rungs: rungs, unet: fixture.folder.weights(of: .unet))
                return ControlConditioning(
                    stage, layers: conditioning(try stage.timeMemory(timestep: timestep, in: context)),
                    embedding: rungs.lowerBound == 0
                        ? try stage.embedded(
                            Self.map(of: net.name, isBGR: files.configuration.takesBGR),
                            in: ComputeContext(threads: 1)) : nil,
                    scale: net.scale, guesses: net.guesses)
            }
            return StagePass(
                of: unet, conditioning(try unet.timeMemory(timestep: timestep, in: context)), controls: controls,
                isRecorded: true, in: context)
        }
    }

    /// The map of the net with this name.
    static func map(of name: String, isBGR: Bool) throws -> Latent {
        let file = try SafetensorsFile(path: "\(folder)/golden.safetensors")
        let map = try #require(file.tensors["\(name).map"])
        let values = map.float32Values()
        let count = map.shape[1] * map.shape[2]
        let planes = (0..<3).map { values[$0 * count..<($0 + 1) * count] }
        return Latent(
            channels: 3, height: map.shape[1], width: map.shape[2],
            values: Array((isBGR ? planes.reversed() : planes).joined()))
    }
}
