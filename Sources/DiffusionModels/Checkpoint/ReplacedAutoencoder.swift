import Failures
import Foundation
import TensorKernels

/// A model with the autoencoder of other files.
public struct ReplacedAutoencoder: ModelFiles {
    private let base: any ModelFiles
    private let autoencoder: Source

    /// Where the other autoencoder is.
    private enum Source: Sendable {
        /// A folder with its configuration and weights.
        case folder(String)
        /// A file of its tensors, of the same shape as the model's own would be.
        case file(SafetensorsFile, tensors: [String: StoredTensor], any TensorNaming)
    }

    /// - Parameter path: a diffusers folder of an `AutoencoderKL` or of a whole model, or a safetensors file of one, in
    ///   the layout of diffusers or of the original (LDM), alone or inside a checkpoint.
    /// - Throws: `Failure`: missing input if nothing is there, bad data if it is something else.
    public init(_ base: any ModelFiles, with path: String) throws {
        self.base = base
        guard let kind = FileKind(at: path) else {
            throw Failure.missingInput("--vae \(path): no such file or folder")
        }
        if kind == .folder {
            let inside = "\(path)/\(ModelFolder.Component.vae.rawValue)"
            autoencoder = .folder(FileManager.default.fileExists(atPath: "\(inside)/config.json") ? inside : path)
        } else {
            autoencoder = try Self.autoencoder(
                in: SafetensorsFile(path: path), blocks: base.vaeConfiguration().blockChannels.count)
        }
    }

    public var path: String { base.path }
    public var schedulerConfigurationPath: String { base.schedulerConfigurationPath }
    public var tokenizer: TokenizerSource { base.tokenizer }
    public var descriptionFiles: [String] {
        guard case .folder = autoencoder else { return base.descriptionFiles }
        return base.descriptionFiles.filter { $0 != base.configurationPath(of: .vae) } + [configurationPath(of: .vae)]
    }

    public func has(_ component: ModelFolder.Component) -> Bool { component == .vae || base.has(component) }

    public func configurationPath(of component: ModelFolder.Component) -> String {
        guard component == .vae, case .folder(let folder) = autoencoder else {
            return base.configurationPath(of: component)
        }
        return "\(folder)/config.json"
    }

    public func uselessKeys() throws -> [String: Int] { try base.uselessKeys() }
    public func unetConfiguration() throws -> UNetConfiguration { try base.unetConfiguration() }
    public func textEncoderConfiguration() throws -> TextEncoderConfiguration { try base.textEncoderConfiguration() }
    public func schedulerConfiguration() throws -> SchedulerConfiguration { try base.schedulerConfiguration() }

    public func vaeConfiguration() throws -> VAEConfiguration {
        guard case .folder = autoencoder else { return try base.vaeConfiguration() }
        return try ConfigurationFile.read(VAEConfiguration.self, from: configurationPath(of: .vae))
    }

    public func weights(of component: ModelFolder.Component) throws -> Checkpoint {
        guard component == .vae else { return try base.weights(of: component) }
        switch autoencoder {
        case .folder(let folder): return try Checkpoint(.vae, in: folder)
        case .file(let file, let tensors, let naming):
            return Checkpoint(
                .vae, of: file, tensors: tensors, naming: naming, expectation: "of the autoencoder of \(base.path)")
        }
    }

    private static func autoencoder(in file: SafetensorsFile, blocks: Int) throws -> Source {
        let convolution = "decoder.conv_in.weight"
        if let prefix = LDMAutoencoderNaming.prefixes.first(where: { file.tensors[$0 + convolution] != nil }) {
            let tensors = file.tensors.filter { $0.key.hasPrefix(prefix) }
            return .file(file, tensors: tensors, LDMAutoencoderNaming(prefix: prefix, blocks: blocks))
        }
        guard file.tensors[convolution] != nil else {
            throw Failure.badData(
                file: file.path, key: quoted(convolution), expected: "an autoencoder (AutoencoderKL)",
                found: "\(file.tensors.count) tensors, among them \(quoted(file.tensors.keys.min() ?? "none"))")
        }
        let isDiffusers = file.tensors.keys.contains { $0.hasPrefix("decoder.up_blocks.") }
        let tensors = file.tensors.filter { UselessKeys.pattern(of: $0.key) == nil }
        return .file(
            file, tensors: tensors,
            isDiffusers ? DiffusersNaming(component: .vae) : LDMAutoencoderNaming(prefix: "", blocks: blocks))
    }
}
