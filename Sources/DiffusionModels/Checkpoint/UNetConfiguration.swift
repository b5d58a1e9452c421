/// The shape of a UNet2DConditionModel, as its `config.json` describes it.
///
/// Decoding checks it: sizes within bounds, lists of equal lengths, channels divisible by groups and heads, and no
/// key set that changes the computation in a way that is not built. Keys without influence on inference are ignored,
/// absent ones have diffusers' defaults.
public struct UNetConfiguration: Codable, Sendable, Equatable {
    /// A block of the way down.
    public enum DownBlockType: String, Codable, Sendable, CaseIterable {
        case crossAttention = "CrossAttnDownBlock2D"
        case plain = "DownBlock2D"
    }

    /// A block of the way up.
    public enum UpBlockType: String, Codable, Sendable, CaseIterable {
        case crossAttention = "CrossAttnUpBlock2D"
        case plain = "UpBlock2D"
    }

    /// 4, the channels of the latent; 9 where the latent mask and the masked image's latent follow it.
    public internal(set) var inputChannels: Int
    /// 4, the channels of the predicted noise, and of the latent.
    public let outputChannels: Int
    /// The side of the latent that the model was trained at, if it says so.
    public internal(set) var sampleSize: Int?
    /// Channels per block, on the way down.
    public let blockChannels: [Int]
    /// Residual layers per block, on the way down; a block of the way up has one more than its counterpart.
    public let layersPerBlock: [Int]
    public let downBlockTypes: [DownBlockType]
    /// In the order of computation: the first has the most channels.
    public let upBlockTypes: [UpBlockType]
    /// Attention heads per block, on the way down; the last also holds for the middle.
    ///
    /// Hugging Face's key `attention_head_dim` holds these counts in spite of its name, unless `num_attention_heads`
    /// is there.
    public let headCounts: [Int]
    /// Transformer layers per attention, on the way down; the last also holds for the middle.
    public let transformerLayers: [Int]
    /// The width of the text encoder's states.
    public let crossAttentionDimension: Int
    /// Whether the projections around a transformer are linear layers (SD2) or 1x1 convolutions (SD1).
    public let usesLinearProjection: Bool
    public let normGroups: Int
    public let normEpsilon: Float
    /// Whether the time embedding has its cosines before its sines.
    public let flipsSineToCosine: Bool
    /// The time embedding's frequency k of n is 10000^(-k / (n - frequencyShift)).
    public let frequencyShift: Int
    /// The width of the time embedding after its two linear layers.
    public let timeEmbeddingDimension: Int
    /// Whether attention was trained with float32 products; sums are in float32 here always.
    public internal(set) var upcastsAttention: Bool

    enum CodingKeys: String, CodingKey {
        case className = "_class_name"
        case inputChannels = "in_channels"
        case outputChannels = "out_channels"
        case sampleSize = "sample_size"
        case blockChannels = "block_out_channels"
        case layersPerBlock = "layers_per_block"
        case downBlockTypes = "down_block_types"
        case upBlockTypes = "up_block_types"
        case attentionHeadDimension = "attention_head_dim"
        case headCounts = "num_attention_heads"
        case transformerLayers = "transformer_layers_per_block"
        case crossAttentionDimension = "cross_attention_dim"
        case usesLinearProjection = "use_linear_projection"
        case normGroups = "norm_num_groups"
        case normEpsilon = "norm_eps"
        case flipsSineToCosine = "flip_sin_to_cos"
        case frequencyShift = "freq_shift"
        case timeEmbeddingDimension = "time_embedding_dim"
        case upcastsAttention = "upcast_attention"
    }

    public init(
        sampleSize: Int?, blockChannels: [Int], layersPerBlock: [Int], downBlockTypes: [DownBlockType],
        upBlockTypes: [UpBlockType], headCounts: [Int], crossAttentionDimension: Int, usesLinearProjection: Bool,
        normGroups: Int = 32, takesMaskedImage: Bool = false
    ) {
        let blocks = [layersPerBlock.count, downBlockTypes.count, upBlockTypes.count, headCounts.count]
        precondition(blocks.allSatisfy { $0 == blockChannels.count }, "every list has an element per block")
        self.inputChannels = takesMaskedImage ? Self.inpaintingChannels : Self.latentChannels
        self.outputChannels = Self.latentChannels
        self.sampleSize = sampleSize
        self.blockChannels = blockChannels
        self.layersPerBlock = layersPerBlock
        self.downBlockTypes = downBlockTypes
        self.upBlockTypes = upBlockTypes
        self.headCounts = headCounts
        self.transformerLayers = Array(repeating: 1, count: blockChannels.count)
        self.crossAttentionDimension = crossAttentionDimension
        self.usesLinearProjection = usesLinearProjection
        self.normGroups = normGroups
        self.normEpsilon = 1e-5
        self.flipsSineToCosine = true
        self.frequencyShift = 0
        self.timeEmbeddingDimension = 4 * blockChannels[0]
        self.upcastsAttention = false
    }

    /// - Throws: an error that `ModelFolder` reports with file, key, expected and found.
    public init(from decoder: any Decoder) throws {
        try self.init(try ConfigurationFields(decoder), className: ModelFolder.Component.unet.className, hasWayUp: true)
    }

    /// - Parameters:
    ///   - className: of the network that is a UNet, or begins like one.
    ///   - hasWayUp: whether the file describes the UNet's second half.
    init(_ fields: ConfigurationFields, className: String, hasWayUp: Bool) throws {
        try Self.checkUnsupported(fields, className: className)
        inputChannels = try Self.inputChannels(fields)
        outputChannels = try fields.integer(
            CodingKeys.outputChannels, in: Self.latentChannels...Self.latentChannels, default: Self.latentChannels)
        sampleSize = try Self.sampleSize(fields)

        let channels = try fields.integerList(
            CodingKeys.blockChannels, in: ConfigurationBounds.channels, default: [320, 640, 1280, 1280])
        blockChannels = channels
        let blocks = channels.count
        layersPerBlock = try fields.integers(
            CodingKeys.layersPerBlock, count: blocks, in: ConfigurationBounds.layers, default: 2)
        downBlockTypes = try fields.choices(
            CodingKeys.downBlockTypes, count: blocks,
            default: [.crossAttention, .crossAttention, .crossAttention, .plain])
        // A net that only goes down says nothing of the way up, which mirrors it.
        let mirrored: [UpBlockType] = downBlockTypes.reversed().map { $0 == .plain ? .plain : .crossAttention }
        upBlockTypes =
            hasWayUp
            ? try fields.choices(
                CodingKeys.upBlockTypes, count: blocks,
                default: [.plain, .crossAttention, .crossAttention, .crossAttention]) : mirrored
        headCounts = try Self.headCounts(fields, blocks: blocks)
        transformerLayers = try fields.integers(
            CodingKeys.transformerLayers, count: blocks, in: ConfigurationBounds.layers, default: 1)
        crossAttentionDimension = try fields.integers(
            CodingKeys.crossAttentionDimension, count: 1, in: ConfigurationBounds.channels, default: 1280)[0]
        usesLinearProjection = try fields.flag(CodingKeys.usesLinearProjection, default: false)
        normGroups = try fields.integer(CodingKeys.normGroups, in: ConfigurationBounds.groups, default: 32)
        normEpsilon = try fields.positive(CodingKeys.normEpsilon, default: 1e-5)
        flipsSineToCosine = try fields.flag(CodingKeys.flipsSineToCosine, default: true)
        frequencyShift = try fields.integer(CodingKeys.frequencyShift, in: 0...1, default: 0)
        timeEmbeddingDimension = try fields.integer(
            CodingKeys.timeEmbeddingDimension, in: 1...4 * ConfigurationBounds.channels.upperBound,
            default: 4 * channels[0])
        upcastsAttention = try fields.flag(CodingKeys.upcastsAttention, default: false)
        try checkSizes()
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(ModelFolder.Component.unet.className, forKey: .className)
        try container.encode(inputChannels, forKey: .inputChannels)
        try container.encode(outputChannels, forKey: .outputChannels)
        try container.encodeIfPresent(sampleSize, forKey: .sampleSize)
        try container.encode(blockChannels, forKey: .blockChannels)
        try container.encode(NumberOrList(layersPerBlock), forKey: .layersPerBlock)
        try container.encode(downBlockTypes, forKey: .downBlockTypes)
        try container.encode(upBlockTypes, forKey: .upBlockTypes)
        try container.encode(NumberOrList(headCounts), forKey: .attentionHeadDimension)
        try container.encode(NumberOrList(transformerLayers), forKey: .transformerLayers)
        try container.encode(crossAttentionDimension, forKey: .crossAttentionDimension)
        try container.encode(usesLinearProjection, forKey: .usesLinearProjection)
        try container.encode(normGroups, forKey: .normGroups)
        try container.encode(normEpsilon, forKey: .normEpsilon)
        try container.encode(flipsSineToCosine, forKey: .flipsSineToCosine)
        try container.encode(frequencyShift, forKey: .frequencyShift)
        if timeEmbeddingDimension != 4 * blockChannels[0] {
            try container.encode(timeEmbeddingDimension, forKey: .timeEmbeddingDimension)
        }
        try container.encode(upcastsAttention, forKey: .upcastsAttention)
    }
}

extension UNetConfiguration {
    static let latentChannels = 4
    /// Of an inpainting UNet: the latent, the latent mask, the masked image's latent.
    static let inpaintingChannels = 2 * latentChannels + 1

    /// What the input channels of the UNets that are built are to be, as messages say it.
    static let expectedChannels = "4, a text-to-image UNet, or 9, an inpainting UNet"

    /// What UNets are for that take something else, by their input channels.
    static let otherKinds = [8: "an image-editing UNet", 7: "an upscaling UNet", 5: "a depth-guided UNet"]

    /// Whether the latent mask and the masked image's latent go into the network with the latent.
    public var takesMaskedImage: Bool { inputChannels == Self.inpaintingChannels }

    private static func inputChannels(_ fields: ConfigurationFields) throws -> Int {
        let key = CodingKeys.inputChannels
        let channels = try fields.integer(key, in: 1...ConfigurationBounds.channels.upperBound, default: latentChannels)
        guard channels == latentChannels || channels == inpaintingChannels else {
            let kind = otherKinds[channels].map { ": \($0)" } ?? ""
            throw ConfigurationError(key: key.stringValue, expected: expectedChannels, found: "\(channels)\(kind)")
        }
        return channels
    }

    private static func sampleSize(_ fields: ConfigurationFields) throws -> Int? {
        let sides = 1...8192
        guard fields[CodingKeys.sampleSize].elements != nil else {
            return try fields.optionalInteger(CodingKeys.sampleSize, in: sides)
        }
        return try fields.integerList(CodingKeys.sampleSize, in: sides, default: []).max()
    }

    private static func headCounts(_ fields: ConfigurationFields, blocks: Int) throws -> [Int] {
        let key = fields[CodingKeys.headCounts] == .null ? CodingKeys.attentionHeadDimension : CodingKeys.headCounts
        return try fields.integers(key, count: blocks, in: ConfigurationBounds.heads, default: 8)
    }

    private func checkSizes() throws {
        try ConfigurationBounds.check(blockChannels, divisibleBy: normGroups, key: CodingKeys.blockChannels)
        try ConfigurationBounds.check(blockChannels, layers: layersPerBlock, key: CodingKeys.blockChannels)
        if blockChannels[0] % 2 != 0 {
            throw ConfigurationError(
                key: "block_out_channels[0]", expected: "an even number, for the sines and cosines of the timestep",
                found: "\(blockChannels[0])")
        }
        for (block, channels) in blockChannels.enumerated() {
            let isLast = block == blockChannels.count - 1
            let hasAttention =
                isLast || downBlockTypes[block] == .crossAttention
                || upBlockTypes[blockChannels.count - 1 - block] == .crossAttention
            if hasAttention && channels % headCounts[block] != 0 {
                throw ConfigurationError(
                    key: "attention_head_dim (block \(block))",
                    expected: "a number of heads that divides the block's \(channels) channels",
                    found: "\(headCounts[block])")
            }
        }
    }

    /// Refuses the variants of UNet2DConditionModel that compute something else.
    private static func checkUnsupported(_ fields: ConfigurationFields, className: String) throws {
        try fields.require(CodingKeys.className.stringValue, oneOf: .string(className))
        try fields.require("act_fn", oneOf: .string("silu"), .string("swish"))
        try fields.require("mid_block_type", oneOf: .string("UNetMidBlock2DCrossAttn"))
        try fields.require("time_embedding_type", oneOf: .string("positional"))
        try fields.require("resnet_time_scale_shift", oneOf: .string("default"))
        try fields.require("attention_type", oneOf: .string("default"))
        for key in ["conv_in_kernel", "conv_out_kernel"] { try fields.require(key, oneOf: .integer(3)) }
        for key in ["downsample_padding", "mid_block_scale_factor", "resnet_out_scale_factor"] {
            try fields.require(key, oneOf: .integer(1))
        }
        let flags = [
            "center_input_sample", "only_cross_attention", "mid_block_only_cross_attention", "dual_cross_attention",
            "resnet_skip_time_act", "class_embeddings_concat",
        ]
        for key in flags { try fields.require(key, oneOf: .bool(false)) }
        let additions = [
            "class_embed_type", "num_class_embeds", "projection_class_embeddings_input_dim", "addition_embed_type",
            "encoder_hid_dim", "encoder_hid_dim_type", "time_embedding_act_fn", "timestep_post_act",
            "time_cond_proj_dim", "cross_attention_norm", "reverse_transformer_layers_per_block",
        ]
        for key in additions { try fields.require(key) }
    }
}
