import Failures
import TensorKernels

/// A T2I-Adapter as its files have it: a diffusers folder, or a safetensors file in diffusers' names or the original's.
public struct T2IAdapterFiles: Sendable {
    /// The folder or the file, as the user named it.
    public let path: String
    public let configuration: T2IAdapterConfiguration
    /// All files that are read.
    public let files: [String]
    private let checkpoint: Checkpoint

    /// - Parameters:
    ///   - unet: the network it is to act on.
    ///   - unetPath: what describes that network, for messages.
    /// - Throws: `Failure`: missing input if nothing is there; bad data naming file and key if it is no T2I-Adapter, or one
    ///   for another UNet, or a pickle.
    public init(_ path: String, for unet: UNetConfiguration, of unetPath: String) throws {
        self.path = path
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput(
                "--t2i-adapter \(path): no such file or folder; expected a T2I-Adapter for Stable Diffusion 1.x or 2.x")
        }
        let description: String
        if kind == .folder {
            description = "\(path)/config.json"
            configuration = try ConfigurationFile.read(T2IAdapterConfiguration.self, from: description)
            checkpoint = try Checkpoint(.unet, in: path)
            files = [description] + checkpoint.files
        } else {
            description = path
            let file = try SafetensorsFile(path: path)
            let shapes = try LoneT2IAdapter(file, levels: unet.blockChannels.count)
            configuration = shapes.configuration
            let naming: any TensorNaming =
                shapes.hasDiffusersNames
                ? DiffusersNaming(component: .unet) : OriginalT2IAdapterNaming(configuration: shapes.configuration)
            checkpoint = Checkpoint(
                .unet, of: file, tensors: file.tensors, naming: naming,
                expectation: "of the T2I-Adapter that its shapes tell of")
            files = [path]
        }
        try Self.check(configuration, for: unet, of: unetPath, described: description)
    }

    /// The adapter, whose values are read and checked.
    ///
    /// - Throws: `Failure.badData` naming the tensors that are missing, of another shape, unusable or surplus.
    public func adapter() throws -> T2IAdapter {
        let weights = CheckpointWeights(checkpoint)
        let adapter = T2IAdapter(configuration, weights: weights)
        try weights.finish()
        return adapter
    }

    private static func check(
        _ configuration: T2IAdapterConfiguration, for unet: UNetConfiguration, of unetPath: String, described: String
    ) throws {
        guard configuration.channels == unet.blockChannels else {
            throw Failure.badData(
                file: described, key: T2IAdapterConfiguration.CodingKeys.channels.stringValue,
                expected:
                    "features of \(unet.blockChannels) channels, one for each level of the model's UNet (\(unetPath))",
                found: "\(configuration.channels); the adapter is for another model")
        }
        // There the feature would belong to what the level hands down, which is of half the size.
        if let level = unet.downBlockTypes.dropLast().firstIndex(of: .plain) {
            throw Failure.badData(
                file: unetPath, key: "\(UNetConfiguration.CodingKeys.downBlockTypes.stringValue)[\(level)]",
                expected: "a level with attention, to which a T2I-Adapter's feature of the level's size is added",
                found: "\(unet.downBlockTypes[level].rawValue); --t2i-adapter \(described) is for another model")
        }
    }
}
