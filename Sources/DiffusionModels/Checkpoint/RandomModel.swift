import Failures
import Foundation
import TensorKernels

/// Writes models with random weights in the diffusers layout, so that anyone can measure an architecture at its full
/// size without a download.
public enum RandomModel {
    /// The tensors of the three networks, as `RecordingWeights` finds them.
    public struct Tensors: Sendable {
        public let unet: [TensorRequest]
        public let vae: [TensorRequest]
        public let textEncoder: [TensorRequest]

        public init(unet: [TensorRequest], vae: [TensorRequest], textEncoder: [TensorRequest]) {
            self.unet = unet
            self.vae = vae
            self.textEncoder = textEncoder
        }

        subscript(component: ModelFolder.Component) -> [TensorRequest] {
            switch component {
            case .unet: unet
            case .vae: vae
            case .textEncoder: textEncoder
            }
        }
    }

    /// Writes a whole model folder. It grows under another name beside `folder` and is renamed at the end.
    ///
    /// - Parameters:
    ///   - seed: with the tensors' names it determines every weight.
    ///   - elementType: float32, float16 or bfloat16.
    ///   - folder: the folder to make; its parent must be there.
    /// - Throws: `Failure.usage` if `folder` is there already; `Failure.inputOutput` if writing fails.
    public static func write(
        _ architecture: ModelArchitecture, tensors: Tensors, seed: UInt64, elementType: StoredElementType,
        to folder: String
    ) throws {
        try AtomicFolder.make(folder) { partial in
            for part in ModelFolder.Component.allCases.map(\.rawValue) + ["tokenizer", "scheduler"] {
                try makeFolder("\(partial)/\(part)")
            }
            try writeDescriptions(of: architecture, to: partial)
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
        // Every version of transformers reads the text encoder's names with their prefix; layers ask without it.
        let prefix = component == .textEncoder ? "text_model." : ""
        let projectsByConvolution = component == .unet && !architecture.unet.usesLinearProjection
        let declarations = tensors.map {
            TensorDeclaration(
                name: prefix + $0.key, elementType: elementType,
                shape: storedShape(of: $0, projectsByConvolution: projectsByConvolution))
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

    /// Layers ask for a 1x1 convolution's kernel as a matrix; diffusers reads it only with its four dimensions.
    private static func storedShape(of tensor: TensorRequest, projectsByConvolution: Bool) -> [Int] {
        let convolutions = ["conv_shortcut.weight", "quant_conv.weight"]
        let projections = ["proj_in.weight", "proj_out.weight"]
        let names = projectsByConvolution ? convolutions + projections : convolutions
        let isKernel = tensor.shape.count == 2 && names.contains { tensor.key.hasSuffix($0) }
        return isKernel ? tensor.shape + [1, 1] : tensor.shape
    }

    private static func writeDescriptions(of architecture: ModelArchitecture, to folder: String) throws {
        let index = [
            "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
            "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
            "scheduler": ["diffusers", "DDIMScheduler"], "safety_checker": [nil, nil],
            "feature_extractor": [nil, nil],
        ]
        try write(
            json: Named(className: "StableDiffusionPipeline", value: index), to: "\(folder)/model_index.json")
        try write(
            json: Named(className: "DDIMScheduler", value: architecture.scheduler),
            to: "\(folder)/scheduler/scheduler_config.json")
        try write(json: architecture.unet, to: "\(folder)/unet/config.json")
        try write(json: architecture.vae, to: "\(folder)/vae/config.json")
        try write(json: architecture.textEncoder, to: "\(folder)/text_encoder/config.json")
        try RandomTokenizer(for: architecture.textEncoder).write(to: "\(folder)/tokenizer")
    }

    static func write(json value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(value)
        try AtomicFile.write(to: path) { try $0.write(Array(data) + [UInt8(ascii: "\n")]) }
    }

    private static func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw writingFailed(path, error.localizedDescription)
        }
    }

    private static func writingFailed(_ path: String, _ reason: String) -> Failure {
        .inputOutput("cannot write \(path): \(reason)")
    }

    /// A value's members beside diffusers' `_class_name`.
    private struct Named<Value: Encodable>: Encodable {
        let className: String
        let value: Value

        enum CodingKeys: String, CodingKey {
            case className = "_class_name"
        }

        func encode(to encoder: any Encoder) throws {
            try value.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(className, forKey: .className)
        }
    }
}
