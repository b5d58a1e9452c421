import Failures
import TensorKernels

/// Writes models with random weights in the diffusers layout, so that anyone can measure an architecture at its full
/// size without a download.
public enum RandomModel {
    /// Writes a whole model folder. It grows under another name beside `folder` and is renamed at the end.
    ///
    /// - Parameters:
    ///   - seed: with the tensors' names it determines every weight.
    ///   - elementType: float32, float16 or bfloat16.
    ///   - folder: the folder to make; its parent must be there.
    /// - Throws: `Failure.usage` if `folder` is there already; `Failure.inputOutput` if writing fails.
    public static func write(
        _ architecture: ModelArchitecture, tensors: ModelTensors, seed: UInt64, elementType: StoredElementType,
        to folder: String
    ) throws {
        try AtomicFolder.make(folder) { partial in
            try ModelDescriptionFiles(
                unet: architecture.unet, vae: architecture.vae, textEncoder: architecture.textEncoder,
                scheduler: architecture.scheduler
            ).write(to: partial, writeTokenizer: RandomTokenizer(for: architecture.textEncoder).write)
            for component in ModelFolder.Component.allCases {
                try writeComponent(
                    component, of: architecture, in: "\(partial)/\(component.rawValue)",
                    tensors: tensors[component], seed: seed, elementType: elementType)
            }
        }
    }

    /// Writes the weights of one component to its file in `folder`, tensor by tensor.
    ///
    /// Layers start as PyTorch's do, uniform within 1 / sqrt(inputs), biases too; norms are the identity, and token
    /// and position embeddings normal with deviation 0.02.
    /// - Throws: `Failure.inputOutput` if writing fails.
    public static func writeComponent(
        _ component: ModelFolder.Component, of architecture: ModelArchitecture, in folder: String,
        tensors: [TensorRequest], seed: UInt64, elementType: StoredElementType
    ) throws {
        precondition(elementType.isNetworkType, "weights are float32, float16 or bfloat16")
        let naming = DiffusersNaming(component: component)
        let declarations = tensors.map {
            TensorDeclaration(
                name: naming.places(of: $0.key)[0].name, elementType: elementType,
                shape: $0.storedShape(in: component, usesLinearProjection: architecture.unet.usesLinearProjection))
        }
        let shapes = Dictionary(tensors.map { ($0.key, $0.shape) }) { first, _ in first }
        let path = "\(folder)/\(component.weightsName).safetensors"
        try SafetensorsWriter.write(to: path, declarations, metadata: ["format": "pt"]) { payload in
            for tensor in tensors {
                var generator = WeightGenerator(seed: seed, stream: "\(component.rawValue)/\(tensor.key)")
                let distribution = InitialDistribution(of: tensor, among: shapes)
                try distribution.write(count: tensor.count, from: &generator, to: &payload)
            }
        }
    }
}
