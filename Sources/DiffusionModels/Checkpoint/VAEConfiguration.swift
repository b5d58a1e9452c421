/// The shape of an AutoencoderKL, as its `config.json` describes it; checked when it is decoded.
public struct VAEConfiguration: Codable, Sendable, Equatable {
    /// The side of the images that it was trained at, if it says so.
    public internal(set) var sampleSize: Int?
    /// Channels per block of the encoder; the decoder has them in reverse.
    public let blockChannels: [Int]
    /// Residual layers per block of the encoder; a block of the decoder has one more.
    public let layersPerBlock: Int
    public let latentChannels: Int
    public let normGroups: Int
    /// What the posterior's mean is multiplied by to give the latent.
    public let scalingFactor: Float
    /// Whether a 1x1 convolution follows the encoder.
    public let usesQuantConvolution: Bool
    /// Whether a 1x1 convolution precedes the decoder.
    public let usesPostQuantConvolution: Bool
    /// Whether the middle blocks have attention.
    public let hasMiddleAttention: Bool

    /// Red, green and blue.
    public static let imageChannels = 3

    /// Pixels per latent position along one side: a block each but the last halves the size.
    public var downsamplingFactor: Int { 1 << (blockChannels.count - 1) }

    enum CodingKeys: String, CodingKey {
        case className = "_class_name"
        case sampleSize = "sample_size"
        case inputChannels = "in_channels"
        case outputChannels = "out_channels"
        case downBlockTypes = "down_block_types"
        case upBlockTypes = "up_block_types"
        case blockChannels = "block_out_channels"
        case layersPerBlock = "layers_per_block"
        case latentChannels = "latent_channels"
        case normGroups = "norm_num_groups"
        case scalingFactor = "scaling_factor"
        case usesQuantConvolution = "use_quant_conv"
        case usesPostQuantConvolution = "use_post_quant_conv"
        case hasMiddleAttention = "mid_block_add_attention"
    }

    private enum DownBlockType: String, CaseIterable { case plain = "DownEncoderBlock2D" }
    private enum UpBlockType: String, CaseIterable { case plain = "UpDecoderBlock2D" }

    public init(
        sampleSize: Int?, blockChannels: [Int], layersPerBlock: Int, latentChannels: Int = 4, normGroups: Int = 32,
        scalingFactor: Float = 0.18215
    ) {
        precondition(!blockChannels.isEmpty, "a VAE has a block")
        self.sampleSize = sampleSize
        self.blockChannels = blockChannels
        self.layersPerBlock = layersPerBlock
        self.latentChannels = latentChannels
        self.normGroups = normGroups
        self.scalingFactor = scalingFactor
        self.usesQuantConvolution = true
        self.usesPostQuantConvolution = true
        self.hasMiddleAttention = true
    }

    /// - Throws: an error that `ModelFolder` reports with file, key, expected and found.
    public init(from decoder: any Decoder) throws {
        let fields = try ConfigurationFields(decoder)
        try fields.require(CodingKeys.className.stringValue, oneOf: .string(ModelFolder.Component.vae.className))
        try fields.require("act_fn", oneOf: .string("silu"), .string("swish"))
        try fields.require("shift_factor", oneOf: .integer(0))
        for key in ["latents_mean", "latents_std"] { try fields.require(key) }
        for key in [CodingKeys.inputChannels, .outputChannels] {
            _ = try fields.integer(key, in: Self.imageChannels...Self.imageChannels, default: Self.imageChannels)
        }
        sampleSize = try fields.optionalInteger(CodingKeys.sampleSize, in: 1...65536)
        let channels = try fields.integerList(
            CodingKeys.blockChannels, in: ConfigurationBounds.channels, default: [64])
        blockChannels = channels
        let blocks = channels.count
        _ = try fields.choices(CodingKeys.downBlockTypes, count: blocks, default: [DownBlockType.plain])
        _ = try fields.choices(CodingKeys.upBlockTypes, count: blocks, default: [UpBlockType.plain])
        layersPerBlock = try fields.integer(
            CodingKeys.layersPerBlock, in: ConfigurationBounds.layers, default: 1)
        latentChannels = try fields.integer(CodingKeys.latentChannels, in: 1...64, default: 4)
        normGroups = try fields.integer(CodingKeys.normGroups, in: ConfigurationBounds.groups, default: 32)
        scalingFactor = try fields.positive(CodingKeys.scalingFactor, default: 0.18215)
        usesQuantConvolution = try fields.flag(CodingKeys.usesQuantConvolution, default: true)
        usesPostQuantConvolution = try fields.flag(CodingKeys.usesPostQuantConvolution, default: true)
        hasMiddleAttention = try fields.flag(CodingKeys.hasMiddleAttention, default: true)
        try ConfigurationBounds.check(channels, divisibleBy: normGroups, key: CodingKeys.blockChannels)
        try ConfigurationBounds.check(
            channels, layers: Array(repeating: layersPerBlock, count: blocks), key: CodingKeys.blockChannels)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let blocks = blockChannels.count
        try container.encode(ModelFolder.Component.vae.className, forKey: .className)
        try container.encodeIfPresent(sampleSize, forKey: .sampleSize)
        try container.encode(Self.imageChannels, forKey: .inputChannels)
        try container.encode(Self.imageChannels, forKey: .outputChannels)
        try container.encode(
            Array(repeating: DownBlockType.plain.rawValue, count: blocks), forKey: .downBlockTypes)
        try container.encode(Array(repeating: UpBlockType.plain.rawValue, count: blocks), forKey: .upBlockTypes)
        try container.encode(blockChannels, forKey: .blockChannels)
        try container.encode(layersPerBlock, forKey: .layersPerBlock)
        try container.encode(latentChannels, forKey: .latentChannels)
        try container.encode(normGroups, forKey: .normGroups)
        try container.encode(scalingFactor, forKey: .scalingFactor)
        try container.encode(usesQuantConvolution, forKey: .usesQuantConvolution)
        try container.encode(usesPostQuantConvolution, forKey: .usesPostQuantConvolution)
        try container.encode(hasMiddleAttention, forKey: .hasMiddleAttention)
    }
}
