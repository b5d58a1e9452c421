import Failures

/// The shapes of a model's three networks, which fit each other.
public struct ModelConfiguration: Sendable, Equatable {
    public let unet: UNetConfiguration
    public let vae: VAEConfiguration
    public let textEncoder: TextEncoderConfiguration

    /// - Throws: `Failure` naming file, key, expected and found.
    init(_ files: some ModelFiles) throws {
        unet = try files.unetConfiguration()
        vae = try files.vaeConfiguration()
        textEncoder = try files.textEncoderConfiguration()
        guard vae.latentChannels == unet.outputChannels else {
            throw Failure.badData(
                file: files.configurationPath(of: .vae), key: VAEConfiguration.CodingKeys.latentChannels.rawValue,
                expected: "the UNet's out_channels, \(unet.outputChannels)", found: "\(vae.latentChannels)")
        }
        guard textEncoder.hiddenSize == unet.crossAttentionDimension else {
            throw Failure.badData(
                file: files.configurationPath(of: .textEncoder),
                key: TextEncoderConfiguration.CodingKeys.hiddenSize.rawValue,
                expected: "the UNet's cross_attention_dim, \(unet.crossAttentionDimension)",
                found: "\(textEncoder.hiddenSize)")
        }
    }
}
