/// The shape of a CLIPVisionModelWithProjection, as its `config.json` describes it; checked when it is decoded.
public struct ImageEncoderConfiguration: Decodable, Sendable, Equatable {
    /// The width of the states.
    public let hiddenSize: Int
    public let intermediateSize: Int
    public let layerCount: Int
    public let headCount: Int
    /// The side of the picture that it sees, in pixels.
    public let imageSize: Int
    /// The side of a patch, which is a token.
    public let patchSize: Int
    public let normEpsilon: Float
    public let activation: TextEncoderConfiguration.Activation
    /// The width of the picture's embedding.
    public let projectionDimension: Int

    enum CodingKeys: String, CodingKey {
        case architectures
        case modelType = "model_type"
        case hiddenSize = "hidden_size"
        case intermediateSize = "intermediate_size"
        case layerCount = "num_hidden_layers"
        case headCount = "num_attention_heads"
        case channels = "num_channels"
        case imageSize = "image_size"
        case patchSize = "patch_size"
        case normEpsilon = "layer_norm_eps"
        case activation = "hidden_act"
        case projectionDimension = "projection_dim"
    }

    static let className = "CLIPVisionModelWithProjection"
    static let imageChannels = 3

    /// - Throws: an error that is reported with file, key, expected and found.
    public init(from decoder: any Decoder) throws {
        let fields = try ConfigurationFields(decoder)
        if let names = fields[CodingKeys.architectures].elements, !names.contains(.string(Self.className)) {
            throw ConfigurationError(
                key: CodingKeys.architectures.stringValue, expected: Self.className,
                found: fields[CodingKeys.architectures].summary)
        }
        try fields.require(CodingKeys.modelType.stringValue, oneOf: .string("clip_vision_model"))
        hiddenSize = try fields.integer(CodingKeys.hiddenSize, in: ConfigurationBounds.channels, default: 768)
        intermediateSize = try fields.integer(CodingKeys.intermediateSize, in: 1...65536, default: 3072)
        layerCount = try fields.integer(CodingKeys.layerCount, in: ConfigurationBounds.layers, default: 12)
        headCount = try fields.integer(CodingKeys.headCount, in: ConfigurationBounds.heads, default: 12)
        try fields.require(CodingKeys.channels.stringValue, oneOf: .integer(Self.imageChannels))
        imageSize = try fields.integer(CodingKeys.imageSize, in: 1...1024, default: 224)
        patchSize = try fields.integer(CodingKeys.patchSize, in: 1...1024, default: 32)
        normEpsilon = try fields.positive(CodingKeys.normEpsilon, default: 1e-5)
        activation = try fields.choice(CodingKeys.activation, default: .quickGELU)
        projectionDimension = try fields.integer(
            CodingKeys.projectionDimension, in: ConfigurationBounds.channels, default: 512)
        try checkSizes()
    }

    /// Patches, and before them a token for the picture.
    public var tokens: Int { patchesPerSide * patchesPerSide + 1 }
    var patchesPerSide: Int { imageSize / patchSize }

    private func checkSizes() throws {
        guard hiddenSize % headCount == 0 else {
            throw ConfigurationError(
                key: CodingKeys.headCount.stringValue, expected: "a divisor of hidden_size, \(hiddenSize)",
                found: "\(headCount)")
        }
        guard imageSize % patchSize == 0, tokens <= Self.mostTokens else {
            throw ConfigurationError(
                key: CodingKeys.patchSize.stringValue,
                expected: "a divisor of image_size, \(imageSize), with \(Self.mostTokens) patches at most",
                found: "\(patchSize)")
        }
        let parameters = layerCount * hiddenSize * (4 * hiddenSize + 2 * intermediateSize)
        guard parameters <= ConfigurationBounds.parameters else {
            throw ConfigurationError(
                key: CodingKeys.hiddenSize.stringValue,
                expected: "a network of at most \(ConfigurationBounds.parameters) parameters",
                found: "\(hiddenSize), which asks for \(parameters)")
        }
    }

    /// Patches of 14 pixels in a picture of 896.
    private static let mostTokens = 4097
}
