import Failures
import TensorKernels

/// An image encoder as its files have it: a folder of transformers.
public struct ImageEncoderFiles: Sendable {
    public let path: String
    public let configuration: ImageEncoderConfiguration
    /// All files that are read.
    public let files: [String]
    private let checkpoint: Checkpoint

    /// - Throws: `Failure` naming the file, and key, expected and found where it is not what it should be.
    public init(_ path: String) throws {
        self.path = path
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput("--image-encoder \(path): no such folder; \(Self.expectation)")
        }
        guard kind == .folder else {
            throw Failure.badData("--image-encoder \(path): is \(kind.name); \(Self.expectation)")
        }
        let description = "\(path)/config.json"
        configuration = try ConfigurationFile.read(ImageEncoderConfiguration.self, from: description)
        checkpoint = try Checkpoint(.textEncoder, in: path, naming: ImageEncoderNaming())
        files = [description] + checkpoint.files
    }

    /// What it is that is expected, for messages.
    public static let expectation =
        "expected a folder with an image encoder of CLIP, \(ImageEncoderConfiguration.className)"

    /// The network, whose values are read and checked.
    ///
    /// - Throws: `Failure.badData` naming the tensors that are missing, of another shape, unusable or surplus.
    public func encoder() throws -> ImageEncoder {
        let weights = CheckpointWeights(checkpoint)
        let encoder = ImageEncoder(configuration, weights: weights)
        try weights.finish()
        return encoder
    }
}

/// transformers' names of an image encoder.
private struct ImageEncoderNaming: TensorNaming {
    func places(of key: String) -> [TensorPlace] { [TensorPlace("vision_model." + key), TensorPlace(key)] }

    func uselessPattern(of name: String) -> String? { name.hasSuffix("position_ids") ? "*position_ids" : nil }
}
