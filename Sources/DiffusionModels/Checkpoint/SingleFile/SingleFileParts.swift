import Failures
import TensorKernels

/// The tensors of a single file, sorted by what they are of.
struct SingleFileParts {
    /// Under their names in the file; a component that is not there is not here.
    private(set) var components: [ModelFolder.Component: [String: StoredTensor]] = [:]
    /// How many keys are known to be of no use, by their patterns.
    private(set) var useless: [String: Int] = [:]

    private static let prefixes: [(String, ModelFolder.Component)] =
        [
            (LDMUNetNaming.prefix, .unet), ("cond_stage_model.", .textEncoder),
            ("conditioner.embedders.0.", .textEncoder),
        ]
        + LDMAutoencoderNaming.prefixes.map { ($0, .vae) }

    /// - Throws: `Failure.badData` naming a key that belongs to nothing.
    init(_ file: SafetensorsFile) throws {
        var strangers: [String] = []
        for (key, tensor) in file.tensors {
            if let pattern = UselessKeys.pattern(of: key) {
                useless[pattern, default: 0] += 1
            } else if let (_, component) = Self.prefixes.first(where: { key.hasPrefix($0.0) }) {
                components[component, default: [:]][key] = tensor
            } else {
                strangers.append(key)
            }
        }
        guard let stranger = strangers.min() else { return }
        throw Failure.badData(
            file: file.path, key: quoted(stranger),
            expected: "a tensor of the UNet, the autoencoder or the text encoder ("
                + Self.prefixes.map(\.0).joined(separator: ", ") + ") or one known to be of no use",
            found: strangers.count == 1 ? "another" : "\(strangers.count) others")
    }

    /// How the text encoder's tensors are named here.
    ///
    /// - Parameter layerCount: how many layers of it are used.
    func textNaming(layerCount: Int) -> any TensorNaming {
        let keys = components[.textEncoder, default: [:]].keys
        for root in ["cond_stage_model.", "conditioner.embedders.0."] {
            if keys.contains(where: { $0.hasPrefix(root + "transformer.") }) {
                return CLIPNaming(prefix: root + "transformer.")
            }
            if keys.contains(where: { $0.hasPrefix(root + "model.") }) {
                return OpenCLIPNaming(prefix: root + "model.", layerCount: layerCount)
            }
        }
        return CLIPNaming(prefix: "cond_stage_model.transformer.")
    }

    /// How the autoencoder's tensors are named here.
    func autoencoderNaming(_ configuration: VAEConfiguration) -> any TensorNaming {
        let keys = components[.vae, default: [:]].keys
        let prefix = LDMAutoencoderNaming.prefixes.first { prefix in keys.contains { $0.hasPrefix(prefix) } }
        return LDMAutoencoderNaming(
            prefix: prefix ?? LDMAutoencoderNaming.prefixes[0], blocks: configuration.blockChannels.count)
    }
}
