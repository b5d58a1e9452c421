import DiffusionModels
import Foundation
import NeuralLayers
import TensorKernels
import Testing

/// LoRAs for the tiny model sd1 and what its weights become, made by scripts/fixtures/make_lora_fixtures.py.
struct LoRAFixture {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        let file: String
        let expected: String
        /// The modules that change; those of the text encoder begin with `text:`.
        let modules: [String]

        var testDescription: String { file }
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/lora"

    static let cases: [Case] = {
        let index = try? Data(contentsOf: URL(filePath: "\(folder)/cases.json"))
        return index.flatMap { try? JSONDecoder().decode([Case].self, from: $0) } ?? []
    }()

    static func path(_ name: String) -> String { "\(folder)/\(name).safetensors" }

    let model: ModelFixture
    let targets: LoRATargets

    init(_ name: String = "sd1") throws {
        model = try ModelFixture(name)
        targets = LoRATargets(
            unet: try model.folder.unetConfiguration(), textEncoder: try model.folder.textEncoderConfiguration())
    }

    /// A network's weights, and the tensors that its layers ask for.
    func tensors(
        of component: ModelFolder.Component, _ loras: LoRASet = LoRASet(), store: WeightStore = WeightStore()
    ) throws -> [String: StoredTensor] {
        let recording = RecordingWeights()
        switch component {
        case .unet: _ = UNetStage(try model.folder.unetConfiguration(), weights: recording)
        case .textEncoder: _ = TextEncoder(try model.folder.textEncoderConfiguration(), weights: recording)
        case .vae: break
        }
        let weights = CheckpointWeights(try model.folder.weights(of: component), store: store)
        let source = loras.applied(to: weights, of: component)
        let tensors = recording.requests.map { ($0.key, source.tensor($0.key, $0.shape)) }
        try weights.finish()
        return Dictionary(uniqueKeysWithValues: tensors)
    }

    /// The model's modules, if its first convolution took so many channels.
    func targets(inputChannels: Int) throws -> LoRATargets {
        let configuration = try model.folder.unetConfiguration()
        let (unet, text) = (RecordingWeights(), RecordingWeights())
        _ = UNetStage(configuration, weights: unet)
        _ = TextEncoder(try model.folder.textEncoderConfiguration(), weights: text)
        let tensors = unet.requests.map { request in
            guard request.key == "conv_in.weight" else { return request }
            return TensorRequest(key: request.key, shape: [request.shape[0], inputChannels] + request.shape[2...])
        }
        return LoRATargets(configuration, unetTensors: tensors, textTensors: text.requests)
    }

    func set(_ files: String..., unet: Double = 1, text: Double = 1) throws -> LoRASet {
        try LoRASet(
            files.map { WeightedLoRA(try LoRAFile(path: Self.path($0)), unetScale: unet, textScale: text) },
            for: targets)
    }
}

/// One tensor, whatever is asked for.
final class MemoryWeights: WeightSource {
    let store = WeightStore()
    private let only: StoredTensor

    init(_ tensor: StoredTensor) { only = tensor }

    func contains(_ key: String) -> Bool { true }
    func tensor(_ key: String, _ shape: [Int]) -> StoredTensor { only.reshaped(shape) }
}

/// The greatest error over the standard deviation of what was expected.
func errorOverDeviation(_ values: [Float], _ expected: [Double]) -> Double {
    guard values.count == expected.count, !expected.isEmpty else { return .infinity }
    let mean = expected.reduce(0, +) / Double(expected.count)
    let variance = expected.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(expected.count)
    let error = zip(values, expected).reduce(0.0) { worst, pair in
        let difference = abs(Double(pair.0) - pair.1)
        return difference.isNaN ? .infinity : max(worst, difference)
    }
    return error / variance.squareRoot()
}
