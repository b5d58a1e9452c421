import DiffusionModels
import Foundation
import NeuralLayers
import TensorKernels
import Testing

/// A tiny model and what diffusers computes with it, made by scripts/fixtures/make_model_fixtures.py.
struct ModelFixture {
    static let names = ["sd1", "sd2", "odd", "inpaint"]

    struct UNetCase: Decodable {
        let name: String
        let timestep: Int
        let cross: Bool
        let own: Bool

        enum CodingKeys: String, CodingKey {
            case name, timestep, cross
            case own = "self"
        }

        var masking: AttentionMasking {
            var masking: AttentionMasking = []
            if cross { masking.insert(.crossAttention) }
            if own { masking.insert(.selfAttention) }
            return masking
        }
    }

    private struct Index: Decodable {
        let unet: [UNetCase]
    }

    let folder: ModelFolder
    let cases: [UNetCase]
    private let golden: SafetensorsFile

    init(_ name: String) throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/models/\(name)"
        folder = try ModelFolder(path)
        golden = try SafetensorsFile(path: "\(path)/golden.safetensors")
        let index = try Data(contentsOf: URL(filePath: "\(path)/golden.json"))
        cases = try JSONDecoder().decode(Index.self, from: index).unet
    }

    func tensor(_ name: String) throws -> (shape: [Int], values: [Float]) {
        let tensor = try #require(golden.tensors[name], "no golden tensor \(name)")
        return (tensor.shape, tensor.float32Values())
    }

    /// What goes into the UNet: the latent, and behind it what an inpainting UNet takes besides.
    func unetInput(in context: ComputeContext) throws -> Tensor {
        var (shape, planes) = try tensor("unet.latent")
        if golden.tensors["unet.masked_image_latent"] != nil {
            planes += try tensor("unet.latent_mask").values + tensor("unet.masked_image_latent").values
            shape[0] += 1 + shape[0]
        }
        return Tensor(planes: planes, channels: shape[0], height: shape[1], width: shape[2], in: context)
    }

    func integers(_ name: String) throws -> [Int32] {
        let tensor = try #require(golden.tensors[name], "no golden tensor \(name)")
        try #require(tensor.elementType == .int32)
        return tensor.withUnsafeBytes { bytes in
            (0..<tensor.count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
        }
    }

    /// A network built by `make` over the weights of one component, all of which it must use.
    func network<Network>(
        _ component: ModelFolder.Component, store: WeightStore = WeightStore(),
        _ make: (any WeightSource) throws -> Network
    ) throws -> Network {
        let weights = CheckpointWeights(try folder.weights(of: component), store: store)
        let network = try make(weights)
        try weights.finish()
        return network
    }
}

/// The largest difference, relative to the largest expected value.
func relativeError(_ values: [Float], _ expected: [Float]) -> Float {
    guard values.count == expected.count else { return .infinity }
    let scale = expected.reduce(0) { max($0, abs($1)) }
    let error = zip(values, expected).reduce(Float(0)) { worst, pair in
        let difference = abs(pair.0 - pair.1)
        return difference.isNaN ? .infinity : max(worst, difference)
    }
    return error / scale
}
