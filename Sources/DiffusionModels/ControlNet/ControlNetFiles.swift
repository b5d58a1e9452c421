import Failures
import TensorKernels

/// A ControlNet as its files have it: a diffusers folder, or a safetensors file in diffusers' names or those of the
/// original (LDM), alone or inside a whole checkpoint.
public struct ControlNetFiles: Sendable {
    /// The folder or the file, as the user named it.
    public let path: String
    public let configuration: ControlNetConfiguration
    /// Whether the weights that the UNet has too are what is to be added to the UNet's.
    public let areDifferences: Bool
    /// All files that are read.
    public let files: [String]
    private let checkpoint: Checkpoint

    /// The mark of a file whose weights are differences.
    private static let differenceKey = "difference"

    /// - Parameters:
    ///   - unet: the network it is to act on, which tells all sizes that a lone file does not.
    ///   - unetPath: what describes that network, for messages.
    /// - Throws: `Failure`: missing input if nothing is there; bad data naming file and key if it is no ControlNet, or one
    ///   for another UNet, or a pickle.
    public init(_ path: String, for unet: UNetConfiguration, of unetPath: String) throws {
        self.path = path
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput(
                "--control \(path): no such file or folder; expected a ControlNet for Stable Diffusion 1.x or 2.x")
        }
        if kind == .folder {
            let description = "\(path)/config.json"
            configuration = try ConfigurationFile.read(ControlNetConfiguration.self, from: description)
            checkpoint = try Checkpoint(.unet, in: path)
            areDifferences = false
            files = [description] + checkpoint.files
            try Self.check(configuration, for: unet, of: unetPath, described: description)
        } else {
            let found = try Self.net(in: try SafetensorsFile(path: path), for: unet)
            (configuration, checkpoint, areDifferences) = (found.configuration, found.checkpoint, found.areDifferences)
            files = [path]
        }
    }

    /// A share of the net, whose values are read and checked; of the others' tensors it is known that they are there and
    /// have their shapes.
    ///
    /// - Parameters:
    ///   - rungs: of the UNet's ladder; all of them, unless given.
    ///   - unet: the UNet's weights, to which differences are added.
    /// - Throws: `Failure.badData` naming the tensors that are missing, of another shape, unusable or surplus.
    public func stage(
        rungs: Range<Int>? = nil, unet: @autoclosure () throws -> Checkpoint, store: WeightStore = WeightStore()
    ) throws -> ControlStage {
        let weights = CheckpointWeights(checkpoint, store: store)
        let stage: ControlStage
        if areDifferences {
            let base = CheckpointWeights(try unet())
            stage = ControlStage(configuration, rungs: rungs, weights: SummedWeights(weights, base: base))
        } else {
            stage = ControlStage(configuration, rungs: rungs, weights: weights)
        }
        if rungs != nil {
            let whole = RecordingWeights()
            _ = ControlStage(configuration, weights: whole)
            weights.expect(whole.requests)
        }
        try weights.finish()
        return stage
    }

    private static func check(
        _ configuration: ControlNetConfiguration, for unet: UNetConfiguration, of unetPath: String, described: String
    ) throws {
        guard let mismatch = configuration.mismatch(with: unet) else { return }
        throw Failure.badData(
            file: described, key: mismatch.key, expected: "\(mismatch.expected) (\(unetPath))",
            found: "\(mismatch.found); the net is for another model")
    }

    private typealias Found = (configuration: ControlNetConfiguration, checkpoint: Checkpoint, areDifferences: Bool)

    private static func net(in file: SafetensorsFile, for unet: UNetConfiguration) throws -> Found {
        let prefix = LDMControlNetNaming.prefixes.first {
            file.tensors["\($0)\(LDMControlNetNaming.firstLayer).weight"] != nil
        }
        guard file.tensors[diffusersLayer(0)] != nil || prefix != nil else { throw noNet(in: file) }
        try check(file, prefix ?? "", takesPromptOf: unet)
        let channels = try embeddingChannels(in: file) { index in
            prefix.map { "\($0)input_hint_block.\(4 * index).weight" } ?? diffusersLayer(index)
        }
        let configuration = ControlNetConfiguration(encoder: unet.ofLatentAlone, embeddingChannels: channels)
        // A whole checkpoint has the model, too; a net alone has nothing else.
        let tensors = file.tensors.filter { key, _ in
            guard prefix?.isEmpty ?? true else { return key.hasPrefix(prefix ?? "") }
            return key != differenceKey && UselessKeys.pattern(of: key) == nil
        }
        let naming: any TensorNaming =
            prefix.map { LDMControlNetNaming(prefix: $0, configuration: configuration) }
            ?? DiffusersNaming(component: .unet)
        let checkpoint = Checkpoint(
            .unet, of: file, tensors: tensors, naming: naming, expectation: "of a ControlNet for the model's UNet")
        return (configuration, checkpoint, file.tensors[differenceKey] != nil)
    }

    /// The layer that gives the map channel count number `index`.
    private static func diffusersLayer(_ index: Int) -> String {
        index == 0
            ? "controlnet_cond_embedding.conv_in.weight" : "controlnet_cond_embedding.blocks.\(2 * index - 1).weight"
    }

    /// How many channels a map has after each halving, by the shapes of the layers.
    private static func embeddingChannels(in file: SafetensorsFile, key: (Int) -> String) throws -> [Int] {
        var channels: [Int] = []
        while channels.count < mostEmbeddingLayers, let tensor = file.tensors[key(channels.count)] {
            guard tensor.shape.count == 4, ConfigurationBounds.channels.contains(tensor.shape[0]) else {
                throw Failure.badData(
                    file: file.path, key: quoted(tensor.name), expected: "a convolution's four dimensions",
                    found: "\(tensor.shape)")
            }
            channels.append(tensor.shape[0])
        }
        return channels
    }

    /// No autoencoder makes a latent so much smaller than its picture.
    private static let mostEmbeddingLayers = 8

    /// What a net for another family is told by, before every shape is found to be wrong.
    private static func check(
        _ file: SafetensorsFile, _ prefix: String, takesPromptOf unet: UNetConfiguration
    ) throws {
        let layer = file.tensors.keys.filter { $0.hasPrefix(prefix) && $0.hasSuffix(".attn2.to_k.weight") }.min()
        guard let layer, let width = file.tensors[layer]?.shape.last, width != unet.crossAttentionDimension else {
            return
        }
        throw Failure.badData(
            file: file.path, key: quoted(layer),
            expected: "\(unet.crossAttentionDimension) columns, as wide as the prompt's states in the model's UNet",
            found: "\(width); the net is for another model")
    }

    private static func noNet(in file: SafetensorsFile) -> Failure {
        .badData(
            file: file.path, key: quoted(diffusersLayer(0)),
            expected: "a ControlNet, in diffusers' names or the original's "
                + "(\(LDMControlNetNaming.prefixes[0])\(LDMControlNetNaming.firstLayer).weight)",
            found: "\(file.tensors.count) tensors, among them \(quoted(file.tensors.keys.min() ?? "none"))")
    }
}
