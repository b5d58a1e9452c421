import DiffusionModels
import Foundation
import NeuralLayers
import TensorKernels
import Testing

/// One evaluation of a fixture's UNet with IP-Adapters, and what diffusers computes, made by
/// scripts/fixtures/make_ip_adapter_fixtures.py.
struct IPAdapterCase: Decodable {
    struct Net: Decodable {
        let name: String
        let scale: Double
    }

    let name: String
    let model: String
    let timestep: Int
    let cross: Bool
    let own: Bool
    /// Which tokens of the adapters it sees.
    let tokens: String
    let adapters: [Net]
    let controls: [Net]

    enum CodingKeys: String, CodingKey {
        case name, model, timestep, cross, tokens, adapters, controls
        case own = "self"
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/ip_adapter"

    static func all() throws -> [IPAdapterCase] {
        let cases = try JSONDecoder().decode(
            [IPAdapterCase].self, from: Data(contentsOf: URL(filePath: "\(folder)/golden.json")))
        try #require(!cases.isEmpty)
        return cases
    }

    static func golden(_ name: String) throws -> Latent {
        let file = try SafetensorsFile(path: "\(folder)/golden.safetensors")
        let tensor = try #require(file.tensors[name], "no golden tensor \(name)")
        let shape = [Int](repeating: 1, count: 3 - tensor.shape.count) + tensor.shape
        return Latent(channels: shape[0], height: shape[1], width: shape[2], values: tensor.float32Values())
    }

    /// The file of an adapter, for a fixture's model.
    static func files(_ name: String, model: String) throws -> IPAdapterFiles {
        try IPAdapterFiles(
            "\(folder)/\(name).safetensors", for: ModelFixture(model).folder.unetConfiguration(), of: "the fixture")
    }

    static func encoder() throws -> ImageEncoder { try ImageEncoderFiles("\(folder)/image_encoder").encoder() }

    /// What an adapter makes of the golden picture.
    static func tokens(_ name: String, model: String, in context: ComputeContext) throws -> ImageTokens {
        let picture = ImageEncoder.normalized(try golden("picture"))
        let projector = try files(name, model: model).projector()
        return try ImageTokenRun(projector, encoder(), picture, in: context).finished()
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
        func conditioning(_ time: TimeMemory, images: [ImageMemory] = []) -> Conditioning {
            Conditioning(
                prompt: PromptMemory(embedding: Tensor(states.values, shape: states.shape, in: context)), time: time,
                images: images,
                masks: { [masking] in masks.masks(masking, height: $0, width: $1) })
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
            let images = try adapters.map { net in
                let files = try Self.files(net.name, model: model)
                let shown = try Self.golden("\(net.name).\(tokens)")
                return ImageMemory(
                    tokens: Tensor(shown.values, shape: [shown.height, shown.width], in: context),
                    projections: try files.projections(rungs: rungs), scale: net.scale)
            }
            return StagePass(
                of: unet, conditioning(try unet.timeMemory(timestep: timestep, in: context), images: images),
                controls: nets,
                isRecorded: true, in: context)
        }
    }
}
