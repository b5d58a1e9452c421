import DiffusionModels
import Failures
import Foundation
import TensorKernels
import Testing

/// A folder of its own for one test, in which model folders are put together.
final class CheckpointScratch {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "pilot-checkpoint-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    var path: String { folder.path }

    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/models")

    /// A folder that is accepted as a model, with nothing in it but its index.
    static let index = """
        {"_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"],
         "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
         "safety_checker": [null, null], "tokenizer": ["transformers", "CLIPTokenizer"]}
        """

    func write(_ text: String, to name: String) throws {
        let url = folder.appending(path: name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    func write(_ tensors: [StoredTensor], to name: String) throws {
        let url = folder.appending(path: name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try SafetensorsWriter.write(to: url.path, tensors)
    }

    /// A model folder of which one component has `tensors`.
    func weights(_ component: ModelFolder.Component, _ tensors: [StoredTensor]) throws -> CheckpointWeights {
        try write(Self.index, to: "model_index.json")
        let name = component == .textEncoder ? "model" : "diffusion_pytorch_model"
        try write(tensors, to: "\(component.rawValue)/\(name).safetensors")
        return CheckpointWeights(try ModelFolder(path).weights(of: component))
    }
}

/// The failure that `body` throws, which must be one.
func failure(_ body: () throws -> Void, location: SourceLocation = #_sourceLocation) throws -> Failure {
    let error = try #require(throws: Failure.self, sourceLocation: location) { try body() }
    #expect(!error.message.contains("\n"), sourceLocation: location)
    return error
}

extension StoredTensor {
    /// Its elements count from `first`.
    init(_ name: String, _ shape: [Int], from first: Float = 0) {
        self.init(name: name, shape: shape, values: (0..<shape.reduce(1, *)).map { first + Float($0) })
    }
}
