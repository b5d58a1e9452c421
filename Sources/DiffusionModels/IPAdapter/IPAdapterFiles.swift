import Failures
import NeuralLayers
import TensorKernels

/// An IP-Adapter as its file has it: the layers that make tokens of a picture, and for each cross-attention of the UNet
/// those that make keys and values of the tokens.
public struct IPAdapterFiles: Sendable {
    public let path: String
    public let configuration: IPAdapterConfiguration
    private let unet: UNetConfiguration
    private let checkpoint: Checkpoint

    /// - Parameters:
    ///   - unet: the network it is to act on.
    ///   - unetPath: what describes that network, for messages.
    /// - Throws: `Failure`: missing input if nothing is there; bad data naming file and key if it is no IP-Adapter, one for
    ///   another UNet or for faces' embeddings, or a pickle.
    public init(_ path: String, for unet: UNetConfiguration, of unetPath: String) throws {
        self.path = path
        self.unet = unet
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput(
                "--ip-adapter \(path): no such file; expected an IP-Adapter for Stable Diffusion 1.x or 2.x")
        }
        guard kind != .folder else {
            throw Failure.badData("--ip-adapter \(path): is a folder; expected an IP-Adapter's safetensors file")
        }
        let file = try SafetensorsFile(path: path)
        configuration = try IPAdapterConfiguration(file)
        guard configuration.contextWidth == unet.crossAttentionDimension else {
            throw Failure.badData(
                file: path, key: IPAdapterConfiguration.prefix,
                expected:
                    "tokens of \(unet.crossAttentionDimension) channels, as wide as the prompt's states (\(unetPath))",
                found: "\(configuration.contextWidth); the adapter is for another model")
        }
        checkpoint = Checkpoint(
            .unet, of: file, tensors: file.tensors, naming: IPAdapterNaming(unet),
            expectation: "of an IP-Adapter for the model's UNet")
    }

    /// Finds out whether an image encoder gives what the adapter takes.
    ///
    /// - Throws: `Failure.badData` with both widths.
    public func check(_ encoder: ImageEncoderFiles) throws {
        let width = configuration.width(of: encoder.configuration)
        guard width != configuration.encoderWidth else { return }
        throw Failure.badData(
            "--ip-adapter \(path): expected an image encoder that gives \(configuration.encoderWidth) channels, found "
                + "\(width) (\(encoder.path)); name the one it was trained with, --image-encoder")
    }

    /// What makes tokens of a picture; its values are read and checked.
    ///
    /// - Throws: `Failure.badData` naming the tensors that are missing, of another shape, unusable or surplus.
    public func projector() throws -> ImageProjector {
        let weights = CheckpointWeights(checkpoint)
        let projector = ImageProjector(configuration, weights: weights)
        weights.expect(requests())
        try weights.finish()
        return projector
    }

    /// What each cross-attention of a stage makes keys and values with, by the layer's name; values are read and checked.
    ///
    /// - Parameter rungs: of the UNet's ladder; all of them, unless given.
    /// - Throws: as `projector()`.
    public func projections(
        rungs: Range<Int>? = nil, store: WeightStore = WeightStore()
    ) throws -> [String: ImageProjection] {
        let weights = CheckpointWeights(checkpoint, store: store)
        let projections = unet.imageProjections(rungs: rungs, weights: weights)
        weights.expect(requests())
        try weights.finish()
        return projections
    }

    /// Of all that the file should have.
    private func requests() -> [TensorRequest] {
        let weights = RecordingWeights()
        _ = ImageProjector(configuration, weights: weights)
        _ = unet.imageProjections(rungs: nil, weights: weights)
        return weights.requests
    }
}

extension UNetConfiguration {
    /// - Parameter rungs: nil for all of them.
    func imageProjections(rungs: Range<Int>?, weights: any WeightSource) -> [String: ImageProjection] {
        let scope = ParameterScope(weights)
        let places = crossAttentions.filter { rungs?.contains($0.rung) ?? true }
        return places.reduce(into: [:]) { all, place in
            all[place.path] = ImageProjection(
                scope[place.path], contextWidth: crossAttentionDimension, channels: place.channels)
        }
    }
}

/// An IP-Adapter's names: its file counts the UNet's layers of attention, of which every second one is a cross-attention.
private struct IPAdapterNaming: TensorNaming {
    private let numbers: [String: Int]

    init(_ unet: UNetConfiguration) {
        numbers = Dictionary(unet.crossAttentions.enumerated().map { ($1.path, 2 * $0 + 1) }) { first, _ in first }
    }

    func places(of key: String) -> [TensorPlace] {
        let words = key.split(separator: ".").map(String.init)
        if let number = numbers[words.dropLast(2).joined(separator: ".")] {
            return [TensorPlace("ip_adapter.\(number).\(words.suffix(2).joined(separator: "."))")]
        }
        // A resampler's keys and values are one tensor.
        for (part, name) in ["to_k", "to_v"].enumerated() where words.suffix(2) == [name, "weight"] {
            return [TensorPlace(words.dropLast(2).joined(separator: ".") + ".to_kv.weight", part: part, of: 2)]
        }
        return [TensorPlace(key)]
    }

    func uselessPattern(of name: String) -> String? { nil }
}
